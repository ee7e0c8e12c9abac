package datafile

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkEncode encodes batches of unique events; MB/s are of payload bytes.
func BenchmarkEncode(b *testing.B) {
	for _, level := range []Level{Fastest, Normal} {
		for _, kind := range []payloadKind{counter, page, noise} {
			for _, n := range []int{1_000, 100_000} {
				b.Run(fmt.Sprintf("level=%d/%s/rows=%d", level, kind, n), func(b *testing.B) {
					batch := events(b, n, kind, 1)
					cfg := Default()
					cfg.Level = level
					e, err := NewEncoder(batch.Schema, cfg)
					if err != nil {
						b.Fatal(err)
					}
					var buf bytes.Buffer
					payload := len(batch.Cols[len(batch.Cols)-1].Data)
					b.SetBytes(int64(payload))
					b.ReportAllocs()
					for b.Loop() {
						buf.Reset()
						if _, err := e.Encode(&buf, batch, nil); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
					b.ReportMetric(float64(buf.Len())/float64(n), "B/event")
				})
			}
		}
	}
}
