package ship

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/google/uuid"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
	"firn/ingestd/event"
	"firn/ingestd/eventlog"
)

// BenchmarkRows turns blocks of 100 events, as the log hands them over, into a segment's rows; an op is a block.
func BenchmarkRows(b *testing.B) {
	in := eventlog.Rows{Batch: &column.Batch{Schema: event.Schema, Len: 100}}
	for _, f := range event.Schema.Fields {
		kind, err := column.KindOf(f.Type)
		if err != nil {
			b.Fatal(err)
		}
		v := column.Vector{Kind: kind}
		switch f.ID {
		case iceberg.FieldPartition:
			v.SetInt32(3)
		case iceberg.FieldEventTime:
			v.SetInt64(1_790_000_000_000_000)
		case iceberg.FieldPayload:
			var raw [41]byte
			for i := range 100 {
				binary.BigEndian.PutUint64(raw[i%30:], uint64(i)*0x9E3779B97F4A7C15)
				if err := v.AppendBytes(hex.AppendEncode(nil, raw[:])); err != nil {
					b.Fatal(err)
				}
			}
		default:
			v.SetNull()
		}
		in.Batch.Cols = append(in.Batch.Cols, v)
	}
	var r rows
	schema := iceberg.EventSchema(iceberg.String)
	b.ReportAllocs()
	for b.Loop() {
		if r.batch == nil || r.batch.Len > 250_000 {
			if err := r.begin(schema, uuid.UUID{1}, 1); err != nil {
				b.Fatal(err)
			}
			in.First = 1
		}
		in.Batch.Col(iceberg.FieldEventTime).Int64s[0] += 1000 // each block has a time of its own
		in.Ingest += 1000
		if err := r.add(in); err != nil {
			b.Fatal(err)
		}
		in.First += 100
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/event")
}
