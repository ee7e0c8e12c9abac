package commitlib

import (
	"context"
	"errors"
	"fmt"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/commitlib/safeguard"
)

// attempt carries out the plan on the parent: steps 3 to 6 of commit. Its error says why it did not succeed;
// what the next attempt has to do first is noted in r.
func (r *run) attempt(ctx context.Context, number int) error {
	next, err := r.write(ctx, number)
	if errors.Is(err, errUnwritable) {
		return r.refused(ctx, err, "the request or the table's manifest list is damaged or gone: see the reason; if it is the list, restore it or roll the table back")
	}
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	swapped := r.cfg.Clock()
	if age := swapped.Sub(r.written.at); age >= maxManifestAge {
		return fmt.Errorf("manifests are %s old, and orphan removal may have taken them: write them anew", age.Round(time.Second))
	}
	table, err := r.swap(ctx, next)
	switch {
	case err == nil:
		r.succeed(next, table, swapped)
		r.tellCommitted(next.snapshot.ID, number)
		return nil
	case errors.Is(err, catalog.ErrConflict):
		r.counters.conflicts.Add(1)
		r.outdated = true
		return err
	case errors.Is(err, catalog.ErrRejected) && next.keepsHouse():
		r.stopHousekeeping("a swap that held some", err)
		return err
	case errors.Is(err, catalog.ErrRejected):
		return r.refused(ctx, err, "the catalog refuses the commit itself: see the reason")
	default:
		// ErrUnknown, and whatever else a catalog may answer once the swap was on its way.
		r.counters.unknowns.Add(1)
		r.outdated = true
		r.tries = append(r.tries, try{next.snapshot.ID, r.plan.apply})
		if next.keepsHouse() {
			r.stopHousekeeping("a swap that held some", err)
		}
		if safeguard.Off(safeguard.KeepOnUnknown) {
			r.deleteWritten(ctx, next)
		}
		return err
	}
}

// refused rejects what was to be applied, and what that would have covered, if the table is still as it was
// when err was found: a refusal may be about a state that a rival has changed meanwhile. If it is not, err
// is returned, and the plan is made anew.
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
	change := catalog.Change{Snapshot: next.snapshot, SetProperties: next.properties, RemoveSnapshots: next.removed}
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
	r.counters.expired.Add(uint64(len(next.removed)))
	if next.merged != nil {
		r.counters.merged.Add(uint64(len(next.merged.gone)))
	}
	props := t.Metadata.Properties
	if t.Metadata.CurrentSnapshotID != id || props[PropWatermarks] != next.properties[PropWatermarks] ||
		props[PropProtocol] != r.parent.table.Metadata.Properties[PropProtocol] {
		r.outdated = true // someone else's change came with it, or after it: what we carry forward is not about this state
		return
	}
	root := r.parent.root
	if root == 0 {
		root = id
	}
	r.parent = &parent{
		table: t, asOf: swapped, fresh: true, marks: next.marks, root: root,
		spilled: next.spilled, list: next.list,
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
