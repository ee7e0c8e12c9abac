package rocks

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"firn/ingestd/kv"
)

// fill writes about so many bytes of blocks under rising keys, in batches as the event log's, and returns the next key.
func fill(t testing.TB, s *Store, from, bytes int, alsoMeta kv.Family) int {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{byte(from)})
	value := make([]byte, 16<<10)
	for done := 0; done < bytes; {
		var b kv.Batch
		for range 8 {
			_, _ = rng.Read(value) // never fails
			b.Put(kv.Blocks, binary.BigEndian.AppendUint64(nil, uint64(from)), value)
			from += len(value)
			done += len(value)
		}
		b.Put(alsoMeta, []byte("\xffwatermark"), binary.BigEndian.AppendUint64(nil, uint64(from)))
		if err := s.Write(&b, false); err != nil {
			t.Fatal(err)
		}
	}
	return from
}

// settled waits until the store's background work has come to rest.
func settled(s *Store) kv.Stats {
	var last kv.Stats
	for same := 0; same < 5; time.Sleep(50 * time.Millisecond) {
		now := s.Stats()
		if now.FileBytes == last.FileBytes && now.CompactedBytes == last.CompactedBytes {
			same++
		} else {
			same = 0
		}
		last = now
	}
	return last
}

// The two facts that the event log's use of disk stands on: blocks alone in their family are never
// rewritten, and dropping files frees them.
func TestBlocksAreMovedNotRewrittenAndFilesDrop(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	const total = 40 << 20
	end := fill(t, s, 0, total, kv.Meta)
	st := settled(s)
	if st.CompactedBytes[kv.Blocks] != 0 {
		t.Errorf("compaction wrote %d bytes of blocks", st.CompactedBytes[kv.Blocks])
	}
	if st.FileBytes[kv.Blocks] < total*9/10 {
		t.Fatalf("%d bytes in files of %d", st.FileBytes[kv.Blocks], total)
	}
	lo, hi := binary.BigEndian.AppendUint64(nil, 0), binary.BigEndian.AppendUint64(nil, uint64(end-8<<20))
	if err := s.DropFiles(kv.Blocks, lo, hi); err != nil {
		t.Fatal(err)
	}
	st = settled(s)
	if most := int64(8<<20 + 2*small().WriteBufferBytes); st.FileBytes[kv.Blocks] > most {
		t.Errorf("%d bytes are left in files, want at most %d", st.FileBytes[kv.Blocks], most)
	}
	n := 0
	if err := s.Iterate(kv.Blocks, hi, nil, false, func(_, _ []byte) error { n++; return nil }); err != nil || n != 8<<20>>14 {
		t.Errorf("%d blocks above the range, want %d (%v)", n, 8<<20>>14, err)
	}
	end = fill(t, s, end, 10<<20, kv.Meta)
	if got := settled(s).CompactedBytes[kv.Blocks]; got != 0 {
		t.Errorf("compaction wrote %d bytes of blocks after a drop", got)
	}
	if err := s.DropFiles(kv.Blocks, hi, lo); err != nil {
		t.Errorf("an empty range: %v", err)
	}
	_ = end
}

// One key that is written again and again among the blocks makes every file overlap with
// every other: why the families are apart.
func TestWatermarkKeysAmongBlocksCostRewriting(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	fill(t, s, 0, 40<<20, kv.Blocks)
	if st := settled(s); st.CompactedBytes[kv.Blocks] == 0 {
		t.Errorf("compaction wrote nothing: %+v", st)
	}
}

func TestBefore(t *testing.T) {
	f := func(in, want string, ok bool) {
		t.Helper()
		if got, have := before([]byte(in)); have != ok || ok && string(got) != want {
			t.Errorf("before(%q) = %q, %v", in, got, have)
		}
	}
	f("b", "a", true)
	f("\x01\x00", "\x00\xff", true)
	f("\x00\x00", "", false)
	f("", "", false)
}

// What was deleted behind a range costs its iteration nothing: the index of a thousand trimmed tables is little else.
func TestIterationEndsAtItsRange(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	key := func(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }
	const deleted = 100_000
	var b kv.Batch
	b.Put(kv.Index, key(deleted), []byte("middle"))
	for n := range deleted {
		b.Delete(kv.Index, key(n))
		b.Delete(kv.Index, key(deleted+1+n))
	}
	if err := s.Write(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, reverse := range []bool{false, true} {
		best := time.Hour // of some tries: other work on the machine only makes it longer
		for range 20 {
			start, found := time.Now(), 0
			if err := s.Iterate(kv.Index, key(deleted), key(deleted+1), reverse, func(_, _ []byte) error { found++; return nil }); err != nil || found != 1 {
				t.Fatalf("%d keys, %v", found, err)
			}
			best = min(best, time.Since(start))
		}
		if best > time.Millisecond {
			t.Errorf("reverse=%v: %v for one key with %d deleted ones behind it", reverse, best, deleted)
		}
	}
}
