package rocks

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"firn/ingestd/kv"
)

// C memory is not the collector's: whatever a call takes it gives back. A leak of one slice or option a call shows as
// tens of megabytes here.
func TestNoLeaks(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	var b kv.Batch
	b.Put(kv.Meta, []byte("k"), make([]byte, 1000))
	round := func() {
		for range 20_000 {
			if err := s.Write(&b, false); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Get(kv.Meta, []byte("k"), nil); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.Get(kv.Meta, []byte("none"), nil); err != nil {
				t.Fatal(err)
			}
			if err := s.Iterate(kv.Meta, nil, nil, false, func(_, _ []byte) error { return kv.ErrStop }); err != nil {
				t.Fatal(err)
			}
		}
	}
	round()
	round() // buffers and caches have grown by now
	before := resident(t)
	round()
	if grown := resident(t) - before; grown > 8<<20 {
		t.Errorf("20,000 rounds took %d bytes", grown)
	}
}

func TestOpenAndCloseGiveBack(t *testing.T) {
	dir := t.TempDir()
	round := func(n int) {
		for range n {
			s, err := Open(dir, small())
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Close()
		}
	}
	round(10)
	before := resident(t)
	round(20)
	if grown := resident(t) - before; grown > 10<<20 {
		t.Errorf("20 openings took %d bytes", grown)
	}
}

func resident(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(data))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}
