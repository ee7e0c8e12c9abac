package commitlib

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// BenchmarkWarmCommit10Files appends snapshots of one request with ten files with full statistics to
// a table with that many retained snapshots and manifests; none is expired meanwhile, so that each
// commit is a little dearer than the last.
func BenchmarkWarmCommit10Files(b *testing.B) {
	for _, retained := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("snapshots=%d", retained), func(b *testing.B) {
			store := objstore.NewMem("mem://warehouse")
			quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
			cat := objectstore.New(store, objectstore.Config{Logger: quiet})
			id := catalog.Ident{Namespace: "default", Name: "clicks"}
			spec, err := iceberg.EventSpec(nil)
			if err != nil {
				b.Fatal(err)
			}
			t, err := cat.Create(b.Context(), id, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: NewTableProperties()})
			if err != nil {
				b.Fatal(err)
			}
			c := New(cat, store, Config{})
			log := uuid.Must(uuid.NewV7())
			next := Seq(1)
			commit := func() {
				r := benchRequest(t, log, next)
				next = r.Last + 1
				results, err := c.Commit(b.Context(), id, []*Request{r})
				if err != nil || results[0].Outcome != Applied {
					b.Fatal(results, err)
				}
			}
			for range retained {
				commit()
			}
			b.ReportAllocs()
			for b.Loop() {
				commit()
			}
		})
	}
}

// benchRequest has ten files of ten records.
func benchRequest(t *catalog.Table, log uuid.UUID, first Seq) *Request {
	schema, spec := t.Metadata.CurrentSchema(), t.Metadata.DefaultSpec()
	r := &Request{
		Version: Protocol, Table: t.Ident, TableUUID: t.Metadata.TableUUID, Location: t.Location, Log: log, First: first, Last: first + 99,
		SchemaHash: SchemaHash(schema), SpecHash: SpecHash(&spec), StagedAt: t.LoadedAt,
	}
	for i := range 10 {
		f := iceberg.DataFile{
			Path:      fmt.Sprintf("%s/data/event_time_hour=2026-11-23-%02d/%s-%d-%d-%d.parquet", t.Location, i, log, first, first+99, i),
			Partition: [][]byte{iceberg.EncodeInt(498_000 + int32(i))}, RecordCount: 10, FileSizeInBytes: 1000 + rand.Int64N(1000), SplitOffsets: []int64{4},
			ColumnSizes: map[int]int64{}, ValueCounts: map[int]int64{}, NullValueCounts: map[int]int64{}, LowerBounds: map[int][]byte{}, UpperBounds: map[int][]byte{},
		}
		for _, field := range schema.Fields {
			f.ColumnSizes[field.ID], f.ValueCounts[field.ID], f.NullValueCounts[field.ID] = 100, 10, 0
			switch field.Type {
			case iceberg.Int:
				f.LowerBounds[field.ID], f.UpperBounds[field.ID] = iceberg.EncodeInt(0), iceberg.EncodeInt(9)
			case iceberg.Long, iceberg.TimestampTZ:
				f.LowerBounds[field.ID], f.UpperBounds[field.ID] = iceberg.EncodeLong(int64(first)), iceberg.EncodeLong(int64(first+99))
			default:
				f.LowerBounds[field.ID], f.UpperBounds[field.ID] = []byte("aaaaaaaaaaaaaaaa"), []byte("zzzzzzzzzzzzzzz{")
			}
		}
		r.Files = append(r.Files, f)
	}
	return r
}
