package s3store

import (
	"bytes"
	"context"
	"hash/crc32"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"firn/commitlib/objstore"
	"firn/perf/peer"
	"firn/perf/tier"
)

// TestMemoryOfLargeObjects: two objects of many times the bound are created side by side within it. What a writer may
// hold is one part of its own, and the store's uploads Concurrency more.
func TestMemoryOfLargeObjects(t *testing.T) {
	tier.Need(t, tier.CI)
	const writers = 2
	s := openPeer(t, peer.S3(t))
	size := tier.Pick(0, 192<<20, 2<<30) / writers
	bound := int64(writers+s.cfg.Concurrency)*s.cfg.PartBytes + 32<<20 // buffers of connections, the SDK, the test
	defer debug.SetGCPercent(debug.SetGCPercent(10))                   // so that garbage does not count much
	runtime.GC()
	before := heapBytes()
	done, most := make(chan struct{}), make(chan int64, 1)
	go func() {
		peak := int64(0)
		for ticks := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-ticks.C:
				peak = max(peak, heapBytes()-before)
			case <-done:
				ticks.Stop()
				most <- peak
				return
			}
		}
	}()
	var all sync.WaitGroup
	var crcs [writers]uint32
	piece := noisyPiece()
	for n := range writers {
		all.Go(func() {
			w, err := s.Create(t.Context(), "large/"+string('a'+rune(n)), ifAbsent)
			if err != nil {
				t.Error(err)
				return
			}
			defer w.Abort()
			for written := 0; written < size; written += len(piece) {
				if _, err := w.Write(piece); err != nil {
					t.Error(err)
					return
				}
				crcs[n] = crc32.Update(crcs[n], castagnoli, piece)
			}
			info, err := w.Close()
			if err != nil || info.Checksum != formatCRC(crcs[n]) {
				t.Errorf("close: %+v, %v", info, err)
			}
		})
	}
	all.Wait()
	close(done)
	peak := <-most
	t.Logf("%d objects of %d MiB: at most %d MiB more on the heap, %d MiB allowed", writers, size>>20, peak>>20, bound>>20)
	if peak > bound {
		t.Errorf("%d MiB more on the heap, at most %d are allowed", peak>>20, bound>>20)
	}
	for n := range writers {
		head, err := s.Head(t.Context(), "large/"+string('a'+rune(n)))
		if err != nil || head.Checksum != formatCRC(crcs[n]) || head.Size < int64(size) {
			t.Errorf("head: %+v, %v; want %s", head, err, formatCRC(crcs[n]))
		}
	}
	part := make([]byte, len(piece))
	if _, err := s.ReadAt(context.Background(), "large/a", part, int64(size/2/len(piece)*len(piece))); err != nil || !bytes.Equal(part, piece) {
		t.Errorf("a piece in the midst: %v", err)
	}
	if err := s.Delete(t.Context(), "large/a", "large/b"); err != nil {
		t.Error(err)
	}
}

// noisyPiece is what the objects consist of; its size divides no part's.
func noisyPiece() []byte {
	return append(pattern(1<<20+77), objstore.Checksum(nil)...)
}

func heapBytes() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}
