// Package track makes the commit requests of one track, for measuring committers without an ingestd: a log of its own
// whose ranges follow one another, and data files with full statistics that do not exist, which no committer minds.
//
// For tests alone.
package track

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// RowsOfFile is how many events each data file of a request holds.
const RowsOfFile = 100

// Track is a log and how far its requests have got in one table. One goroutine owns it.
type Track struct {
	Table *catalog.Table // its schema, partition spec, UUID and location are what counts
	Log   uuid.UUID
	Next  commitlib.Seq
}

// New begins a log on a table.
func New(t *catalog.Table) *Track { return &Track{Table: t, Log: uuid.Must(uuid.NewV7()), Next: 1} }

// Spec is a table as ingestd makes one: partitioned by the hour of the event time.
func Spec() (catalog.Spec, error) {
	partition, err := iceberg.EventSpec(nil)
	return catalog.Spec{Schema: iceberg.EventSchema(iceberg.String), Partition: partition, Properties: commitlib.NewTableProperties()}, err
}

// Request is the next request, of so many data files. The one after it follows on it, whatever becomes of it.
func (t *Track) Request(files int) *commitlib.Request {
	schema, spec := t.Table.Metadata.CurrentSchema(), t.Table.Metadata.DefaultSpec()
	r := &commitlib.Request{
		Version: commitlib.Protocol, Table: t.Table.Ident, TableUUID: t.Table.Metadata.TableUUID, Location: t.Table.Location,
		Log: t.Log, First: t.Next, Last: t.Next + commitlib.Seq(files*RowsOfFile) - 1,
		SchemaID: schema.ID, SchemaHash: commitlib.SchemaHash(schema), SpecID: spec.ID, SpecHash: commitlib.SpecHash(&spec),
		StagedAt: time.Now(), Files: make([]iceberg.DataFile, files),
	}
	for i := range r.Files {
		r.Files[i] = t.file(schema, r, i)
	}
	t.Next = r.Last + 1
	return r
}

// Message is a request as a queue carries it.
func Message(r *commitlib.Request) (commitlib.Message, error) {
	body, err := commitlib.Encode(r)
	return commitlib.Message{ID: strconv.FormatUint(uint64(r.First), 10), Group: r.Group(), Body: body}, err
}

// file is the i-th data file of r: one of an hour, with statistics of all columns.
func (t *Track) file(schema *iceberg.Schema, r *commitlib.Request, i int) iceberg.DataFile {
	const hour = 498_000 // since 1970: some time in 2026
	first := int64(r.First) + int64(i*RowsOfFile)
	last := first + RowsOfFile - 1
	f := iceberg.DataFile{
		Path:      fmt.Sprintf("%s/data/event_time_hour=2026-10-24-%02d/%s-%d-%d-%d.parquet", t.Table.Location, i%24, t.Log, r.First, r.Last, i),
		Partition: [][]byte{iceberg.EncodeInt(hour + int32(i%24))}, RecordCount: RowsOfFile, FileSizeInBytes: 4000 + first%997, SplitOffsets: []int64{4},
		ColumnSizes: map[int]int64{}, ValueCounts: map[int]int64{}, NullValueCounts: map[int]int64{}, LowerBounds: map[int][]byte{}, UpperBounds: map[int][]byte{},
	}
	for _, c := range schema.Fields {
		f.ColumnSizes[c.ID], f.ValueCounts[c.ID], f.NullValueCounts[c.ID] = 500+first%89, RowsOfFile, 0
		switch c.Type {
		case iceberg.Int:
			f.LowerBounds[c.ID], f.UpperBounds[c.ID] = iceberg.EncodeInt(0), iceberg.EncodeInt(9)
		case iceberg.Long, iceberg.TimestampTZ:
			f.LowerBounds[c.ID], f.UpperBounds[c.ID] = iceberg.EncodeLong(first), iceberg.EncodeLong(last)
		default:
			f.LowerBounds[c.ID], f.UpperBounds[c.ID] = fmt.Appendf(nil, "a%015d", first), fmt.Appendf(nil, "z%015d", last)
		}
	}
	return f
}
