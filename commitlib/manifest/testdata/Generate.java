package org.apache.iceberg;

// Makes the files under java/ with the reference implementation, and beside them expected.txt, what it reads in them:
//
//	mvn dependency:copy-dependencies -DoutputDirectory=lib   (of org.apache.iceberg:iceberg-core:1.11.0)
//	javac -cp 'lib/*' -d classes Generate.java && java -cp 'lib/*:classes' org.apache.iceberg.Generate java
//
// It stands in the library's package because manifest entries, with what they leave to be inherited, are visible only there.

import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import java.util.function.Function;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.expressions.Expressions;
import org.apache.iceberg.inmemory.InMemoryCatalog;
import org.apache.iceberg.types.*;

public class Generate {
  static final Schema SCHEMA =
      new Schema(
          List.of(
              Types.NestedField.required(1, "id", Types.LongType.get(), "the \"key\""),
              Types.NestedField.required(2, "ts", Types.TimestampType.withZone()),
              Types.NestedField.required(3, "lane", Types.IntegerType.get()),
              Types.NestedField.optional(4, "price", Types.DecimalType.of(9, 2)),
              Types.NestedField.optional(5, "day", Types.DateType.get()),
              Types.NestedField.optional(6, "token", Types.UUIDType.get()),
              Types.NestedField.optional(7, "blob", Types.FixedType.ofLength(4)),
              Types.NestedField.optional(8, "ok", Types.BooleanType.get()),
              Types.NestedField.optional(9, "ratio", Types.DoubleType.get()),
              Types.NestedField.optional(10, "name", Types.StringType.get()),
              Types.NestedField.optional(
                  11,
                  "nested",
                  Types.StructType.of(
                      Types.NestedField.optional(12, "tags", Types.ListType.ofOptional(13, Types.StringType.get())),
                      Types.NestedField.optional(
                          14, "props", Types.MapType.ofOptional(15, 16, Types.StringType.get(), Types.DoubleType.get()))))),
          Set.of(1));

  static final PartitionSpec SPEC =
      PartitionSpec.builderFor(SCHEMA)
          .hour("ts")
          .identity("lane")
          .identity("price")
          .identity("day")
          .identity("token")
          // not the fixed column: the writer puts a length before its values, which Avro's fixed has not
          .identity("ok")
          .identity("ratio")
          .identity("name", "2nd-name")
          .bucket("id", 16)
          .truncate("name", 3)
          .alwaysNull("id")
          .build();

  public static void main(String[] args) throws Exception {
    for (int version = 1; version <= 3; version++) {
      make(version, Path.of(args[0], "v" + version));
    }
  }

  static void make(int version, Path dir) throws Exception {
    InMemoryCatalog catalog = new InMemoryCatalog();
    catalog.initialize("c", Map.of("warehouse", "s3://warehouse"));
    catalog.createNamespace(Namespace.of("ns"));
    Table table =
        catalog
            .buildTable(TableIdentifier.of("ns", "t"), SCHEMA)
            .withPartitionSpec(SPEC)
            .withSortOrder(SortOrder.builderFor(SCHEMA).asc("ts").desc("id", NullOrder.NULLS_FIRST).build())
            .withProperty("format-version", "" + version)
            .withProperty("owner", "someone <a@b>")
            .create();
    DataFile a = file(table, "a", partition(1)), b = file(table, "b", partition(-1));
    table.newAppend().appendFile(a).appendFile(b).commit();
    table.newFastAppend().appendFile(file(table, "c", new PartitionData(table.spec().partitionType()))).commit();
    table.newDelete().deleteFile(b).commit();
    if (version > 1) {
      FileMetadata.Builder deletes =
          FileMetadata.deleteFileBuilder(table.spec())
              .withPartition(partition(1))
              .withFileSizeInBytes(77)
              .withRecordCount(3);
      DeleteFile equality =
          deletes.ofEqualityDeletes(1, 10).withPath("s3://warehouse/ns/t/eq.parquet").withFormat(FileFormat.PARQUET).build();
      table.newRowDelta().addDeletes(equality).commit();
    }
    table.manageSnapshots().createTag("first", table.snapshots().iterator().next().snapshotId()).setMaxRefAgeMs("first", 86_400_000).commit();
    table.rewriteManifests().clusterBy(f -> "all").commit();
    table.updateSchema().addColumn("more", Types.StringType.get()).commit();
    dump(table, dir);
  }

  static PartitionData partition(int n) {
    PartitionData p = new PartitionData(SPEC.partitionType());
    Object[] values = {
      n * 495_000, n, new java.math.BigDecimal(n + ".25"), n * 20_000, new UUID(n, 7), n > 0, n * 0.5, "näme " + n, 5, "näm"
    };
    for (int i = 0; i < values.length; i++) {
      p.put(i, values[i]);
    }
    return p;
  }

  static DataFile file(Table table, String name, PartitionData partition) {
    Map<Integer, Long> sizes = Map.of(1, 100L, 2, 200L), values = Map.of(1, 9L, 2, 9L, 9, 9L), nulls = Map.of(1, 0L, 2, 1L), nans = Map.of(9, 4L);
    Map<Integer, ByteBuffer> lower = Map.of(1, Conversions.toByteBuffer(Types.LongType.get(), -5L), 10, Conversions.toByteBuffer(Types.StringType.get(), "a")),
        upper = Map.of(1, Conversions.toByteBuffer(Types.LongType.get(), 1L << 40), 10, Conversions.toByteBuffer(Types.StringType.get(), "zz"));
    return DataFiles.builder(table.spec())
        .withPath("s3://warehouse/ns/t/" + name + ".parquet")
        .withFormat(FileFormat.PARQUET)
        .withPartition(partition)
        .withFileSizeInBytes(5000)
        .withMetrics(new Metrics(9L, sizes, values, nulls, nans, lower, upper))
        .withSplitOffsets(List.of(4L, 2500L))
        .withSortOrder(table.sortOrder())
        .withEncryptionKeyMetadata(ByteBuffer.wrap(new byte[] {1, 2, 3}))
        .build();
  }

  static void dump(Table table, Path dir) throws Exception {
    Files.createDirectories(dir);
    copy(table, ((BaseTable) table).operations().current().metadataFileLocation(), dir.resolve("metadata.json"));
    copy(table, table.currentSnapshot().manifestListLocation(), dir.resolve("list.avro"));
    StringBuilder out = new StringBuilder();
    int n = 0;
    for (ManifestFile m : table.currentSnapshot().allManifests(table.io())) {
      out.append(
          String.format(
              "manifest %d spec=%d content=%d seq=%d min=%d added=%d files=%d/%d/%d rows=%d/%d/%d key=%s%n",
              m.length(), m.partitionSpecId(), m.content().id(), m.sequenceNumber(), m.minSequenceNumber(), m.snapshotId(),
              m.addedFilesCount(), m.existingFilesCount(), m.deletedFilesCount(), m.addedRowsCount(), m.existingRowsCount(), m.deletedRowsCount(),
              hex(m.keyMetadata())));
      for (ManifestFile.PartitionFieldSummary s : m.partitions()) {
        out.append(String.format("summary null=%b nan=%s %s %s%n", s.containsNull(), s.containsNaN(), hex(s.lowerBound()), hex(s.upperBound())));
      }
      copy(table, m.path(), dir.resolve("m" + n++ + ".avro"));
      var reader = m.content() == ManifestContent.DATA ? ManifestFiles.read(m, table.io(), table.specs()) : ManifestFiles.readDeleteManifest(m, table.io(), table.specs());
      for (Object o : reader.entries()) {
        ManifestEntry<?> e = (ManifestEntry<?>) o;
        ContentFile<?> f = e.file();
        out.append(String.format("entry %d snap=%d seq=%d fileseq=%d content=%d %s %s rows=%d size=%d sort=%s key=%s%n",
                e.status().id(), e.snapshotId(), e.dataSequenceNumber(), e.fileSequenceNumber(), f.content().id(), f.location(), f.format(),
                f.recordCount(), f.fileSizeInBytes(), f.sortOrderId() == null ? 0 : f.sortOrderId(), hex(f.keyMetadata())));
        StringBuilder p = new StringBuilder("partition");
        for (int i = 0; i < f.partition().size(); i++) {
          Types.NestedField t = table.specs().get(f.specId()).partitionType().fields().get(i);
          Object v = f.partition().get(i, Object.class);
          p.append(' ').append(hex(Conversions.toByteBuffer(t.type(), v)));
        }
        out.append(p).append('\n');
        out.append("sizes").append(map(f.columnSizes(), Object::toString));
        out.append("values").append(map(f.valueCounts(), Object::toString));
        out.append("nulls").append(map(f.nullValueCounts(), Object::toString));
        out.append("nans").append(map(f.nanValueCounts(), Object::toString));
        out.append("lower").append(map(f.lowerBounds(), Generate::hex));
        out.append("upper").append(map(f.upperBounds(), Generate::hex));
        out.append(String.format("splits %s equality %s%n", list(f.splitOffsets()), list(f.equalityFieldIds())));
      }
    }
    Files.writeString(dir.resolve("expected.txt"), out.toString());
  }

  static String list(List<?> l) {
    return l == null ? "[]" : l.toString().replace(",", "");
  }

  static <V> String map(Map<Integer, V> m, Function<V, String> text) {
    StringBuilder b = new StringBuilder();
    if (m != null) {
      new TreeMap<>(m).forEach((k, v) -> b.append(' ').append(k).append('=').append(text.apply(v)));
    }
    return b.append('\n').toString();
  }

  static String hex(ByteBuffer b) {
    return b == null ? "null" : HexFormat.of().formatHex(bytes(b));
  }

  static byte[] bytes(ByteBuffer b) {
    byte[] bytes = new byte[b.remaining()];
    b.duplicate().get(bytes);
    return bytes;
  }

  static void copy(Table table, String location, Path to) throws Exception {
    try (InputStream in = table.io().newInputFile(location).newStream()) {
      Files.write(to, in.readAllBytes());
    }
  }
}
