package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/maintain"
	"firn/commitlib/warehouse"
)

// stalledAfter is how old the oldest event of a backlog may be before its table is left alone by maintenance: commits
// come every few seconds, and what keeps them from coming may be in the table.
const stalledAfter = 15 * time.Minute

// newRounds makes what maintains the tables of the namespace. A kind of maintenance is a task more.
func newRounds(lake *warehouse.Warehouse, cfg Config, logger *slog.Logger) *maintain.Rounds {
	sweeper := maintain.NewSweeper(lake.Catalog, lake.Store, maintain.Config{Log: logger})
	r := maintain.NewRounds(maintain.Tables(lake.Catalog, cfg.Namespace), logger, sweeper)
	r.Every = cfg.MaintainInterval
	return r
}

// maintenance lists what goes round in the background. One daemon that commits sweeps; behind a queue the committer does.
func (d *daemon) maintenance() (all []*maintain.Rounds) {
	if d.cfg.MaintainInterval == 0 || d.cfg.Drain {
		return nil
	}
	if d.commit != nil {
		all = append(all, d.rounds)
	}
	return append(all, d.rewrites)
}

// maintain goes round until ctx ends, once the warehouse is known to be one that may be written to.
func (d *daemon) maintain(ctx context.Context, r *maintain.Rounds) {
	tick := time.NewTicker(proofRetryMin)
	defer tick.Stop()
	for !d.proven.Load() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	r.Run(ctx)
}

// held says why a table is left alone for now.
func (d *daemon) held(id catalog.Ident) string {
	status := d.shipper.Status(id.Name)
	if stops := status.Stopped(); len(stops) > 0 {
		return "its shipping is stopped: " + stops[0].Error()
	}
	if status.Lag > stalledAfter {
		return fmt.Sprintf("its commits stall: the oldest event that waits for one is %v old", status.Lag.Round(time.Second))
	}
	if time.Since(d.log.LastFull()) < fullFor {
		return "the event log is full: committing comes first"
	}
	return ""
}

func (d *daemon) maintainTable(ctx context.Context, table string, opts maintain.Options) []maintain.Result {
	id := catalog.Ident{Namespace: d.cfg.Namespace, Name: table}
	results := d.rounds.Table(ctx, id, opts)
	if len(results) == 0 {
		return nil
	}
	return append(results, d.rewrites.Table(ctx, id, opts)...)
}

// counters are those of all maintenance.
func (d *daemon) counters() maintain.Counters {
	c, more := d.rounds.Counters(), d.rewrites.Counters()
	c.Runs, c.Errors = c.Runs+more.Runs, c.Errors+more.Errors
	return c
}

// maintained is one line of -maintain.
type maintained struct {
	Table  string            `json:"table"`
	DryRun bool              `json:"dry_run"`
	Tasks  []maintain.Result `json:"tasks"`
}

// maintainOnce maintains or verifies every table once, and prints what was done or found. The event log is not opened: this is safe beside a
// running daemon, as any number of maintaining processes are.
func maintainOnce(ctx context.Context, cfg Config, stdout io.Writer, logger *slog.Logger) error {
	lake, _, err := openWarehouse(cfg, logger)
	if err != nil {
		return err
	}
	rounds := newRounds(lake, cfg, logger)
	if cfg.Compact {
		committer := commitlib.New(lake.Catalog, lake.Store, commitlib.Config{Log: logger})
		task, err := newCompaction(lake, committer, cfg.MemoryLimit, nil, func(catalog.Ident) int64 { return 0 }, nil, logger)
		if err != nil {
			return err
		}
		rounds.Tasks = append(rounds.Tasks, task)
	}
	if cfg.Verify {
		rounds.Tasks = []maintain.Task{maintain.Verifier{Catalog: lake.Catalog, Store: lake.Store}}
	}
	out := json.NewEncoder(stdout)
	var errs []error
	err = rounds.Once(ctx, maintain.Options{DryRun: cfg.DryRun, Scope: maintain.Whole}, func(id catalog.Ident, results []maintain.Result) {
		for _, r := range results {
			errs = append(errs, r.Err)
		}
		errs = append(errs, out.Encode(maintained{id.String(), cfg.DryRun, results}))
	})
	return errors.Join(append(errs, err)...)
}
