// Package event turns request bodies into batches of events. It holds the batch that producers fill, its
// decoders (one event, a JSON envelope of many, NDJSON), the limits that bound them, and the errors that
// tell a producer what was wrong and where.
//
// Invariants:
//   - A decoder either fills the whole batch or returns an *Error and leaves the batch empty:
//     all of a request or nothing of it.
//   - What a decoder accepts is valid: payloads of text tables are UTF-8, JSON is strict RFC 8259 (no lone surrogate,
//     no invalid UTF-8, bounded depth), times lie in the table's window, partitions are 0..2³¹-1.
//   - Bodies are read once, straight into the batch's arenas: no allocation, lock or map entry per event, and no copy
//     of the body is kept, so its buffer may be reused as soon as the decoder returns.
//   - Memory is bounded by the body: a batch holds at most as many bytes as the body had (twice, while
//     base64 is decoded), plus 25 per event.
//
// The package does no I/O and reads no clock. httpapi calls the decoders; eventlog takes the batches.
package event

import (
	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// Schema is the part of the events table's columns that a producer chooses; the log adds the rest. Payload is declared
// as bytes here whatever the table says: that text is UTF-8 was checked by the decoder.
var Schema = &iceberg.Schema{ID: 0, Fields: []iceberg.Field{
	{ID: iceberg.FieldPartition, Name: "partition", Required: true, Type: iceberg.Int},
	{ID: iceberg.FieldEventTime, Name: "event_time", Required: true, Type: iceberg.TimestampTZ},
	{ID: iceberg.FieldIdempotencyKey, Name: "idempotency_key", Required: false, Type: iceberg.String},
	{ID: iceberg.FieldPayload, Name: "payload", Required: true, Type: iceberg.Binary},
}}

// Positions of Schema's columns in Batch.Cols.
const (
	ColPartition = iota // column.Int32
	ColTime             // column.Int64, microseconds since the Unix epoch
	ColKey              // column.Bytes, null where the event has no idempotency key
	ColPayload          // column.Bytes
	numCols
)

var kinds = [numCols]column.Kind{column.Int32, column.Int64, column.Bytes, column.Bytes}
