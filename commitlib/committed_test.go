package commitlib

import (
	"slices"
	"testing"
	"time"
)

// Committed is told once for each snapshot, with what the snapshot holds and how many attempts it took.
func TestCommittedIsToldOfEachSnapshot(t *testing.T) {
	w := newWorld(t)
	var told []Committed
	cfg := w.config()
	cfg.Committed = func(c Committed) { told = append(told, c) }
	c := New(w.cat, w.store, cfg)
	a, b := w.log(), w.log()
	early, late := w.request(a, 1, 5), w.request(b, 1, 3)
	early.StagedAt = early.StagedAt.Add(-time.Minute)
	first := w.commit(c, []Outcome{Applied, Applied}, early, late)
	w.commit(c, []Outcome{Skipped, Dropped}, early, w.request(b, 9, 9))

	w.foreignAppend() // the cached parent's swap is refused once
	second := w.commit(c, []Outcome{Applied}, w.request(a, 6, 7))

	for i := range told {
		if told[i].Took < 0 || told[i].Took > time.Minute {
			t.Errorf("snapshot %d took %v", i, told[i].Took)
		}
		told[i].Took = 0
	}
	if len(told) == 2 {
		if lag := told[0].Lag; lag < time.Minute || lag > 2*time.Minute {
			t.Errorf("lag %v, and the oldest request was staged a minute before", lag)
		}
		told[0].Lag, told[1].Lag = 0, 0
	}
	want := []Committed{
		{Table: w.id, SnapshotID: first[0].SnapshotID, Requests: 2, Files: len(early.Files) + len(late.Files), Events: 8, Attempts: 1},
		{Table: w.id, SnapshotID: second[0].SnapshotID, Requests: 1, Files: 1, Events: 2, Attempts: 2},
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %+v, want %+v", told, want)
	}
}
