package compact

import (
	"context"
	"time"

	"firn/commitlib"
	"firn/commitlib/iceberg"
)

// A batch's bounds. A commit rewrites the manifests that hold its files, whatever their number, and adds a snapshot: for
// each of a thousand small partitions by itself, as a backfill leaves them, that would cost more than the data.
const (
	batchJobs  = 256
	batchBytes = 64 << 20 // of files read: what is lost where another's commit makes one of the jobs useless
	batchTime  = time.Minute
)

// batch is jobs whose files are made and verified, and which become one commit.
type batch struct {
	rw    *commitlib.Rewrite // nil: none yet
	began time.Time
	jobs  int
	in    int64 // bytes of files
	out   int64
	rows  int64
	taken int64 // of rows, those that were copied as bytes
}

// add takes a job in.
func (b *batch) add(j *job, made *made) {
	if b.rw == nil {
		b.rw = &commitlib.Rewrite{
			Table: j.table.Ident, TableUUID: j.table.Metadata.TableUUID, Operation: iceberg.OpReplace,
			SchemaID: j.schema.ID, SchemaHash: commitlib.SchemaHash(j.schema),
			SpecID: j.spec.ID, SpecHash: commitlib.SpecHash(&j.spec), Written: made.began,
		}
		b.began = made.began
	}
	b.rw.Add = append(b.rw.Add, *made.file)
	for _, f := range j.files {
		b.rw.Remove = append(b.rw.Remove, commitlib.Removal{Path: f.path, SpecID: j.spec.ID, Partition: j.partition})
		b.in += f.size
	}
	b.jobs++
	b.out, b.rows, b.taken = b.out+made.file.FileSizeInBytes, b.rows+made.file.RecordCount, b.taken+made.copied
}

// full reports whether the batch is to be committed before more is added to it.
func (b *batch) full(now time.Time) bool {
	return b.jobs >= batchJobs || b.in >= batchBytes || len(b.rw.Remove) >= maxJobFiles || now.Sub(b.began) >= batchTime
}

// commit asks for the swap of all that the batch holds, and empties it. The report says how it ended; the error is that
// nobody knows.
func (c *Compactor) commit(ctx context.Context, b *batch, rep *Report) error {
	if b.rw == nil {
		return nil
	}
	now := *b
	*b = batch{}
	res, err := c.Committer.Rewrite(ctx, now.rw)
	if err != nil {
		return err
	}
	switch res.Outcome {
	case commitlib.Applied:
		rep.Jobs, rep.Commits = rep.Jobs+now.jobs, rep.Commits+1
		rep.FilesIn, rep.FilesOut = rep.FilesIn+int64(len(now.rw.Remove)), rep.FilesOut+int64(len(now.rw.Add))
		rep.BytesIn, rep.BytesOut = rep.BytesIn+now.in, rep.BytesOut+now.out
		rep.Rows, rep.Copied = rep.Rows+now.rows, rep.Copied+now.taken
	case commitlib.Dropped:
		rep.Dropped += now.jobs
		c.cfg.Log.Info("compaction dropped: the table has changed", "table", rep.Table, "jobs", now.jobs, "reason", res.Reason)
	default:
		rep.tryVain("the swap was refused", res.Advice)
		rep.Stopped = res.Reason
	}
	return nil
}
