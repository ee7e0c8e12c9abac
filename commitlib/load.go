package commitlib

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/safeguard"
)

// loadTries bounds how often one load is tried before its requests go back to their queue, and
// unknownLoadTries does so after an unknown outcome: one to two minutes with the default back-off, since only
// a load can tell what happened. The next delivery's can as well, so that a table which cannot be loaded does
// not keep a worker without a deadline for good.
const (
	loadTries        = 3
	unknownLoadTries = 40
)

// load sees to it that r.parent is a state worth planning on: the one at hand, or a newly loaded one. Where the catalog
// has no table to plan on r.parent is nil and r.absent says why. Its error means that the state cannot be known now.
func (r *run) load(ctx context.Context) error {
	if r.parent != nil && !r.outdated {
		return nil
	}
	most := loadTries
	if len(r.tries) > 0 {
		most = unknownLoadTries
	}
	for failed := 1; ; failed++ {
		err := r.loadOnce(ctx)
		if err == nil {
			return nil
		}
		if failed >= most {
			return errors.Join(err, r.failure)
		}
		r.cfg.Log.Info("load did not succeed", "table", r.id.String(), "try", failed, "err", err)
		if serr := r.cfg.Sleep(ctx, r.cfg.backoff(failed)); serr != nil {
			return errors.Join(serr, err, r.failure)
		}
	}
}

func (r *run) loadOnce(ctx context.Context) error {
	asOf := r.cfg.Clock()
	r.counters.loads.Add(1)
	var t *catalog.Table
	var err error
	if r.parent != nil {
		t, err = r.catalog.Refresh(ctx, r.parent.table)
	} else {
		t, err = r.catalog.Load(ctx, r.id)
	}
	switch {
	case errors.Is(err, catalog.ErrNoTable):
		r.parent, r.outdated = nil, false
		r.absent = refusal{"table does not exist", "make the table anew, or discard what was meant for it"}
		return nil
	case errors.Is(err, catalog.ErrRejected):
		r.parent, r.outdated = nil, false
		r.absent = refusal{err.Error(), "the table cannot be read as it is: see the reason"}
		return nil
	case err != nil:
		return fmt.Errorf("load table: %w", err)
	case r.parent != nil && t == r.parent.table:
		r.parent.asOf, r.parent.fresh = asOf, true
	default:
		p, err := r.inspect(ctx, t, r.parent, asOf)
		if err != nil {
			return err
		}
		if p.loaded = r.parent == nil; !p.loaded {
			r.wary = waryCommits
		}
		r.parent = p
	}
	r.outdated = false
	return nil
}

// decide sets r.plan. It loads anew if the parent at hand is too old for what it would decide.
func (r *run) decide(ctx context.Context, failed int) error {
	if failed > 0 && r.parent != nil && r.parent.stop == nil && safeguard.Off(safeguard.RetryRecheck) {
		return nil // the simulation: what the first attempt decided is applied to whatever is current now
	}
	for {
		if r.parent == nil {
			r.plan = r.rejectAll(r.absent)
			return nil
		}
		plan, err := r.Committer.decide(ctx, r.parent, r.id, r.reqs, r.cfg.Clock())
		if err != nil {
			return err
		}
		rejects := plan.rejects()
		if r.parent.loaded || r.parent.fresh && !rejects || !plan.needsFresh() || safeguard.Off(safeguard.FreshGap) {
			r.plan = plan
			r.credit()
			return nil
		}
		r.outdated = true
		if rejects {
			r.parent = nil // a rejection stops its sender for good: load, not refresh
		}
		if err := r.load(ctx); err != nil {
			return err
		}
	}
}

func (r *run) rejectAll(why refusal) *plan {
	p := &plan{verdicts: make([]verdict, len(r.reqs))}
	for i := range p.verdicts {
		p.verdicts[i] = reject(why)
	}
	return p
}

// credit names the snapshot of each request that the parent covers, and calls it Applied where the snapshot is one
// that this very run tried to make current and could not see the outcome of.
func (r *run) credit() {
	for i := range r.plan.verdicts {
		v := &r.plan.verdicts[i]
		if v.Outcome != Skipped || v.pending {
			continue
		}
		for _, t := range r.tries {
			if slices.Contains(t.apply, i) && r.parent.table.Metadata.Snapshot(t.snapshotID) != nil {
				v.Outcome, v.SnapshotID = Applied, t.snapshotID
			}
		}
		if v.SnapshotID == 0 {
			v.SnapshotID = snapshotOf(r.parent.table.Metadata, r.reqs[i])
		}
	}
}

// lookBack bounds the search for a covered request's snapshot: a duplicate comes within minutes, and a table's
// age must not make it dear.
const lookBack = 256

// snapshotOf returns the newest of the lookBack last snapshots whose summary names the
// end of the request's range; 0 if none.
func snapshotOf(m *iceberg.Metadata, r *Request) int64 {
	log := r.Log.String()
	recent := m.Snapshots[max(0, len(m.Snapshots)-lookBack):]
	for _, s := range slices.Backward(recent) {
		if !strings.Contains(s.Summary[PropRanges], log) {
			continue
		}
		ranges, err := ParseRanges(s)
		if err != nil {
			continue // inspect has stopped at what is unreadable
		}
		for _, x := range ranges[r.Log] {
			if x[0] <= r.Last && r.Last <= x[1] {
				return s.ID
			}
		}
	}
	return 0
}
