// Package datafile turns column batches into Parquet data files with the statistics that Iceberg manifests carry, and
// reads such files back. It is the one package that knows parquet-go.
//
// Invariants:
//   - Equal input gives equal bytes: no clock, no map order, no state from earlier files reaches a file. createdBy names
//     the encoder's output and changes whenever equal input begins to give other bytes.
//   - Columns are found by Iceberg field id, never by name or place.
//   - Statistics are computed here, from the rows, in the pass that encodes them; a bound is exact, or
//     truncated outwards, or absent, never inside the true range.
//   - Read takes any bytes: what is damaged or foreign is an error, never a panic, and memory stays in proportion to the
//     file's size and the limit in Read.
//
// Pages are assembled here from parquet-go's encodings and Thrift types, not by its Writer: its column writers take a
// []parquet.Value, 24 bytes and one copy for each value, and keep every page until the row group ends. Measured side
// by side by BenchmarkEncode and BenchmarkParquetGoWriter, which also serves as an oracle for the format.
//
// Only encodings that every Iceberg reader has are written: PLAIN and RLE_DICTIONARY in version 1 data pages, zstd.
// Iceberg's vectorized Spark reader refuses DELTA_BINARY_PACKED before 1.10 and DELTA_LENGTH_BYTE_ARRAY before 1.11
// (apache/iceberg#7162), Velox and Redshift lag as well; a table that some engine cannot open is worth less than the
// bytes saved.
//
// The data path (ship, compaction) imports this package; the committer must not, so that it stays lean.
package datafile
