import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.HashMap;
import java.util.Map;
import org.apache.iceberg.CatalogProperties;
import org.apache.iceberg.DataFile;
import org.apache.iceberg.DataFiles;
import org.apache.iceberg.FileScanTask;
import org.apache.iceberg.PartitionSpec;
import org.apache.iceberg.SchemaParser;
import org.apache.iceberg.Table;
import org.apache.iceberg.aws.glue.GlueCatalog;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.io.CloseableIterable;
import org.apache.iceberg.types.Types;

/**
 * Iceberg's own Glue catalog as another user of an account: runs the steps that it reads from standard input, a line
 * each with tabs between the words, and answers each with a line. The environment says where, as for glue_client.py; the
 * account is AWS_ACCESS_KEY_ID.
 */
public class GlueClient {
  private static GlueCatalog catalog;

  public static void main(String[] args) throws Exception {
    Map<String, String> env = System.getenv();
    Map<String, String> p = new HashMap<>();
    p.put("glue.endpoint", env.get("GLUE"));
    p.put("client.region", "us-east-1");
    p.put(CatalogProperties.WAREHOUSE_LOCATION, env.get("WAREHOUSE"));
    p.put("s3.endpoint", env.get("S3"));
    p.put("s3.path-style-access", "true");
    p.put("s3.access-key-id", env.get("S3_KEY"));
    p.put("s3.secret-access-key", env.get("S3_SECRET"));
    catalog = new GlueCatalog();
    catalog.initialize("theirs", p);

    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      System.out.println(step(line.split("\t")));
    }
  }

  private static String step(String[] w) throws Exception {
    TableIdentifier id = w.length > 2 ? TableIdentifier.of(w[1], w[2]) : null;
    switch (w[0]) {
      case "create_database":
        catalog.createNamespace(Namespace.of(w[1]), Map.of("location", w[2]));
        return "done";
      case "create":
        catalog.createTable(id, SchemaParser.fromJson(w[3]), PartitionSpec.unpartitioned());
        return "done";
      case "add_column":
        catalog.loadTable(id).updateSchema().addColumn(w[3], Types.LongType.get()).commit();
        return "done";
      case "set_property":
        catalog.loadTable(id).updateProperties().set(w[3], w[4]).commit();
        return "done";
      case "append": // path, bytes, rows: a data file that lies there already
        DataFile file =
            DataFiles.builder(PartitionSpec.unpartitioned())
                .withPath(w[3])
                .withFileSizeInBytes(Long.parseLong(w[4]))
                .withRecordCount(Long.parseLong(w[5]))
                .build();
        catalog.loadTable(id).newFastAppend().appendFile(file).commit();
        return "done";
      case "rows":
        Table t = catalog.loadTable(id);
        long rows = 0;
        try (CloseableIterable<FileScanTask> files = t.newScan().planFiles()) {
          for (FileScanTask f : files) {
            rows += f.file().recordCount();
          }
        }
        return Long.toString(rows);
      default:
        throw new IllegalArgumentException(w[0]);
    }
  }
}
