package eventlog

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"firn/ingestd/kv"
)

func TestDuplicates(t *testing.T) {
	m := kv.NewMem()
	l := mustOpen(t, m, testConfig())
	f := func(a Appended, accepted, duplicates int, first, last Seq) {
		t.Helper()
		if a.Accepted != accepted || a.Duplicates != duplicates || a.First != first || a.Last != last {
			t.Errorf("got %+v, want %d accepted, %d duplicates, [%d, %d]", a, accepted, duplicates, first, last)
		}
	}
	a := mustPut(t, l, "t", "a|1", "b|2", "c|3")
	f(a, 3, 0, 1, 3)
	f(mustPut(t, l, "t", "a|1", "b|2", "c|3"), 0, 3, 1, 3)             // a retry
	f(mustPut(t, l, "t", "b|other payload"), 0, 1, 2, 2)               // the key decides
	f(mustPut(t, l, "t", "x|4", "a|1", "5", "x|4", "y|6"), 3, 2, 4, 6) // some new, one without a key, one twice inside
	f(mustPut(t, l, "u", "a|1"), 1, 0, 1, 1)                           // another table
	f(mustPut(t, l, "t", "y|6"), 0, 1, 6, 6)
	want := []string{"1", "2", "3", "4", "5", "6"}
	if got := payloads(t, l, a.Track); !slices.Equal(got, want) {
		t.Errorf("read %q", got)
	}
	if got := payloadsOf(t, l, a.Track, 5, 5); !slices.Equal(got, []string{"5"}) {
		t.Errorf("read %q out of a block with dropped rows", got)
	}
	_ = l.Close()
	l = mustOpen(t, m, testConfig())
	if got := payloads(t, l, a.Track); !slices.Equal(got, want) {
		t.Errorf("read %q after a restart", got)
	}
	b := mustPut(t, l, "t", "y|6", "b|2") // over all logs of the directory
	f(b, 0, 2, 6, 6)
	if b.Log != a.Log {
		t.Errorf("the retry got log %v, the first was %v", b.Log, a.Log)
	}
	f(mustPut(t, l, "t", "z|7"), 1, 0, 1, 1)
	checkDedup(t, l)
}

// The same key from many callers at once is stored once, and nobody is answered before that is durable.
func TestDuplicatesInFlight(t *testing.T) {
	s := &slowStore{kv.NewMem(), make(chan struct{}, 100)}
	s.gate <- struct{}{}
	l := mustOpen(t, s, testConfig())
	var mu sync.Mutex
	accepted, seqs := 0, map[Seq]bool{}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			a, err := l.put(t, "t", "k|x")
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			accepted += a.Accepted
			seqs[a.First] = true
		})
	}
	settle(l)
	mu.Lock()
	if len(seqs) > 0 {
		t.Error("a duplicate was answered before the first was durable")
	}
	mu.Unlock()
	close(s.gate)
	wg.Wait()
	if accepted != 1 || len(seqs) != 1 || !seqs[1] {
		t.Errorf("%d accepted, sequences %v", accepted, seqs)
	}
}

func TestKeysExpire(t *testing.T) {
	now := present
	c := testConfig()
	c.Clock = func() time.Time { return now }
	c.DedupWindow = time.Hour
	m := kv.NewMem()
	l := mustOpen(t, m, c)
	mustPut(t, l, "t", "a|1", "b|2")
	now = now.Add(time.Hour - time.Millisecond)
	if a := mustPut(t, l, "t", "a|1"); a.Duplicates != 1 {
		t.Errorf("within the window: %+v", a)
	}
	now = now.Add(time.Millisecond)
	if a := mustPut(t, l, "t", "a|1"); a.Accepted != 1 || a.First != 3 { // takes the place of the old one
		t.Errorf("after the window: %+v", a)
	}
	checkDedup(t, l)
	if err := l.Trim(now, nil); err != nil {
		t.Fatal(err)
	}
	checkDedup(t, l)
	if a := mustPut(t, l, "t", "a|1"); a.Duplicates != 1 || a.First != 3 {
		t.Errorf("what came anew was forgotten with what it replaced: %+v", a)
	}
	now = now.Add(2 * time.Hour)
	if err := l.Trim(now, nil); err != nil {
		t.Fatal(err)
	}
	if l.dedup != 0 {
		t.Errorf("%d bytes are remembered after all has expired", l.dedup)
	}
	checkDedup(t, l)
}

func TestManyKeysExpireInSteps(t *testing.T) {
	now := present
	c := testConfig()
	c.Clock = func() time.Time { return now }
	l := mustOpen(t, kv.NewMem(), c)
	for i := range 30 {
		keys := numbered(fmt.Sprint("k", i), 100)
		for j := range keys {
			keys[j] += "|x"
		}
		mustPut(t, l, "t", keys...)
		now = now.Add(time.Millisecond)
	}
	groups := l.Stats().Groups
	now = now.Add(25 * time.Hour)
	if err := l.Trim(now, nil); err != nil {
		t.Fatal(err)
	}
	if got := l.Stats().Groups - groups; l.dedup != 0 || got < 3 {
		t.Errorf("%d bytes left, forgotten in %d steps", l.dedup, got)
	}
	checkDedup(t, l)
}

func TestFullBudgetRefusesNewKeys(t *testing.T) {
	c := testConfig()
	c.DedupBytes = 300
	l := mustOpen(t, kv.NewMem(), c)
	mustPut(t, l, "t", "a|1", "b|2")
	_, err := l.put(t, "t", "c|3", "d|4", "e|5")
	wantErr(t, err, ErrDedupFull)
	if a := mustPut(t, l, "t", "b|2"); a.Duplicates != 1 {
		t.Errorf("a retry: %+v", a)
	}
	if a := mustPut(t, l, "t", "no key"); a.First != 3 {
		t.Errorf("without a key: %+v", a)
	}
	if a := mustPut(t, l, "t", "c|3"); a.Accepted != 1 || a.First != 4 { // the refused one claimed nothing
		t.Errorf("one key: %+v", a)
	}
	if l.dedup > c.DedupBytes {
		t.Errorf("%d bytes are remembered", l.dedup)
	}
	checkDedup(t, l)
}

func FuzzExpiryRecord(f *testing.F) {
	f.Add(append(make([]byte, 16), 3, 'a', 'b', 'c', 0))
	f.Fuzz(func(t *testing.T, v []byte) {
		n := 0
		if count, err := eachKey(v, func(k []byte) error { n++; return nil }); err == nil && count != n {
			t.Errorf("%d keys, visited %d", count, n)
		}
	})
}
