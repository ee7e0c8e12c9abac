package commitlib

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/commitlib/safeguard"
)

// loadTries bounds how often one load is tried before its requests go back to their queue. After an unknown
// outcome there is no bound but the context: only a load can tell what happened.
const loadTries = 3

// load sees to it that r.parent is a state worth planning on: the one at hand, or a newly loaded one. Where the catalog
// has no table to plan on r.parent is nil and r.absent says why. Its error means that the state cannot be known now.
func (r *run) load(ctx context.Context) error {
	if r.parent != nil && !r.outdated {
		return nil
	}
	for failed := 1; ; failed++ {
		err := r.loadOnce(ctx)
		if err == nil {
			return nil
		}
		if failed >= loadTries && len(r.tries) == 0 {
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
		if r.parent.fresh || !plan.needsFresh() || safeguard.Off(safeguard.FreshGap) {
			r.plan = plan
			r.credit()
			return nil
		}
		r.outdated = true
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

// snapshotOf returns the newest of the lookBack last snapshots whose summary names the end of the request's range; 0 if none.
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

// attempt carries out the plan on the parent: steps 3 to 6 of commit. Its error says why it did not succeed;
// what the next attempt has to do first is noted in r.
func (r *run) attempt(ctx context.Context, number int) error {
	next, err := r.write(ctx, number)
	if errors.Is(err, errUnwritable) {
		return r.refused(ctx, err, "the request or the table's manifest list is damaged: see the reason")
	}
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	swapped := r.cfg.Clock()
	table, err := r.swap(ctx, next)
	switch {
	case err == nil:
		r.succeed(next, table, swapped)
		return nil
	case errors.Is(err, catalog.ErrConflict):
		r.counters.conflicts.Add(1)
		r.outdated = true
		return err
	case errors.Is(err, catalog.ErrRejected):
		return r.refused(ctx, err, "the catalog refuses the commit itself: see the reason")
	default:
		// ErrUnknown, and whatever else a catalog may answer once the swap was on its way.
		r.counters.unknowns.Add(1)
		r.outdated = true
		r.tries = append(r.tries, try{next.snapshot.ID, r.plan.apply})
		if safeguard.Off(safeguard.KeepOnUnknown) {
			r.deleteWritten(ctx, next)
		}
		return err
	}
}

// refused rejects what was to be applied, and what that would have covered, if the table is still as it was when err
// was found: a refusal may be about a state that a rival has changed meanwhile. If it is not, err is returned, and the plan is made anew.
func (r *run) refused(ctx context.Context, err error, advice string) error {
	planned := r.parent
	r.outdated = true
	if lerr := r.load(ctx); lerr != nil {
		return errors.Join(err, lerr)
	}
	if r.parent != planned {
		return err
	}
	for i := range r.plan.verdicts {
		if r.plan.verdicts[i].pending {
			r.plan.verdicts[i] = reject(refusal{err.Error(), advice})
		}
	}
	return nil
}

// swap makes next current: the commit point.
func (r *run) swap(ctx context.Context, next *successor) (*catalog.Table, error) {
	r.cfg.Phase("swap", true)
	defer r.cfg.Phase("swap", false)
	base := r.parent.table
	change := catalog.Change{Snapshot: next.snapshot, SetProperties: next.properties}
	if safeguard.Off(safeguard.WatermarkWithSnapshot) {
		// The simulation: the watermarks move in a swap of their own, before the snapshot's.
		if own, ok := r.catalog.(metadataSwapper); ok {
			moved, err := own.SwapMetadata(ctx, base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
				return m.WithProperties(change.SetProperties, nil, base.MetadataLocation, r.cfg.Clock())
			})
			if err != nil {
				return nil, err
			}
			base, change.SetProperties = moved, nil
		}
	}
	return r.catalog.Swap(ctx, base, change)
}

// metadataSwapper is what a catalog offers for WatermarkWithSnapshot to be switched off: a swap without a snapshot.
type metadataSwapper interface {
	SwapMetadata(ctx context.Context, base *catalog.Table, mutate func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error)
}

// succeed notes the snapshot in the plan and carries the parent forward: nothing of it is read again.
func (r *run) succeed(next *successor, t *catalog.Table, swapped time.Time) {
	id := next.snapshot.ID
	for i := range r.plan.verdicts {
		if v := &r.plan.verdicts[i]; v.pending {
			v.pending, v.SnapshotID = false, id
		}
	}
	r.counters.commits.Add(1)
	r.counters.commitNanos.Add(uint64(max(0, r.cfg.Clock().Sub(r.began))))
	if next.spillKey != "" {
		r.counters.spills.Add(1)
	}
	props := t.Metadata.Properties
	if t.Metadata.CurrentSnapshotID != id || props[PropWatermarks] != next.properties[PropWatermarks] || props[PropProtocol] != r.parent.table.Metadata.Properties[PropProtocol] {
		r.outdated = true // someone else's change came with it, or after it: what we carry forward is not about this state
		return
	}
	history := r.parent.history // owned: nobody else has this parent
	history.add(r.plan.ranges)
	if history.root == 0 {
		history.root = id
	}
	r.parent = &parent{
		table: t, asOf: swapped, fresh: true, marks: next.marks, history: history,
		spilled: next.spilled, list: next.list, listRead: true,
	}
}

// deleteWritten is what a committer must not do after an unknown outcome; only a simulation build gets here.
func (r *run) deleteWritten(ctx context.Context, next *successor) {
	keys := []string{next.listKey}
	for _, m := range r.written.manifests {
		keys = append(keys, m.key)
	}
	for _, i := range r.plan.apply {
		for _, f := range r.reqs[i].Files {
			if key, ok := objstore.Key(r.store, f.Path); ok {
				keys = append(keys, key)
			}
		}
	}
	_ = r.store.Delete(ctx, keys...)
}

// results turns what was decided last into the answer. Without a plan, or where it hangs on a swap that did not
// succeed, a request is Undecided.
func (r *run) results(err error) []Result {
	results := make([]Result, len(r.reqs))
	for i := range results {
		if r.plan != nil && !r.plan.verdicts[i].pending {
			results[i] = r.plan.verdicts[i].Result
		} else if err != nil {
			results[i].Reason = err.Error()
		}
	}
	return results
}

func (c *Committer) count(r *run, results []Result) {
	n := &c.counters
	for i, res := range results {
		switch res.Outcome {
		case Applied:
			n.applied.Add(1)
			n.events.Add(uint64(r.reqs[i].Last - r.reqs[i].First + 1))
			n.files.Add(uint64(len(r.reqs[i].Files)))
			for _, f := range r.reqs[i].Files {
				n.bytes.Add(uint64(f.FileSizeInBytes))
			}
		case Skipped:
			n.skipped.Add(1)
		case Rejected:
			n.rejected.Add(1)
		case Undecided:
			n.undecided.Add(1)
		case Dropped:
			switch r.plan.verdicts[i].cause {
			case gap:
				n.gaps.Add(1)
			case overlap:
				n.overlaps.Add(1)
			case tooOld:
				n.tooOld.Add(1)
			}
		}
	}
}
