package eventlog

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"testing"
	"time"

	"firn/ingestd/kv"
)

func TestCutsAndWatermarks(t *testing.T) {
	m := kv.NewMem()
	now := present
	c := testConfig()
	c.Clock = func() time.Time { return now }
	l := mustOpen(t, m, c)
	changed := l.Changed()
	a := mustPut(t, l, "t", "1", "2", "3")
	<-changed
	now = now.Add(time.Minute)
	mustPut(t, l, "t", "4", "5")
	id := a.Track
	check := func(low, committed, cut, high Seq, pending, uncommitted time.Time) {
		t.Helper()
		for _, l := range []*Log{l, mustOpen(t, m.Copy(), c)} {
			i, _ := l.Track(id)
			if i.Low != low || i.Committed != committed || i.Cut != cut || i.High != high || !i.OldestPending.Equal(pending) || !i.OldestUncommitted.Equal(uncommitted) {
				t.Errorf("got %+v", i)
			}
			newOracle(t, "").checkBytes(l, i)
		}
	}
	none, first, second := time.Time{}, present, present.Add(time.Minute)
	check(1, 0, 0, 5, first, first)
	wantErr(t, l.Cut(id, Cut{First: 2, Last: 3}), ErrCutConflict)
	wantErr(t, l.Cut(id, Cut{First: 1, Last: 6}), ErrCutConflict)
	wantErr(t, l.Cut(id, Cut{First: 1, Last: 0}), ErrCutConflict)
	wantErr(t, l.Cut(77, Cut{First: 1, Last: 1}), ErrUnknownTrack)
	one := Cut{First: 1, Last: 2, SchemaID: 1, SpecID: 2}
	two := Cut{First: 3, Last: 4, SchemaID: 1, SpecID: 2}
	for _, c := range []Cut{one, two} {
		if err := l.Cut(id, c); err != nil {
			t.Fatal(err)
		}
	}
	check(1, 0, 4, 5, second, first)
	two.Attempt, two.StagedAt, two.Request = 3, time.UnixMilli(12345), []byte("request")
	if err := l.UpdateCut(id, two); err != nil {
		t.Fatal(err)
	}
	wantErr(t, l.UpdateCut(id, Cut{First: 3, Last: 5}), ErrCutConflict)
	wantErr(t, l.UpdateCut(id, Cut{First: 5, Last: 5}), ErrCutConflict)
	for _, l := range []*Log{l, mustOpen(t, m.Copy(), c)} {
		if cuts, err := l.Cuts(id); err != nil || !reflect.DeepEqual(cuts, []Cut{one, two}) {
			t.Errorf("cuts %+v, %v", cuts, err)
		}
	}
	if err := l.SetCommitted(id, 3); err != nil { // inside the second segment
		t.Fatal(err)
	}
	check(1, 3, 4, 5, second, second)
	wantErr(t, l.SetCommitted(id, 2), ErrWatermarkBack)
	wantErr(t, l.SetCommitted(id, 6), ErrWatermarkAhead)
	wantErr(t, mustOpen(t, m.Copy(), c).SetCommitted(id, 2), ErrWatermarkBack)
	if cuts, err := l.Cuts(id); err != nil || !reflect.DeepEqual(cuts, []Cut{two}) {
		t.Errorf("cuts %+v, %v", cuts, err)
	}
	if err := l.DropCuts(id, 4); err != nil { // the rest is cut anew
		t.Fatal(err)
	}
	check(1, 3, 3, 5, second, second)
	if err := l.DropCuts(id, 1); err != nil {
		t.Fatal(err)
	}
	if err := l.Cut(id, Cut{First: 4, Last: 5}); err != nil {
		t.Fatal(err)
	}
	check(1, 3, 5, 5, none, second)
	if err := l.SetCommitted(id, 5); err != nil {
		t.Fatal(err)
	}
	check(1, 5, 5, 5, none, none)
	if err := l.Trim(now, func(Table) time.Duration { return 30 * time.Second }); err != nil { // the second block is still hot
		t.Fatal(err)
	}
	check(4, 5, 5, 5, none, none)
	if err := l.Trim(now, nil); err != nil {
		t.Fatal(err)
	}
	check(6, 5, 5, 5, none, none)
	mustPut(t, l, "t", "6")
	check(6, 5, 5, 6, second, second)
}

// A watermark may cover what was never cut here: an earlier copy of the directory shipped it.
func TestWatermarkBeyondTheCuts(t *testing.T) {
	m := kv.NewMem()
	l := mustOpen(t, m, testConfig())
	id := mustPut(t, l, "t", "1", "2", "3").Track
	mustPut(t, l, "t", "4")
	if err := l.Cut(id, Cut{First: 1, Last: 1}); err != nil {
		t.Fatal(err)
	}
	if err := l.SetCommitted(id, 2); err != nil {
		t.Fatal(err)
	}
	i, _ := l.Track(id)
	if i.Cut != 2 || i.Committed != 2 {
		t.Errorf("got %+v", i)
	}
	newOracle(t, "").checkBytes(l, i)
	newOracle(t, "").checkBytes(mustOpen(t, m.Copy(), testConfig()), i)
}

// Requests of megabytes are not read where only the ranges of the cuts are wanted.
func TestWatermarksDoNotReadRequests(t *testing.T) {
	l := mustOpen(t, kv.NewMem(), testConfig())
	id := mustPut(t, l, "t", numbered("e", 8)...).Track
	for s := Seq(1); s <= 8; s++ {
		c := Cut{First: s, Last: s}
		if err := l.Cut(id, c); err != nil {
			t.Fatal(err)
		}
		c.Request = make([]byte, 1<<20)
		if err := l.UpdateCut(id, c); err != nil {
			t.Fatal(err)
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := l.SetCommitted(id, 2); err != nil {
		t.Fatal(err)
	}
	c, ok, err := l.CutAt(id, 5)
	runtime.ReadMemStats(&after)
	if err != nil || !ok || c.Last != 5 || len(c.Request) != 1<<20 {
		t.Errorf("cut at 5: [%d, %d] %v %v", c.First, c.Last, ok, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes were allocated for a watermark and one request of 1 MiB", got)
	}
	if _, ok, err := l.CutAt(id, 9); ok || err != nil {
		t.Errorf("cut at 9: %v %v", ok, err)
	}
}

func TestSpan(t *testing.T) {
	l := mustOpen(t, kv.NewMem(), testConfig())
	rng := rand.New(rand.NewPCG(3, 3))
	var id Track
	for range 200 {
		id = mustPut(t, l, "t", numbered("event", 1+rng.IntN(30))...).Track
	}
	i, _ := l.Track(id)
	for _, size := range []int64{0, 1, 500, 5000, 1 << 30} {
		var total int64
		at := Seq(1)
		for at <= i.High {
			s, err := l.Span(id, at, size)
			if err != nil {
				t.Fatal(err)
			}
			if s.First != at || s.Last < at || s.Last > i.High {
				t.Fatalf("span of %d bytes from %d: %+v", size, at, s)
			}
			if size >= 5000 && s.RawBytes > size {
				t.Errorf("span of %d bytes: %+v", size, s)
			}
			total += s.RawBytes
			at = s.Last + 1
		}
		if total != i.PendingBytes {
			t.Errorf("spans of %d bytes add up to %d, pending are %d", size, total, i.PendingBytes)
		}
	}
	if s, err := l.Span(id, i.High+1, 1); err != nil || s != (Span{}) {
		t.Errorf("beyond the end: %+v, %v", s, err)
	}
	_, err := l.Span(id, 0, 1)
	wantErr(t, err, ErrTrimmed)
}
