package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/compact"
	"firn/commitlib/maintain"
	"firn/commitlib/retain"
	"firn/commitlib/warehouse"
)

const (
	// rewriteEvery is the longest time between two looks for files to join: at the default interval of cuts a table gets
	// six in it, and small ones stay below 64.
	rewriteEvery = time.Minute

	// What a merge may hold in rows is a fifth of the heap's limit, between these.
	leastRewriteMemory = 32 << 20
	mostRewriteMemory  = 64 << 20

	// rewriteShare is how many times as long rewriting rests as it works while events come: a fifth of one core.
	rewriteShare = 4

	// rewriteStep bounds the work that one rest is for: time that a merge waited for the store is none.
	rewriteStep = 500 * time.Millisecond

	// busyLag is the lag at which rewriting waits, since committing needs the machine. When it has waited for busyWait it
	// gives up, and the memory back, until its next turn.
	busyLag  = 30 * time.Second
	busyWait = time.Minute
)

// fullFor is how long after the log was full rewriting leaves the machine to committing.
const fullFor = 10 * time.Second

// errBusy ends a rewrite; the next one begins anew.
var errBusy = errors.New("commits lag behind, so that rewriting leaves them the machine")

// pace keeps a rewrite to a share of one core, lets it wait while commits lag, and ends it where the log takes no more:
// then even its memory is needed.
type pace struct {
	lag  func() time.Duration
	full func() time.Time // when the log was full last
	last time.Time        // when it went on last
}

// rest is compact.Config.Pause.
func (p *pace) rest(ctx context.Context) error {
	worked := min(time.Since(p.last), rewriteStep)
	err := wait(ctx, rewriteShare*worked)
	for began := time.Now(); err == nil && p.lag() > busyLag; err = wait(ctx, time.Second) {
		if time.Since(began) > busyWait {
			return errBusy
		}
	}
	p.last = time.Now()
	if err == nil && p.last.Sub(p.full()) < fullFor {
		return errBusy
	}
	return err
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newCompaction makes the task that joins small files; keep is how old a table's events become, nil where that is not known.
func newCompaction(lake *warehouse.Warehouse, c *commitlib.Committer, heap ByteSize, pause func(context.Context) error,
	target func(catalog.Ident) int64, keep func(catalog.Ident) time.Duration, logger *slog.Logger) (*compact.Task, error) {
	cfg := compact.Default()
	cfg.Keep = keep
	cfg.MemoryBytes, cfg.Log = min(max(int64(heap)/5, leastRewriteMemory), mostRewriteMemory), logger
	if pause != nil {
		cfg.Pause = pause
	}
	compactor, err := compact.New(compact.Deps{Catalog: lake.Catalog, Store: lake.Store, Committer: c}, cfg)
	if err != nil {
		return nil, err
	}
	return compact.NewTask(compactor, target), nil
}

// newRewrites makes what rewrites tables: events older than a table's retention leave it, whoever commits to it; small
// files are joined where this daemon commits. Behind a queue a function of its own does that (flushlambda/compactor).
func (d *daemon) newRewrites() (*maintain.Rounds, error) {
	committer := d.commit
	if committer == nil {
		committer = commitlib.New(d.lake.Catalog, d.lake.Store, commitlib.Config{Log: d.logger})
	}
	keep := func(id catalog.Ident) time.Duration {
		if t, ok := d.tables.Get(id.Name); ok {
			return time.Duration(t.Settings.TableRetention)
		}
		return 0
	}
	keeper := &retain.Keeper{Catalog: d.lake.Catalog, Store: d.lake.Store, Committer: committer, Clock: time.Now, Keep: keep}
	tables := func(context.Context) (ids []catalog.Ident, err error) {
		for _, t := range d.tables.List() {
			ids = append(ids, t.Ident)
		}
		return ids, nil
	}
	r := maintain.NewRounds(tables, d.logger, keeper)
	r.Every, r.Held = min(d.cfg.MaintainInterval, rewriteEvery), d.held
	if d.commit == nil || !d.cfg.Compact {
		return r, nil
	}
	p := &pace{lag: func() time.Duration { return d.shipper.Stats().Lag }, full: func() time.Time { return d.log.LastFull() }}
	task, err := newCompaction(d.lake, committer, d.cfg.MemoryLimit, p.rest, func(id catalog.Ident) int64 {
		if t, ok := d.tables.Get(id.Name); ok {
			return t.Settings.TargetFileBytes
		}
		return 0
	}, keep, d.logger)
	if err != nil {
		return nil, err
	}
	r.Tasks = append(r.Tasks, task)
	return r, nil
}
