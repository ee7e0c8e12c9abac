// Package retain removes from a table what is older than its owner wants: whole data files, by metadata alone, in
// `delete` snapshots.
//
// Invariants:
//   - A file leaves only if the upper bound of its event times, which its manifest states, is older than the retention; one
//     without that bound stays. So no event leaves early; one may stay as long as a later one lies beside it.
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

// maxFiles bounds the files that leave in one commit, and with them memory: some 300 bytes for each. What is beyond leaves
// in the next.
const maxFiles = 20_000

// Keeper is the maintenance task (maintain.Task) that removes old files. Its fields are not changed once it is used.
type Keeper struct {
	Catalog   catalog.Catalog
	Store     objstore.Store
	Committer *commitlib.Committer // over the two above

	// Keep is how old a table's events may become; 0: they stay.
	Keep  func(id catalog.Ident) time.Duration
	Clock func() time.Time
}

// Report says what was removed from a table, or would be.
type Report struct {
	Table  string    `json:"table"`
	DryRun bool      `json:"dry_run"`
	Keep   string    `json:"keep"`
	Before time.Time `json:"before"` // events from before this are to leave

	Files   int64 `json:"files"` // that left
	Rows    int64 `json:"rows"`
	Bytes   int64 `json:"bytes"`
	Commits int   `json:"commits"`
	Unknown int64 `json:"unknown,omitempty"` // files that stay because no manifest tells how late their events are

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
	rep := &Report{Table: id.String(), DryRun: opts.DryRun, Keep: keep.String(), Before: k.Clock().Add(-keep).UTC()}
	if keep <= 0 {
		rep.Before = time.Time{}
		return rep, nil
	}
	if err := k.remove(ctx, id, rep); err != nil {
		err = fmt.Errorf("remove events before %s from %s: %w", rep.Before.Format(time.RFC3339), id, err)
		rep.Error = err.Error()
		return rep, err
	}
	return rep, nil
}

func (k *Keeper) remove(ctx context.Context, id catalog.Ident, rep *Report) error {
	for {
		t, err := k.Catalog.Load(ctx, id)
		if err != nil {
			return err
		}
		rep.Unknown = 0
		old, more, err := k.old(ctx, t, rep)
		if err != nil || len(old) == 0 {
			return err
		}
		if !rep.DryRun {
			rw := &commitlib.Rewrite{Table: id, TableUUID: t.Metadata.TableUUID, Operation: iceberg.OpDelete}
			for _, f := range old {
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
		for _, f := range old {
			rep.Files, rep.Rows, rep.Bytes = rep.Files+1, rep.Rows+f.RecordCount, rep.Bytes+f.FileSizeInBytes
		}
		if !more || rep.DryRun {
			return nil
		}
	}
}

// old lists files whose events are all older than the report's time, at most maxFiles.
func (k *Keeper) old(ctx context.Context, t *catalog.Table, rep *Report) (old []*live.File, more bool, err error) {
	list, err := live.List(ctx, k.Store, t)
	if err != nil {
		return nil, false, err
	}
	before := rep.Before.UnixMicro()
	column, ok := t.Metadata.CurrentSchema().FieldByID(iceberg.FieldEventTime)
	if !ok || column.Type != iceberg.TimestampTZ {
		rep.Stopped = "the table has no event_time in microseconds"
		return nil, false, nil
	}
	data := func(l *manifest.ListEntry) bool { return l.Content == manifest.Data }
	err = live.Each(ctx, k.Store, list, data, func(f *live.File) error {
		upper, bad := iceberg.DecodeLong(f.UpperBounds[iceberg.FieldEventTime])
		switch {
		case bad != nil:
			rep.Unknown++
		case upper >= before:
		case len(old) == maxFiles:
			more = true
		default:
			old = append(old, &live.File{
				DataFile: iceberg.DataFile{Path: f.Path, Partition: f.Partition, RecordCount: f.RecordCount, FileSizeInBytes: f.FileSizeInBytes},
				SpecID:   f.SpecID,
			})
		}
		return nil
	})
	return old, more, err
}
