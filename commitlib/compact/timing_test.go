package compact

import (
	"context"
	"fmt"
	"testing"
)

// BenchmarkCompact merges twelve files whose times follow one another but for a minute of overlap, as segments' do, and
// verifies and commits what comes of it; MB/s are of values as they lie in memory, and file-MB/s of the files read.
func BenchmarkCompact(b *testing.B) {
	for _, size := range []int{82, 1024} {
		for name, step := range map[string]int{"overlapping": 30, "all at once": 0} {
			b.Run(fmt.Sprintf("payload=%d/%s", size, name), func(b *testing.B) {
				var values, read int64
				for b.Loop() {
					b.StopTimer()
					w := newWorld(b)
					c := w.committer()
					for i := range 12 {
						events := w.events(8<<20/(size+48), step*i)
						r := w.request(pad(events, size))
						for _, f := range r.Files {
							read += f.FileSizeInBytes
						}
						w.commit(c, r)
					}
					values = int64(12 * (8 << 20))
					cp := w.compactor(func(cfg *Config) { cfg.MemoryBytes = 256 << 20 })
					b.StartTimer()
					rep, err := cp.Table(context.Background(), w.id, 0, false)
					if err != nil || rep.Jobs != 1 {
						b.Fatalf("%+v (%v)", rep, err)
					}
				}
				b.SetBytes(values)
				b.ReportMetric(float64(read)/float64(b.N)/1e6/(b.Elapsed().Seconds()/float64(b.N)), "file-MB/s")
			})
		}
	}
}

// pad lengthens payloads to size.
func pad(events []event, size int) []event {
	for i := range events {
		p := events[i].payload[:len(events[i].payload)-1]
		for len(p) < size-20 {
			p = fmt.Appendf(p, `,"k%d":"%x"`, len(p)%7, i*len(p))
		}
		events[i].payload = append(p, '}')
	}
	return events
}
