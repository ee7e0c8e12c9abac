package datafile

import (
	"bytes"
	"testing"

	"firn/commitlib/iceberg"
)

// BenchmarkManyFiles is the worst case of a backfill: a segment that is scattered over 8,736 hours, so that it becomes
// as many files of some 23 events each.
func BenchmarkManyFiles(b *testing.B) {
	const n = 200_000
	batch := scattered(b, n)
	e, err := NewEncoder(batch.Schema, Default())
	if err != nil {
		b.Fatal(err)
	}
	var buf bytes.Buffer
	files, size := 0, 0
	b.SetBytes(int64(batch.Size()))
	b.ReportAllocs()
	for b.Loop() {
		groups, err := Split(batch, spec(field(iceberg.FieldEventTime, "hour")))
		if err != nil {
			b.Fatal(err)
		}
		files, size = len(groups), 0
		for _, g := range groups {
			buf.Reset()
			if _, err := e.Encode(&buf, batch, g.Rows); err != nil {
				b.Fatal(err)
			}
			size += buf.Len()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*files), "µs/file")
	b.ReportMetric(float64(size)/float64(files), "B/file")
}
