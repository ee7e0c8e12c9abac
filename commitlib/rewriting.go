package commitlib

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// rewriting is one Rewrite under way; of run it uses the parent and its loads, and has no requests.
type rewriting struct {
	run
	rw *Rewrite

	rewritten map[string]*rewritten // what was made of each manifest that was read, by its path, for the next attempt; nil: nothing
	added     *rewritten            // the manifest of rw.Add
	madeAt    time.Time             // when the oldest of those that this attempt names was made
	mostHeld  int64                 // heldManifests; less in tests
	gone      totals                // of what leaves
	fresh     totals                // of what comes
}

// rewrite is the commit loop with other steps 2 to 4.
//
//  1. Load the table, or see that the state at hand is current.
//  2. Look whether a swap whose outcome was unknown was applied: then its snapshot is in the table. Find every file that
//     leaves among the live files of the head. One that is not there was rewritten or deleted by another: Dropped.
//  3. Write the manifests that hold them anew, those files as DELETED and the others as EXISTING, and one for the files
//     that come. Only the head's entries of those manifests decide what is in them, so they serve each attempt whose
//     head still has them.
//  4. Write the manifest list of this attempt.
//  5. Wait for steps 3 and 4.
//  6. Swap. THIS IS THE COMMIT POINT.
//
// As a commit does, the first attempt removes snapshots that expire (housekeeping.go): where producers have stopped nobody
// else would. It merges no manifests.
//
// The rows of the table are those of before at every moment, by the head that was current then: an append that came in
// between is a conflict, and its manifests are in the next attempt's list. Of two rewrites of one file the second to
// swap is a conflict too, and does not find the file then. A crash leaves objects that nothing names.
func (r *rewriting) rewrite(ctx context.Context) (Result, error) {
	for failed := 0; ; failed++ {
		if err := r.load(ctx); err != nil { // step 1
			return Result{}, err
		}
		if res := r.settled(); res != nil {
			return *res, nil
		}
		if failed == r.cfg.MaxAttempts {
			return Result{}, fmt.Errorf("gave up after %d attempts: %w", failed, r.failure)
		}
		var res Result
		if res, r.failure = r.try(ctx, failed+1); r.failure == nil { // steps 2 to 6
			return res, nil
		}
		r.cfg.Log.Info("rewrite attempt did not succeed", "table", r.id.String(), "attempt", failed+1, "err", r.failure)
		if err := r.cfg.Sleep(ctx, r.cfg.backoff(failed)); err != nil {
			return Result{}, fmt.Errorf("%w: %w", err, r.failure)
		}
	}
}

// settled says what the state at hand decides without a look at its files; nil: nothing.
func (r *rewriting) settled() *Result {
	if r.parent == nil {
		return &Result{Outcome: Rejected, Reason: r.absent.reason, Advice: r.absent.advice}
	}
	m := r.parent.table.Metadata
	for _, t := range r.tries {
		if m.Snapshot(t.snapshotID) != nil {
			return &Result{Outcome: Applied, SnapshotID: t.snapshotID}
		}
	}
	if r.parent.stop != nil {
		return &Result{Outcome: Rejected, Reason: r.parent.stop.Error(), Advice: Advice(r.parent.stop)}
	}
	dropped := func(format string, args ...any) *Result {
		return &Result{Outcome: Dropped, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case m.TableUUID != r.rw.TableUUID:
		return dropped("the table of that name is %s now, not %s", m.TableUUID, r.rw.TableUUID)
	case m.CurrentSnapshot() == nil:
		return dropped("the table has no snapshot")
	case len(r.rw.Add) == 0:
		return nil
	case m.CurrentSchemaID != r.rw.SchemaID:
		return dropped("the table's schema is %d now, the files were written with %d", m.CurrentSchemaID, r.rw.SchemaID)
	}
	if age := r.cfg.Clock().Sub(r.rw.Written); age >= MaxReuse {
		return dropped("the new files are %s old, and orphan removal may have taken them", age.Round(time.Second))
	}
	for i := range r.rw.Add {
		if !strings.HasPrefix(r.rw.Add[i].Path, r.parent.table.Location+"/") {
			return dropped("file %q does not lie in the table, which is at %q", r.rw.Add[i].Path, r.parent.table.Location)
		}
	}
	if why := checkFiles(r.parent.table, &Request{
		Location: r.parent.table.Location, SchemaID: r.rw.SchemaID, SchemaHash: r.rw.SchemaHash,
		SpecID: r.rw.SpecID, SpecHash: r.rw.SpecHash, Files: r.rw.Add,
	}); why != nil {
		return dropped("%s", why.reason)
	}
	return nil
}

// try is steps 2 to 6 on the parent. Its error says why the attempt did not succeed.
func (r *rewriting) try(ctx context.Context, number int) (Result, error) {
	list, err := r.manifests(ctx, r.parent)
	if errors.Is(err, errUnwritable) {
		return r.unreadable(ctx, err)
	}
	if err != nil {
		return Result{}, err
	}
	found, why, err := r.find(ctx, list)
	if errors.Is(err, errUnwritable) {
		return r.unreadable(ctx, err)
	}
	if err != nil {
		return Result{}, err
	}
	if why != "" {
		return Result{Outcome: Dropped, Reason: why}, nil
	}
	if r.rw.Operation == iceberg.OpReplace && r.gone.rows != r.addedRows() {
		return Result{Outcome: Rejected, Advice: "report it: the table is left as it is",
			Reason: fmt.Sprintf("the files that leave hold %d records, those that come hold %d", r.gone.rows, r.addedRows())}, nil
	}
	next, err := r.writeRewrite(ctx, number, list, found)
	if errors.Is(err, errUnwritable) {
		return r.unreadable(ctx, err)
	}
	if err != nil {
		return Result{}, err
	}
	if !r.rw.AsOf.IsZero() {
		if err := errClock(r.rw.AsOf, next.listAt); err != nil {
			return Result{Outcome: Dropped, Reason: err.Error()}, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	swapped := r.cfg.Clock()
	if age := swapped.Sub(r.madeAt); age >= maxManifestAge {
		r.rewritten, r.added = nil, nil
		return Result{}, fmt.Errorf("manifests are %s old, and orphan removal may have taken them: write them anew", age.Round(time.Second))
	}
	r.cfg.Phase("swap", true)
	table, err := r.catalog.Swap(ctx, r.parent.table, catalog.Change{Snapshot: next.snapshot, RemoveSnapshots: next.removed})
	r.cfg.Phase("swap", false)
	id := next.snapshot.ID
	switch {
	case err == nil:
		r.counters.expired.Add(uint64(len(next.removed)))
		r.carry(next, table, swapped)
		return Result{Outcome: Applied, SnapshotID: id}, nil
	case errors.Is(err, catalog.ErrConflict):
		r.counters.conflicts.Add(1)
		r.outdated = true
		return Result{}, err
	case errors.Is(err, catalog.ErrRejected) && next.keepsHouse():
		r.stopHousekeeping("a swap that held some", err)
		return Result{}, err
	case errors.Is(err, catalog.ErrRejected):
		return r.unreadable(ctx, err)
	default: // ErrUnknown, and whatever else a catalog may answer once the swap was on its way
		r.counters.unknowns.Add(1)
		r.outdated = true
		r.tries = append(r.tries, try{snapshotID: id})
		if next.keepsHouse() {
			r.stopHousekeeping("a swap that held some", err)
		}
		return Result{}, err
	}
}

func (r *rewriting) addedRows() (rows int64) {
	for i := range r.rw.Add {
		rows += r.rw.Add[i].RecordCount
	}
	return rows
}

// unreadable rejects the change for err, if the table is still as it was when err was found; else it is tried again.
func (r *rewriting) unreadable(ctx context.Context, err error) (Result, error) {
	planned := r.parent
	r.outdated = true
	if lerr := r.load(ctx); lerr != nil {
		return Result{}, errors.Join(err, lerr)
	}
	if r.parent != planned {
		return Result{}, err
	}
	return Result{
		Outcome: Rejected, Reason: err.Error(),
		Advice: "a manifest or the manifest list of the table is damaged or gone, or the catalog refuses the change: see the reason",
	}, nil
}

// carry makes the new state the parent of the next commit, as run.succeed does: nothing of it is read again.
func (r *rewriting) carry(next *successor, t *catalog.Table, swapped time.Time) {
	m, before := t.Metadata, r.parent.table.Metadata
	if m.CurrentSnapshotID != next.snapshot.ID || m.Properties[PropWatermarks] != before.Properties[PropWatermarks] ||
		m.Properties[PropProtocol] != before.Properties[PropProtocol] {
		r.outdated = true
		return
	}
	r.parent = &parent{
		table: t, asOf: swapped, fresh: true, marks: r.parent.marks, root: r.parent.root, spilled: r.parent.spilled, list: next.list,
	}
}
