// Package commitlib appends staged data files to Iceberg tables, each event exactly once, beside anyone else who
// commits through the catalog's compare-and-swap. PROTOCOL.md gives the argument; the comment on run.commit, the steps.
//
// Invariants:
//   - A log's committed watermark changes only in the swap that makes its events' snapshot current.
//   - A request is applied only if it begins at its log's watermark + 1, decided anew on every attempt.
//   - A gap, an overlap or a rejection is decided only on a state loaded after the request arrived.
//   - Nothing that was written is ever deleted or overwritten here, whatever the outcome.
//
// flushlambda and ingestd's embedded committer run Committer.Handle on batches of messages; ingestd's shipper
// encodes requests and reads watermarks back with ReadWatermark. A Committer is safe for concurrent use.
package commitlib
