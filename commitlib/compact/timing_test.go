package compact

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"firn/commitlib"
	"firn/commitlib/iceberg"
)

// BenchmarkCompact merges twelve files whose times follow one another but for a minute of overlap, as segments' do, and
// verifies and commits what comes of it; MB/s are of values as they lie in memory, and file-MB/s of the files read.
func BenchmarkCompact(b *testing.B) {
	for _, size := range []int{82, 1024} {
		for name, step := range map[string]int{"overlapping": 30, "all at once": 0} {
			b.Run(fmt.Sprintf("payload=%d/%s", size, name), func(b *testing.B) {
				var values, read int64
				var used time.Duration
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
					cp := w.compactor(roomy)
					runtime.GC() // of what the preparation left
					before := cpu()
					b.StartTimer()
					rep, err := cp.Table(context.Background(), w.id, 0, false)
					if err != nil || rep.Jobs != 1 {
						b.Fatalf("%+v (%v)", rep, err)
					}
					used += cpu() - before
				}
				b.SetBytes(values)
				b.ReportMetric(float64(values)*float64(b.N)/1e6/used.Seconds(), "MB/cpu-s")
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

// BenchmarkCopy joins files that were merged before and follow one another in time: their row groups are copied, checked,
// and read back. MB/s are of values as they lie in memory.
func BenchmarkCopy(b *testing.B) {
	for _, size := range []int{82, 1024} {
		b.Run(fmt.Sprintf("payload=%d", size), func(b *testing.B) {
			const parts, part = 4, 64 << 20
			var read int64
			var used time.Duration
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b, iceberg.PartitionNone)
				for p := range parts {
					var reqs []*commitlib.Request
					for i := range 10 {
						reqs = append(reqs, w.request(pad(w.events(part/10/(size+48), 3600*p+60*i), size)))
					}
					w.commit(w.committer(), reqs...)
					rep, err := w.compactor(roomy).Table(context.Background(), w.id, 0, false)
					if err != nil || rep.Jobs != 1 {
						b.Fatalf("%+v (%v)", rep, err)
					}
				}
				for _, f := range w.live(w.load()) {
					read += f.FileSizeInBytes
				}
				w.pass(time.Hour)
				cp := w.compactor(roomy)
				runtime.GC() // of what the preparation left
				before := cpu()
				b.StartTimer()
				rep, err := cp.Table(context.Background(), w.id, 0, false)
				if err != nil || rep.Jobs != 1 || rep.Copied*4 < rep.Rows*3 {
					b.Fatalf("%+v (%v)", rep, err)
				}
				used += cpu() - before
			}
			b.SetBytes(parts * part)
			b.ReportMetric(float64(parts*part)*float64(b.N)/1e6/used.Seconds(), "MB/cpu-s")
			b.ReportMetric(float64(read)/1e6/b.Elapsed().Seconds(), "file-MB/s")
		})
	}
}

// cpu is the processor time that this process has used: of a busy machine the clock tells little.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func roomy(cfg *Config) { cfg.MemoryBytes = 256 << 20 }
