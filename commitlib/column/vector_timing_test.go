package column

import (
	"fmt"
	"testing"
)

// BenchmarkAppend copies batches of 1,000 rows into one, as the segment builder does.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{82, 1024, 64 << 10} {
		b.Run(fmt.Sprintf("payload=%dB", size), func(b *testing.B) {
			const rows = 1000
			src := Vector{Kind: Bytes}
			payload := make([]byte, size)
			for range rows {
				if err := src.AppendBytes(payload); err != nil {
					b.Fatal(err)
				}
			}
			dst := Vector{Kind: Bytes}
			b.SetBytes(int64(len(src.Data)))
			b.ReportAllocs()
			for b.Loop() {
				if len(dst.Data) > 32<<20 {
					dst.Reset()
				}
				if err := dst.Append(&src, 0, rows); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
