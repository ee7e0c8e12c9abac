// Package iceberg holds the nouns of the Apache Iceberg table specification (format versions 1 to 3 are read, version 2
// is written) as plain structs, and their JSON. It does no I/O and knows no catalog.
//
// Invariants:
//   - What this package does not understand it carries: the values of unknown members of table metadata, snapshots,
//     schemas and specs survive a read and a write byte for byte, so that Firn never drops what another engine wrote.
//   - All types are plain values; none is safe for concurrent mutation, all are safe to share once built.
//
// Any package may import it; it imports nothing of Firn.
package iceberg

// Field ids of the events table. They are part of the table format: a released id is never given another meaning.
const (
	FieldLog            = 1
	FieldSequence       = 2
	FieldPartition      = 3
	FieldEventTime      = 4
	FieldIngestTime     = 5
	FieldIdempotencyKey = 6
	FieldPayload        = 7
)

// Type is the JSON text of an Iceberg type: a primitive's bare name ("long", "timestamptz", "decimal(9,2)",
// "fixed[16]"), or, for a nested type, its JSON object. Firn writes primitives only; nested types of other
// engines' tables are carried.
type Type string

// The primitive types that Firn itself writes.
const (
	Int         Type = "int"
	Long        Type = "long"
	String      Type = "string"
	Binary      Type = "binary"
	TimestampTZ Type = "timestamptz" // microseconds since the Unix epoch, UTC
)

// Field is one column (spec: "Schemas and Data Types", struct fields).
type Field struct {
	ID       int
	Name     string
	Required bool
	Type     Type
	Doc      string

	extra extras // default values and what else this struct does not name
}

// Schema is one version of a table's columns.
type Schema struct {
	ID     int
	Fields []Field

	extra extras // identifier-field-ids and what else this struct does not name
}

// FieldByID returns the column with that id.
func (s *Schema) FieldByID(id int) (Field, bool) {
	for _, f := range s.Fields {
		if f.ID == id {
			return f, true
		}
	}
	return Field{}, false
}

// EventSchema is the schema that Firn gives a new table; payload is String or Binary.
func EventSchema(payload Type) *Schema {
	return &Schema{ID: 0, Fields: []Field{
		{ID: FieldLog, Name: "log", Required: true, Type: String, Doc: "the log (one run of ingestd) that the event was acked in"},
		{ID: FieldSequence, Name: "sequence", Required: true, Type: Long, Doc: "dense number of the event in (log, table), from 1"},
		{ID: FieldPartition, Name: "partition", Required: true, Type: Int, Doc: "producer-chosen lane"},
		{ID: FieldEventTime, Name: "event_time", Required: true, Type: TimestampTZ, Doc: "when the event happened, as its producer says"},
		{ID: FieldIngestTime, Name: "ingest_time", Required: true, Type: TimestampTZ, Doc: "when ingestd received the event"},
		{ID: FieldIdempotencyKey, Name: "idempotency_key", Required: false, Type: String},
		{ID: FieldPayload, Name: "payload", Required: true, Type: payload},
	}}
}
