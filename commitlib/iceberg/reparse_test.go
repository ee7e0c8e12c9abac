package iceberg

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// wantSame checks that data reads the same after before as it does from nothing.
func wantSame(t *testing.T, data []byte, before *Metadata) *Metadata {
	t.Helper()
	whole, werr := ParseMetadata(data)
	got, err := ParseMetadataAfter(data, before)
	if (err == nil) != (werr == nil) {
		t.Fatalf("error is %v, from nothing %v, of %s", err, werr, data)
	}
	if err != nil || whole.FormatVersion < FormatVersion {
		return nil
	}
	if a, b := mustEncode(t, got), mustEncode(t, whole); a != b {
		t.Fatalf("read as\n%s\nfrom nothing as\n%s", a, b)
	}
	return got
}

func TestLaterStateSharesSnapshots(t *testing.T) {
	before, err := ParseMetadata([]byte(mustEncode(t, grow(t, newTestMetadata(t), 5))))
	if err != nil {
		t.Fatal(err)
	}
	shared := func(got *Metadata) (n int) {
		for _, s := range got.Snapshots {
			for _, b := range before.Snapshots {
				if s == b {
					n++
				}
			}
		}
		return n
	}
	later := grow(t, before, 2)
	f := func(what, data string, want int) {
		t.Helper()
		if got := wantSame(t, []byte(data), before); shared(got) != want {
			t.Errorf("%s: %d snapshots are shared, want %d", what, shared(got), want)
		}
	}
	f("the same", mustEncode(t, before), 5)
	f("two more", mustEncode(t, later), 5)
	f("with space between", strings.ReplaceAll(mustEncode(t, later), `},{"snapshot-id"`, "} ,\n\t{\"snapshot-id\""), 5)
	expired, err := later.WithoutSnapshots([]int64{before.Snapshots[0].ID, before.Snapshots[1].ID, before.Snapshots[3].ID}, "", time.UnixMilli(later.LastUpdatedMs+1))
	if err != nil {
		t.Fatal(err)
	}
	f("three forgotten", mustEncode(t, expired), 2)
	f("all written by another engine", strings.ReplaceAll(mustEncode(t, later), `"operation":"append"`, `"operation" : "append"`), 0)
	f("one changed in place", strings.Replace(mustEncode(t, later), before.Snapshots[2].ManifestList, before.Snapshots[2].ManifestList+"x", 1), 2)
	f("none left", mustEncode(t, newTestMetadata(t)), 0)
	f("nothing before", mustEncode(t, later), 5)
	wantSame(t, []byte(mustEncode(t, later)), newTestMetadata(t))
	wantSame(t, []byte(mustEncode(t, later)), nil)
	if got := wantSame(t, []byte(mustEncode(t, later)), later); len(got.Snapshots) != 7 || got.Snapshots[6] != later.Snapshots[6] {
		t.Error("a snapshot that was added here and read back is not shared")
	}
}

// What is read after another state does not hold on to the texts before it.
func TestLaterStatesHoldNoTexts(t *testing.T) {
	const states, bulk = 40, 1 << 20
	m := grow(t, newTestMetadata(t), 20)
	for _, s := range m.Snapshots {
		s.Summary["bulk"] = strings.Repeat("x", bulk/20)
		*s = *s.sealed()
		s.textOf = s
	}
	read, err := ParseMetadata([]byte(mustEncode(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before := heap()
	for range states {
		m = grow(t, m, 1)
		if read, err = ParseMetadataAfter([]byte(mustEncode(t, m)), read); err != nil {
			t.Fatal(err)
		}
	}
	if after := heap(); after > before+4*bulk {
		t.Errorf("after %d states of a megabyte the heap holds %d bytes more", states, after-before)
	}
	runtime.KeepAlive(read)
}

func FuzzParseMetadataAfter(f *testing.F) {
	good := grow(f, newTestMetadata(f), 3)
	f.Add(mustEncode(f, good), mustEncode(f, grow(f, good, 1)))
	for _, data := range foreignMetadata(f) {
		f.Add(string(data), string(data))
		f.Add(mustEncode(f, good), string(data))
	}
	f.Fuzz(func(t *testing.T, earlier, later string) {
		before, err := ParseMetadata([]byte(earlier))
		if err != nil {
			before = nil
		}
		wantSame(t, []byte(later), before)
	})
}

func BenchmarkParseMetadataAfter(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		m := agedTestMetadata(b, n)
		before, err := ParseMetadata([]byte(mustEncode(b, m)))
		if err != nil {
			b.Fatal(err)
		}
		data := []byte(mustEncode(b, grow(b, m, 1)))
		b.Run(fmt.Sprintf("snapshots=%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseMetadataAfter(data, before); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
