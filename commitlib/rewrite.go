package commitlib

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Rewrite asks that data files leave a table and others take their place, in one snapshot. It moves no watermark: which
// events are in stays as it is (OpReplace), or old ones leave on their owner's word (OpDelete). It is data, and is only
// read; asking again after Undecided is safe.
type Rewrite struct {
	Table     catalog.Ident
	TableUUID uuid.UUID

	// Operation is iceberg.OpReplace, where Add holds the very rows of Remove, or iceberg.OpDelete, where Add is empty.
	Operation string

	Remove []Removal          // files that are live in the state it was planned on; each once
	Add    []iceberg.DataFile // under the table's location, their names with ObjectPrefix, written with the schema and spec below

	// What Add was written with; the schema must be the table's current one when the swap is made.
	SchemaID   int
	SchemaHash string
	SpecID     int
	SpecHash   string

	// AsOf is the time by which files were found old enough to leave; zero where age is not why they do. Where the
	// store's clock says that it is earlier, by more than MaxClockError, the rewrite is dropped.
	AsOf time.Time

	// Written is a time before the first file of Add was created: no log's watermark protects them from the removal of
	// orphans, so that a swap which would name them when they are older than MaxReuse is not made.
	Written time.Time
}

// Removal is a file that leaves, with the place in the table's manifests where it is looked for.
type Removal struct {
	Path      string
	SpecID    int
	Partition [][]byte // as in iceberg.DataFile
}

// MaxRewriteFiles bounds the files of one rewrite, each way: a partition of a year of minutes has fewer, and the
// manifests that hold them are in memory while they are rewritten.
const MaxRewriteFiles = 100_000

// Rewrite makes the change if every file of rw.Remove is live in main's head and, for OpReplace, no delete file may apply
// to one of them. Result.Outcome is
//   - Applied: Result.SnapshotID is the change, which is, or has been, the head of main;
//   - Dropped: the table has changed since it was planned, or its files have become too old: plan it anew;
//   - Rejected: the table takes no commits, or the change can never be made: the operator has to look (Advice);
//   - Undecided, with an error: conflicts used up the attempts, or nobody knows. The files of rw.Add must be left where
//     they are; asking again, or planning anew, finds out.
//
// Whatever the outcome, nothing is deleted: what the change removed is needed by older snapshots, and what a rewrite that
// was not applied wrote is an orphan.
func (c *Committer) Rewrite(ctx context.Context, rw *Rewrite) (Result, error) {
	if err := rw.validate(); err != nil {
		return Result{Outcome: Rejected, Reason: err.Error(), Advice: "report it: the rewrite was planned wrongly"}, nil
	}
	r := &rewriting{run: run{Committer: c, id: rw.Table, began: c.cfg.Clock()}, rw: rw, mostHeld: heldManifests}
	if p := c.parents.take(rw.Table); p != nil && r.began.Sub(p.asOf) < MaxParentAge {
		// A refresh is cheap beside the manifests to read.
		r.parent, r.outdated, r.wary, r.plain = p, true, max(0, p.wary-1), max(0, p.plain-1)
	}
	res, err := r.rewrite(ctx)
	if err != nil {
		err = fmt.Errorf("rewrite files of %s: %w", rw.Table, err)
		res = Result{Outcome: Undecided, Reason: err.Error()}
	}
	if r.parent != nil {
		if r.parent.wary = r.wary; r.outdated {
			r.parent.wary = max(1, r.wary)
		}
		r.parent.plain = r.plain
		c.parents.put(rw.Table, r.parent)
	}
	return res, err
}

func (rw *Rewrite) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch rw.Operation {
	case iceberg.OpReplace:
		if len(rw.Add) == 0 {
			bad("a replacement adds no file")
		}
	case iceberg.OpDelete:
		if len(rw.Add) > 0 {
			bad("a deletion adds %d files", len(rw.Add))
		}
	default:
		bad("operation %q is neither %s nor %s", rw.Operation, iceberg.OpReplace, iceberg.OpDelete)
	}
	if rw.TableUUID == uuid.Nil {
		bad("table UUID is nil")
	}
	if n := len(rw.Remove); n == 0 || n > MaxRewriteFiles || len(rw.Add) > MaxRewriteFiles {
		bad("%d files to remove and %d to add: want 1 to %d, and at most that", n, len(rw.Add), MaxRewriteFiles)
	}
	seen := make(map[string]struct{}, len(rw.Remove)+len(rw.Add))
	once := func(path string) {
		if _, twice := seen[path]; twice {
			bad("file %q is named twice", path)
		}
		seen[path] = struct{}{}
	}
	for i := range rw.Remove {
		once(rw.Remove[i].Path)
	}
	for i := range rw.Add {
		once(rw.Add[i].Path)
		if rw.Add[i].RecordCount < 1 || rw.Add[i].FileSizeInBytes < 1 {
			bad("file %q has %d records in %d bytes", rw.Add[i].Path, rw.Add[i].RecordCount, rw.Add[i].FileSizeInBytes)
		}
	}
	return errors.Join(errs...)
}
