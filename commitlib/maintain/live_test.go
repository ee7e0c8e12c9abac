package maintain

import (
	"fmt"
	"testing"
)

func TestLiveSet(t *testing.T) {
	var l liveSet
	const n = 100_000
	key := func(i int) string { return fmt.Sprintf("default/clicks/data/%08d.parquet", i) }
	for i := range n {
		l.add(key(i), i%1000 == 7)
		l.add(key(i), false) // named by several snapshots
	}
	l.seal()
	if len(l.hashes) != n || l.missing != n-n/1000 {
		t.Fatalf("%d hashes, %d missing before anything was listed", len(l.hashes), l.missing)
	}
	for i := range n {
		if i != 3 && i != 1007 && !l.has(key(i)) {
			t.Fatalf("%s is not live", key(i))
		}
	}
	if l.missing != 1 || !l.unseen(key(3)) || l.unseen(key(1007)) || l.unseen(key(4)) || l.has(key(n)) || l.unseen(key(n)) {
		t.Errorf("%d are missing, want the one that was not listed and must be", l.missing)
	}
}

// What a sweep costs for each file that the table has: filling the set, and asking it once.
func BenchmarkLiveSet(b *testing.B) {
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("default/clicks/data/event_time_hour=2026-11-23-06/018f3b1e-0000-7000-8000-%012d-1-10-0.parquet", i)
	}
	b.ReportAllocs()
	for b.Loop() {
		var l liveSet
		for _, k := range keys {
			l.add(k, false)
		}
		l.seal()
		for _, k := range keys {
			l.has(k)
		}
		if l.missing > 0 {
			b.Fatal(l.missing)
		}
	}
}
