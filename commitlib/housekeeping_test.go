package commitlib

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
)

// tidy is a committer's configuration by which a test's few commits see snapshots go and manifests merged.
func (w *world) tidy() Config {
	cfg := w.config()
	cfg.KeepSnapshots, cfg.MergeManifests = 5, 3
	return cfg
}

// Commits on each catalog keep the number of snapshots bounded, and all that the protocol reads from the table goes on
// to hold: duplicates are skipped by whoever comes, rivals are met, and a replaced table is noticed.
func TestCommitsExpireSnapshots(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWorldOn(t, mode)
			a, b := w.log(), w.log()
			one, two := New(w.cat, w.store, w.tidy()), New(w.reopen(), w.store, w.tidy())
			for n := Seq(1); n <= 100; n++ {
				w.pass(time.Second)
				r := w.request(a, n, n)
				w.commit(one, applied, r)
				if n%7 == 0 {
					w.commit(two, []Outcome{Skipped, Applied}, r, w.request(b, n/7, n/7))
				}
				if n%20 == 0 {
					w.foreignAppend()
				}
			}
			m := w.load().Metadata
			if n := len(m.Snapshots); n > 5+4 {
				t.Errorf("the table has %d snapshots", n)
			}
			if n := one.Counters().Expired + two.Counters().Expired; n < 60 {
				t.Errorf("%d snapshots expired", n)
			}
			w.holds(map[uuid.UUID]Seq{a: 100, b: 14})
			late := New(w.reopen(), w.store, w.tidy())
			w.commit(late, []Outcome{Skipped, Dropped, Applied}, w.request(a, 1, 1), w.request(b, 16, 16), w.request(a, 101, 101))
			_, err := w.foreign().Replace(w.Context(), w.id, w.table.Metadata.CurrentSchema(), nil)
			w.must(err)
			w.commit(New(w.reopen(), w.store, w.tidy()), rejected, w.request(a, 102, 102))
			w.commit(one, rejected, w.request(a, 102, 102))
		})
	}
}

// Rewrites expire snapshots as commits do: a table whose producers have stopped stays bounded while it is compacted.
func TestRewritesExpireSnapshots(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWorldOn(t, mode)
			c := New(w.cat, w.store, w.tidy())
			a := w.log()
			const n = 60
			var reqs []*Request
			for i := Seq(1); i <= n; i++ {
				reqs = append(reqs, w.request(a, i, i))
			}
			w.commit(c, slices.Repeat(applied, n), reqs...)
			loads, expired := c.Counters().Loads, c.Counters().Expired
			for i, r := range reqs[:n-1] {
				w.pass(time.Second)
				rw := w.joined(r)
				if i%10 == 9 {
					rw = w.dropping(r)
				}
				w.rewrite(c, Applied, rw)
			}
			if got := len(w.load().Metadata.Snapshots); got > 5+4 {
				t.Errorf("the table has %d snapshots", got)
			}
			if got := c.Counters().Expired - expired; got < 50 {
				t.Errorf("%d snapshots expired", got)
			}
			if got := c.Counters().Loads - loads; got > n {
				t.Errorf("%d loads for %d rewrites", got, n)
			}
			w.commit(c, []Outcome{Skipped, Applied}, reqs[0], w.request(a, n+1, n+1))
			w.commit(New(w.reopen(), w.store, w.tidy()), applied, w.request(a, n+2, n+2))
		})
	}
}

// A removal that is refused holds up no rewrite either.
func TestRefusedRemovalHoldsUpNoRewrite(t *testing.T) {
	for name, f := range map[string]*fussy{
		"rejected": {answer: catalog.ErrRejected}, "unknown": {answer: catalog.ErrUnknown},
		"applied, then unknown": {answer: catalog.ErrUnknown, applies: true}, "conflict": {answer: catalog.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f.Catalog = w.cat
			c := New(f, w.store, w.tidy())
			a := w.log()
			const n = 40
			var reqs []*Request
			for i := Seq(1); i <= n; i++ {
				reqs = append(reqs, w.request(a, i, i))
			}
			w.commit(c, slices.Repeat(applied, n), reqs...)
			for _, r := range reqs {
				w.pass(time.Second)
				w.rewrite(c, Applied, w.joined(r))
			}
			if f.answer != catalog.ErrConflict && f.asked != 1 {
				t.Errorf("removal was asked for %d times in %d rewrites, want once", f.asked, n)
			}
			w.holds(map[uuid.UUID]Seq{a: n})
		})
	}
}

// fussy is a catalog that answers a swap with housekeeping in its own way.
type fussy struct {
	catalog.Catalog
	answer  error
	applies bool // the swap is made all the same
	asked   int  // swaps that removed snapshots
}

func (f *fussy) Swap(ctx context.Context, base *catalog.Table, ch catalog.Change) (*catalog.Table, error) {
	if len(ch.RemoveSnapshots) == 0 {
		return f.Catalog.Swap(ctx, base, ch)
	}
	f.asked++
	if f.applies {
		if _, err := f.Catalog.Swap(ctx, base, ch); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("swap: %w", f.answer)
}

// A service that does not take removals, or never says what became of them, holds up no event, and is not asked each
// time.
func TestRefusedRemovalHoldsUpNothing(t *testing.T) {
	for name, f := range map[string]*fussy{
		"rejected": {answer: catalog.ErrRejected}, "unknown": {answer: catalog.ErrUnknown},
		"applied, then unknown": {answer: catalog.ErrUnknown, applies: true}, "conflict": {answer: catalog.ErrConflict},
		"something else": {answer: errors.New("teapot")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f.Catalog = w.cat
			c := New(f, w.store, w.tidy())
			a := w.log()
			for n := Seq(1); n <= 150; n++ {
				w.pass(time.Second)
				w.commit(c, applied, w.request(a, n, n))
			}
			w.holds(map[uuid.UUID]Seq{a: 150})
			if least, most := 2, 3; f.answer != catalog.ErrConflict && (f.asked < least || f.asked > most) {
				t.Errorf("removal was asked for %d times in 150 commits, want %d or %d", f.asked, least, most)
			}
		})
	}
}
