// Package datafile turns column batches into Parquet data files with the statistics that Iceberg manifests carry, and
// reads such files back. It is the one package that knows parquet-go.
//
// Invariants:
//   - Equal input gives equal bytes: no clock, no map order, no state from earlier files reaches a file. createdBy
//     names the encoder's output and changes whenever equal input begins to give other bytes.
//   - Columns are found by Iceberg field id, never by name or place.
//   - Statistics are computed here, from the rows, in the pass that encodes them; a bound is exact, or
//     truncated outwards, or absent, never inside the true range.
//   - Read takes any bytes: what is damaged or foreign is an error, never a panic, and memory stays in proportion to
//     the file's size and the limit in Read.
//
// Pages are assembled here from parquet-go's encodings and Thrift types, not by its Writer: its column writers take a
// []parquet.Value, 24 bytes and one copy for each value, and keep every page until the row group ends. Events of 82
// bytes took 1.6 times as long that way (BenchmarkParquetGoWriter beside BenchmarkEncode). What was left was zstd for 80
// to 90 %; package zpage, which knows where a page's rows begin, takes 0.6 of its time for events of 82 bytes.
//
// Only encodings that every Iceberg reader has are written: PLAIN and RLE_DICTIONARY in version 1 data pages,
// zstd. Iceberg's vectorized Spark reader refuses DELTA_BINARY_PACKED before 1.10 and DELTA_LENGTH_BYTE_ARRAY
// before 1.11 (apache/iceberg#7162, #15362), and other engines lag as well. A table that an engine cannot open is
// worth less than what they would save on 100,000 events of 82 bytes, the case that favours them most:
// DELTA_BINARY_PACKED for sequence and times 1.2 of 19.3 bytes an event, DELTA_LENGTH_BYTE_ARRAY for payloads 0.2.
//
// ship imports this package to encode what it stages; the committer must not, so that it stays lean.
package datafile
