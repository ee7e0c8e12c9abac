package catalogtest

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"firn/commitlib/catalog"
)

const committers = 8

// client gives every other committer the rival's handle.
func (env Env) client(i int) catalog.Catalog {
	if i%2 == 0 {
		return env.Rival
	}
	return env.Catalog
}

// createRace: of those who create one table at once exactly one does, and its table is there.
func createRace(t *testing.T, env Env) {
	for round := range env.rounds(5, 20, 100) {
		id := catalog.Ident{Namespace: "default", Name: fmt.Sprintf("t%d", round)}
		var tables [committers]*catalog.Table
		var errs [committers]error
		var wg sync.WaitGroup
		for i := range committers {
			wg.Go(func() { tables[i], errs[i] = env.client(i).Create(t.Context(), id, spec) })
		}
		wg.Wait()
		now, err := env.Catalog.Load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		wins := 0
		for i, err := range errs {
			if err == nil {
				wins++
				same(t, "the winner's table", now, tables[i])
			} else {
				wantError(t, "a loser's create", err, catalog.ErrTableExists)
			}
		}
		if wins != 1 {
			t.Fatalf("round %d: %d winners: %v", round, wins, errs)
		}
	}
}

// tally is what committers were told.
type tally struct {
	mu      sync.Mutex // protects all below
	done    []int64    // snapshots whose swap was confirmed
	lost    []int64    // refused
	unknown []int64
}

func (y *tally) add(id int64, err error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	switch {
	case err == nil:
		y.done = append(y.done, id)
	case errors.Is(err, catalog.ErrUnknown):
		y.unknown = append(y.unknown, id)
	default:
		y.lost = append(y.lost, id)
	}
}

// check compares what was told with what became of it.
func (y *tally) check(t *testing.T, table *catalog.Table) {
	t.Helper()
	got := history(t, table)
	if len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
		t.Errorf("a snapshot is in the history twice: %v", got)
	}
	for _, id := range y.done {
		if !slices.Contains(got, id) {
			t.Errorf("snapshot %d was confirmed and is not in the history", id)
		}
	}
	for _, id := range y.lost {
		if slices.Contains(got, id) {
			t.Errorf("snapshot %d was refused and is in the history", id)
		}
	}
	for _, id := range got {
		if !slices.Contains(y.done, id) && !slices.Contains(y.unknown, id) {
			t.Errorf("snapshot %d is in the history, and nobody was told that it may be", id)
		}
	}
}

// race lets the committers swap on the table until each has had so many confirmed.
func race(t *testing.T, env Env, each int) *tally {
	y := &tally{}
	var wg sync.WaitGroup
	for i := range committers {
		wg.Go(func() {
			c := env.client(i)
			table, err := c.Load(t.Context(), clicks)
			for done := 0; done < each && err == nil; {
				ch := next(table)
				runtime.Gosched() // so that rivals come between, on a store that answers at once
				var now *catalog.Table
				now, err = c.Swap(t.Context(), table, ch)
				y.add(ch.Snapshot.ID, err)
				switch {
				case err == nil:
					table = now
					done++
				case errors.Is(err, catalog.ErrConflict), errors.Is(err, catalog.ErrUnknown):
					table, err = c.Refresh(t.Context(), table)
				}
			}
			if err != nil {
				t.Errorf("committer %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	return y
}

func swapRace(t *testing.T, env Env) {
	each := env.rounds(8, 20, 100)
	made(t, env.Catalog)
	y := race(t, env, each)
	y.check(t, loaded(t, env.Catalog))
	if len(y.unknown) > 0 || len(y.done) != committers*each {
		t.Errorf("%d confirmed, %d in doubt; want %d and none", len(y.done), len(y.unknown), committers*each)
	}
	t.Logf("%d confirmed, %d refused", len(y.done), len(y.lost))
}

// unknownRace is swapRace with a fault again and again.
func unknownRace(t *testing.T, env Env) {
	if env.Fault == nil {
		t.Skip("faults cannot be had here")
	}
	made(t, env.Catalog)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				env.Fault(Fault(n % 3))
				env.Settle()
			}
		}
	})
	y := race(t, env, env.rounds(5, 20, 100))
	close(stop)
	wg.Wait()
	env.Settle()
	y.check(t, loaded(t, env.Catalog))
	t.Logf("%d confirmed, %d refused, %d in doubt", len(y.done), len(y.lost), len(y.unknown))
}

// unknown makes a swap go wrong, and returns its base and change.
func unknown(t *testing.T, env Env, fault Fault) (*catalog.Table, catalog.Change) {
	t.Helper()
	if env.Fault == nil {
		t.Skip("faults cannot be had here")
	}
	base := made(t, env.Catalog)
	ch := next(base)
	env.Fault(fault)
	_, err := env.Catalog.Swap(t.Context(), base, ch)
	wantError(t, "swap", err, catalog.ErrUnknown)
	return base, ch
}

func lostRequest(t *testing.T, env Env) {
	base, ch := unknown(t, env, LostRequest)
	same(t, "load after", loaded(t, env.Catalog), base)
	swapped(t, env.Catalog, base, ch) // the same again, once a load has shown that it was not applied
}

func lostResponse(t *testing.T, env Env) {
	base, ch := unknown(t, env, LostResponse)
	now, err := env.Catalog.Refresh(t.Context(), base)
	if err != nil || now.Metadata.CurrentSnapshotID != ch.Snapshot.ID {
		t.Fatalf("refresh: %+v, %v", now, err)
	}
	same(t, "load", loaded(t, env.Rival), now)
	_, err = env.Catalog.Swap(t.Context(), base, next(base))
	wantError(t, "swap on the old base", err, catalog.ErrConflict)
	swapped(t, env.Catalog, now, next(now))
}

// lateBehindRival: a swap that lingers is refused once a rival's came first: both are conditional on the same parent.
func lateBehindRival(t *testing.T, env Env) {
	base, _ := unknown(t, env, Late)
	rival := next(base)
	now := swapped(t, env.Rival, base, rival)
	env.Settle()
	same(t, "load after", loaded(t, env.Catalog), now)
	if got := history(t, now); !slices.Equal(got, []int64{rival.Snapshot.ID}) {
		t.Errorf("history %v", got)
	}
}

// lateUncontested: a swap that lingers takes effect if nobody came first, although its sender was told nothing.
func lateUncontested(t *testing.T, env Env) {
	base, ch := unknown(t, env, Late)
	same(t, "load before", loaded(t, env.Catalog), base)
	env.Settle()
	if now := loaded(t, env.Catalog); now.Metadata.CurrentSnapshotID != ch.Snapshot.ID {
		t.Errorf("current snapshot %d, want %d", now.Metadata.CurrentSnapshotID, ch.Snapshot.ID)
	}
	_, err := env.Catalog.Swap(t.Context(), base, next(base))
	wantError(t, "swap on the old base", err, catalog.ErrConflict)
}
