package zpage

import (
	"testing"

	"github.com/klauspost/compress/zstd"
)

// BenchmarkAppend compresses pages beside klauspost's encoder at its fastest level.
func BenchmarkAppend(b *testing.B) {
	other, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderCRC(false))
	if err != nil {
		b.Fatal(err)
	}
	var e Encoder
	for _, p := range []page{
		texts("counter", 0, 12_000, counter),
		texts("document", 0, 4_000, document),
		pages()[3],
		numbers("times", 8, 0, 20_000, aTime),
	} {
		for name, f := range map[string]func(dst []byte) []byte{
			"own":       func(dst []byte) []byte { return e.Append(dst, p.raw, p.rows) },
			"klauspost": func(dst []byte) []byte { return other.EncodeAll(p.raw, dst) },
		} {
			b.Run(p.name+"/"+name, func(b *testing.B) {
				b.SetBytes(int64(len(p.raw)))
				b.ReportAllocs()
				dst := make([]byte, 0, 2*len(p.raw))
				for b.Loop() {
					dst = f(dst[:0])
				}
				b.ReportMetric(float64(len(p.raw))/float64(len(dst)), "ratio")
			})
		}
	}
}
