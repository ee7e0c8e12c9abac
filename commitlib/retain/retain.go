// Package retain removes from a table what is older than its owner wants: whole data files, by metadata alone, in
// `delete` snapshots.
//
// Invariants:
//   - A file leaves only if the upper bound of its event times, which its manifest states, is older than the retention, and
//     all its events have a time; one of which that is not known stays. So no event leaves early; one may stay as long as
//     a later one lies beside it.
//   - A clock that is wrong for less than a day takes nothing that the right one would leave: even.go, and commitlib/clock.go.
//   - No data is read or rewritten, and no object removed: earlier snapshots read as before until they expire.
//   - Which events were committed stays as it is: the watermarks do not move, and what is sent again is skipped.
//
// ingestd runs it in the background, for tables whose settings state a retention. It pulls no Parquet.
package retain

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/live"
	"firn/commitlib/maintain"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// Keeper is the maintenance task (maintain.Task) that removes old files. Its fields are not changed once it is used.
type Keeper struct {
	Catalog   catalog.Catalog
	Store     objstore.Store
	Committer *commitlib.Committer // over the two above

	// Keep is how old a table's events may become; 0: they stay.
	Keep  func(id catalog.Ident) time.Duration
	Clock func() time.Time

	even even
}

// Report says what was removed from a table, or would be.
type Report struct {
	Table  string    `json:"table"`
	DryRun bool      `json:"dry_run"`
	Keep   string    `json:"keep"`
	Before time.Time `json:"before,omitzero"` // events from before this are to leave
	Doubt  string    `json:"doubt,omitempty"` // why that is earlier than the retention says

	Files   int64 `json:"files"` // that left
	Rows    int64 `json:"rows"`
	Bytes   int64 `json:"bytes"`
	Commits int   `json:"commits"`
	Unknown int64 `json:"unknown,omitempty"` // files that stay because no manifest tells how late all their events are

	Stopped string `json:"stopped,omitempty"` // why nothing more was removed
	Error   string `json:"error,omitempty"`
}

// Did implements maintain.Outcome.
func (r *Report) Did() bool { return r.Files > 0 || r.Stopped != "" || r.Error != "" }

// Idle implements maintain.Outcome: time alone may give it work.
func (r *Report) Idle() bool { return !r.Did() }

// Attrs implements maintain.Outcome.
func (r *Report) Attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("table", r.Table), slog.String("keep", r.Keep), slog.Int64("files", r.Files), slog.Int64("rows", r.Rows), slog.Int64("bytes", r.Bytes),
	}
	if r.Stopped != "" {
		attrs = append(attrs, slog.String("stopped", r.Stopped))
	}
	if r.Error != "" {
		attrs = append(attrs, slog.String("error", r.Error))
	}
	return attrs
}

// Name implements maintain.Task.
func (k *Keeper) Name() string { return "retention" }

// Run implements maintain.Task.
func (k *Keeper) Run(ctx context.Context, id catalog.Ident, opts maintain.Options) (maintain.Outcome, error) {
	keep := k.Keep(id)
	rep := &Report{Table: id.String(), DryRun: opts.DryRun, Keep: keep.String()}
	now := k.Clock().Round(0).UTC() // without its monotonic reading: the clock that may be wrong is the one that ages are told by
	trusted := k.even.look(now) || opts.Force
	if keep <= 0 {
		return rep, nil
	}
	if err := k.remove(ctx, id, rep, keep, now, trusted, opts.Force); err != nil {
		err = fmt.Errorf("remove events before %s from %s: %w", rep.Before.Format(time.RFC3339), id, err)
		rep.Error = err.Error()
		return rep, err
	}
	return rep, nil
}

// remove removes what is too old by now, or by an earlier time where now is not trusted. Force is somebody's word that most
// of the table may leave.
func (k *Keeper) remove(ctx context.Context, id catalog.Ident, rep *Report, keep time.Duration, now time.Time, trusted, force bool) error {
	for {
		t, err := k.Catalog.Load(ctx, id)
		if err != nil {
			return err
		}
		if !commitlib.MayCollect(t.Metadata.Properties) {
			rep.Stopped = "its property gc.enabled is not true"
			return nil
		}
		asOf := now
		if !trusted {
			asOf = commitlib.TrustedTime(t.Metadata, now).UTC()
		}
		if rep.Before, rep.Doubt = asOf.Add(-keep), ""; asOf.Before(now) {
			rep.Doubt = "no commit for long, or a clock that jumped: what is older counts from " + asOf.Format(time.RFC3339) +
				" until the clock has gone evenly for a day, or unless force is given"
		}
		rep.Unknown = 0
		due, err := k.old(ctx, t, rep)
		if err != nil || len(due.files) == 0 {
			return err
		}
		if !force {
			rep.Stopped = due.tooMuch()
		}
		if rep.Stopped != "" && !rep.DryRun {
			return nil
		}
		if !rep.DryRun {
			rw := &commitlib.Rewrite{Table: id, TableUUID: t.Metadata.TableUUID, Operation: iceberg.OpDelete, AsOf: asOf}
			for _, f := range due.files {
				rw.Remove = append(rw.Remove, commitlib.Removal{Path: f.Path, SpecID: f.SpecID, Partition: f.Partition})
			}
			res, err := k.Committer.Rewrite(ctx, rw)
			if err != nil {
				return err
			}
			if res.Outcome != commitlib.Applied {
				rep.Stopped = res.Reason // dropped: another was at the same files; the next run looks again
				return nil
			}
			rep.Commits++
		}
		for _, f := range due.files {
			rep.Files, rep.Rows, rep.Bytes = rep.Files+1, rep.Rows+f.RecordCount, rep.Bytes+f.FileSizeInBytes
		}
		if !due.more || rep.DryRun {
			return nil
		}
	}
}

// old finds the files whose events are all older than the report's time.
func (k *Keeper) old(ctx context.Context, t *catalog.Table, rep *Report) (*due, error) {
	d := new(due)
	list, err := live.List(ctx, k.Store, t)
	if err != nil {
		return nil, err
	}
	before := rep.Before.UnixMicro()
	column, ok := t.Metadata.CurrentSchema().FieldByID(iceberg.FieldEventTime)
	if !ok || column.Type != iceberg.TimestampTZ {
		rep.Stopped = "the table has no event_time in microseconds"
		return d, nil
	}
	data := func(l *manifest.ListEntry) bool { return l.Content == manifest.Data }
	return d, live.Each(ctx, k.Store, list, data, func(f *live.File) error {
		d.tableRows += f.RecordCount
		upper, bad := iceberg.DecodeLong(f.UpperBounds[iceberg.FieldEventTime])
		nulls, counted := f.NullValueCounts[iceberg.FieldEventTime]
		switch {
		case bad != nil || !counted || nulls != 0:
			rep.Unknown++
		case upper < before:
			d.add(f, upper)
		}
		return nil
	})
}
