package datafile

import (
	"bytes"
	"runtime"
	"testing"
)

// TestEncoderMemory holds what the Encoder's comment states: what it keeps between files, and what a file costs it.
func TestEncoderMemory(t *testing.T) {
	b := events(t, 20_000, page, 1)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	limits := map[Level]uint64{Fastest: 3 << 20, Normal: 6 << 20, Better: 9 << 20, Best: 40 << 20}
	for _, level := range levels() {
		limit := limits[level]
		var buf bytes.Buffer
		buf.Grow(16 << 20)
		before := heap()
		cfg := Default()
		cfg.Level = level
		e, err := NewEncoder(b.Schema, cfg)
		if err != nil {
			t.Fatal(err)
		}
		rows := everyThird(6_000)
		if _, err := e.Encode(&buf, b, rows); err != nil {
			t.Fatal(err)
		}
		kept := heap() - before
		t.Logf("level %d keeps %d KiB", level, kept>>10)
		if kept > limit {
			t.Errorf("level %d: keeps %d bytes, want at most %d", level, kept, limit)
		}
		var from, to runtime.MemStats
		buf.Reset()
		runtime.ReadMemStats(&from)
		if _, err := e.Encode(&buf, b, rows); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&to)
		t.Logf("a file costs %d KiB", (to.TotalAlloc-from.TotalAlloc)>>10)
		if got := to.TotalAlloc - from.TotalAlloc; got > 1<<20 {
			t.Errorf("level %d: a file costs %d bytes beside its buffer", level, got)
		}
		runtime.KeepAlive(e)
	}
}
