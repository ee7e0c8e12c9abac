package compact

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/live"
)

// Compactor compacts tables, one at a time. It keeps an encoder, and which files could not be read, between them. Not safe
// for concurrent use; any number may run side by side, in any number of processes.
type Compactor struct {
	Deps
	cfg Config

	encoder *datafile.Encoder
	encodes *iceberg.Schema
	skip    map[string]struct{} // files that were tried in vain, so that they are not tried by each run
	idle    map[catalog.Ident]idle
}

// idle is a table's head in which a run found nothing to do. Time alone may change that, as partitions close: it counts
// for idleFor.
type idle struct {
	snapshot int64
	target   int64
	keep     time.Duration
	at       time.Time
}

const idleFor = settled

// maxSkip bounds what is kept of files tried in vain; beyond it all are tried again.
const maxSkip = 10_000

// New makes a Compactor.
func New(deps Deps, cfg Config) (*Compactor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make compactor: %w", err)
	}
	return &Compactor{Deps: deps, cfg: cfg, skip: make(map[string]struct{}), idle: make(map[catalog.Ident]idle)}, nil
}

func (c *Compactor) skipped(f *live.File) bool {
	_, tried := c.skip[f.Path]
	return tried || f.Format != "" || f.KeyMetadata != nil
}

func (c *Compactor) noteSkip(path string) {
	if len(c.skip) >= maxSkip {
		clear(c.skip)
	}
	c.skip[path] = struct{}{}
}

// PropTarget is the table property, one of Iceberg's own, that states the size of a table's data files.
const PropTarget = "write.target-file-size-bytes"

// Table compacts a table to files of the target size; 0: of the size that its property PropTarget states, or else
// DefaultTarget. A job is not begun where ctx's deadline would not leave it the time. The report holds beside an error, which is the
// store's or the catalog's, or ctx's: what was done is done, and the next run goes on.
func (c *Compactor) Table(ctx context.Context, id catalog.Ident, target int64, dryRun bool) (*Report, error) {
	rep := &Report{Table: id.String(), DryRun: dryRun, Began: c.cfg.Clock().UTC()}
	err := c.table(ctx, id, target, rep)
	rep.TookMs = c.cfg.Clock().Sub(rep.Began).Milliseconds()
	if err != nil {
		err = fmt.Errorf("compact %s: %w", id, err)
		rep.Error = err.Error()
		return rep, err
	}
	return rep, nil
}

func (c *Compactor) table(ctx context.Context, id catalog.Ident, target int64, rep *Report) error {
	t, err := c.Catalog.Load(ctx, id)
	if err != nil {
		return err
	}
	if !commitlib.MayCollect(t.Metadata.Properties) {
		rep.Stopped = "its property gc.enabled is not true"
		return nil
	}
	schema := t.Metadata.CurrentSchema()
	if t.Metadata.FormatVersion != iceberg.FormatVersion {
		rep.leaveAlone("its format version is not 2", id.String())
		return nil
	}
	if _, err := column.New(schema); err != nil || timeColumn(schema) < 0 {
		rep.leaveAlone("it has a column that is not Firn's to write, or no event_time", id.String())
		return nil
	}
	if _, err := commitlib.ReadMarks(ctx, c.Store, t); err != nil {
		rep.Stopped = err.Error()
		return nil
	}
	if target <= 0 {
		if target, err = strconv.ParseInt(t.Metadata.Properties[PropTarget], 10, 64); err != nil || target < firstTier {
			target = DefaultTarget
		}
	}
	now := idle{t.Metadata.CurrentSnapshotID, target, c.keep(id), c.cfg.Clock()}
	if was, ok := c.idle[id]; ok && was.snapshot == now.snapshot && was.target == target && was.keep == now.keep && now.at.Sub(was.at) < idleFor && !rep.DryRun {
		return nil
	}
	lanes, err := c.scan(ctx, t, target, rep)
	if err != nil {
		return err
	}
	b := new(batch)
	err = c.jobs(ctx, t, lanes, target, now.keep, b, rep)
	if ctx.Err() == nil { // also what was made before an error
		err = errors.Join(err, c.commit(ctx, b, rep))
	}
	if delete(c.idle, id); err == nil && rep.Idle() {
		if len(c.idle) >= maxSkip {
			clear(c.idle)
		}
		c.idle[id] = now
	}
	return err
}

func (c *Compactor) keep(id catalog.Ident) time.Duration {
	if c.cfg.Keep == nil {
		return 0
	}
	return c.cfg.Keep(id)
}

// jobs performs the lanes' jobs and commits them, but for the last, which are left in b.
func (c *Compactor) jobs(ctx context.Context, t *catalog.Table, lanes []*lane, target int64, keep time.Duration, b *batch, rep *Report) error {
	for _, p := range lanes {
		if b.rw != nil && b.rw.SpecID != p.spec.ID { // a manifest is of one spec
			if err := c.commit(ctx, b, rep); err != nil {
				return err
			}
		}
		for _, files := range plan(p.files, p.closed(c.cfg.Clock()), target, keep) {
			j := &job{table: t, schema: t.Metadata.CurrentSchema(), spec: p.spec, partition: p.partition, files: files}
			if err := c.job(ctx, j, b, rep); err != nil {
				return err
			}
			if rep.More || rep.Stopped != "" {
				return nil
			}
		}
	}
	return nil
}

// slowest is the rate, in bytes of files per second, that a job is counted on to have: a fraction of what one core does.
const slowest = 3 << 20

// inTime reports whether ctx leaves the time for a job over files of that size.
func inTime(ctx context.Context, size int64) bool {
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > time.Second+time.Duration(size/slowest)*time.Second
}

// job performs one job, in halves where its files' times overlap too much for the memory, and adds it to the batch, which
// is committed when it is full. What kept it from that is noted in the report; its error ends the run.
func (c *Compactor) job(ctx context.Context, j *job, b *batch, rep *Report) error {
	var size int64
	for _, f := range j.files {
		size += f.size
	}
	if before := rep.BytesIn + b.in; before > 0 && before+size > c.cfg.MaxBytes || c.cfg.Clock().Sub(rep.Began) >= c.cfg.MaxTime || !inTime(ctx, size) {
		rep.More = true
		return nil
	}
	if rep.DryRun {
		rep.Jobs, rep.FilesIn, rep.BytesIn = rep.Jobs+1, rep.FilesIn+int64(len(j.files)), rep.BytesIn+size
		rep.FilesOut++
		return nil
	}
	where := iceberg.PartitionPath(j.spec, j.schema, j.partition)
	made, err := c.make(ctx, j)
	var bad *unreadable
	switch {
	case errors.Is(err, errMemory):
		if len(j.files) < 4 {
			for _, f := range j.files {
				c.noteSkip(f.path)
			}
			rep.tryVain(errMemory.Error(), where)
			return nil
		}
		for _, half := range [][]*source{j.files[:len(j.files)/2], j.files[len(j.files)/2:]} {
			part := *j
			part.files = half
			if err := c.job(ctx, &part, b, rep); err != nil || rep.More || rep.Stopped != "" {
				return err
			}
		}
		return nil
	case errors.As(err, &bad):
		c.noteSkip(bad.path)
		rep.tryVain("a file of it cannot be read", bad.Error())
		return nil
	case errors.Is(err, errDiffers):
		c.cfg.Log.Error("compaction left files as they are", "table", rep.Table, "partition", where, "err", err)
		for _, f := range j.files {
			c.noteSkip(f.path)
		}
		rep.tryVain(errDiffers.Error(), fmt.Sprintf("%s: %v", where, err))
		return nil
	case err != nil:
		return err
	}
	c.cfg.Log.Debug("joined", "table", rep.Table, "partition", where, "files", len(j.files), "bytes", size, "to", made.file.FileSizeInBytes)
	if b.add(j, made); b.full(c.cfg.Clock()) {
		return c.commit(ctx, b, rep)
	}
	return nil
}
