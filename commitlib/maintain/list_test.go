package maintain

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// More leftovers than a sweep holds: what is due goes sweep by sweep, at once, and what is beyond the marks follows with
// each grace period. No first look is lost over it.
func TestABacklogGoesSweepBySweep(t *testing.T) {
	for _, held := range []struct {
		candidates, sightings int
		within                time.Duration
	}{{10, 1000, 5 * time.Hour}, {1000, 25, 12 * time.Hour}, {10, 25, 13 * time.Hour}} {
		w := newWorld(t)
		w.append(w.committer(), w.log(), 5)
		for k := range 60 {
			w.put(fmt.Sprintf("%sdata/firn-%08d.parquet", w.root, k))
		}
		w.fence()
		left, began := 60, w.clock()
		for ; left > 0 && w.clock().Sub(began) < held.within; w.pass(10 * time.Minute) {
			s := w.sweeper()
			s.maxCandidates, s.maxSightings = held.candidates, held.sightings
			r, err := s.Sweep(context.Background(), w.id, Options{})
			w.must(err)
			before := left
			left = len(w.keys("/data/firn-"))
			if before-left > held.candidates || r.Scope == Whole && left > held.sightings && !r.More {
				t.Errorf("%+v: %d were there, %d are: %+v", held, before, left, r)
			}
		}
		if left > 0 {
			t.Errorf("%+v: %d are left", held, left)
		}
	}
}
