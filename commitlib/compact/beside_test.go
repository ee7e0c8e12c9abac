package compact

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/maintain"
)

// TestCompactBesideMany runs two compactors beside three committers, each of a log of its own, and another engine's
// appends, all at once: every event is in the table once, and nothing that any retained snapshot names is missing.
func TestCompactBesideMany(t *testing.T) {
	w := newWorld(t, iceberg.PartitionNone)
	const logs, requests, each = 3, 24, 10
	var reqs [logs][]*commitlib.Request
	var want []string
	for l := range reqs {
		w.log[15], w.next = byte(l+1), 1
		for i := range requests {
			events := w.events(each, i)
			for k, e := range events {
				want = append(want, fmt.Sprintf("%s %d %s", w.log, int(w.next)+k, e.payload))
			}
			reqs[l] = append(reqs[l], w.request(events))
		}
	}
	var appending, compacting sync.WaitGroup
	for l := range reqs {
		appending.Go(func() {
			c := w.committer()
			for _, r := range reqs[l] {
				for try := 0; ; try++ {
					results, err := c.Commit(context.Background(), w.id, []*commitlib.Request{r})
					if err == nil && (results[0].Outcome == commitlib.Applied || results[0].Outcome == commitlib.Skipped) {
						break
					}
					if try == 100 {
						t.Errorf("log %d: %+v (%v)", l, results, err)
						return
					}
				}
			}
		})
	}
	appending.Go(func() {
		f := twin.Foreign{Catalog: w.cat, Store: w.store, Now: w.clock, NewID: func() int64 { return int64(w.random() >> 1) }}
		for range 10 {
			if _, err := f.Append(context.Background(), w.id); err != nil {
				t.Log(err) // it gives up where it loses too often
			}
		}
	})
	done := make(chan struct{})
	var jobs [2]int
	for i := range jobs {
		c := w.compactor(nil)
		compacting.Go(func() {
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true // and once more
				default:
				}
				rep, err := c.Table(context.Background(), w.id, 0, false)
				if err != nil {
					t.Log(err) // undecided beside so many rivals; the next run looks again
					continue
				}
				jobs[i] += rep.Jobs
			}
		})
	}
	appending.Wait()
	close(done)
	compacting.Wait()
	w.pass(time.Hour)
	w.run(w.compactor(nil), 0)
	t.Logf("jobs: %v", jobs)

	var got []string
	for _, f := range w.live(w.load()) {
		b := w.read(f)
		for i := range b.Len {
			got = append(got, fmt.Sprintf("%s %d %s", b.Col(iceberg.FieldLog).Bytes(i), b.Col(iceberg.FieldSequence).Int64(i), b.Col(iceberg.FieldPayload).Bytes(i)))
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the table has %d rows, want %d, or others", len(got), len(want))
	}
	if jobs[0]+jobs[1] == 0 {
		t.Error("nothing was compacted meanwhile")
	}
	check, err := maintain.Check(context.Background(), w.store, w.load())
	w.must(err)
	if len(check.Missing)+len(check.Damaged) > 0 {
		t.Errorf("missing: %v, damaged: %v", check.Missing, check.Damaged)
	}
}
