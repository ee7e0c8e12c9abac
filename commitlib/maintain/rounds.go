package maintain

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"firn/commitlib/catalog"
)

// Task is one kind of maintenance, done to one table at a time. The sweep is one; whatever else is done joins by being
// one more. It is safe for concurrent use.
type Task interface {
	// Name is one word for logs and reports.
	Name() string

	// Run does what is due for the table. It ends soon after ctx does, at any place: the next run goes on. The outcome
	// is never nil, marshals to JSON, and says what was done also where there is an error.
	Run(ctx context.Context, id catalog.Ident, opts Options) (Outcome, error)
}

// Outcome is what a task reports.
type Outcome interface {
	Did() bool          // something was changed, or somebody has to look: worth a line in the log
	Idle() bool         // nothing is left to do until the table changes
	Attrs() []slog.Attr // of that line
}

// Result is one task's outcome for one table.
type Result struct {
	Task    string  `json:"task"`
	Outcome Outcome `json:"report"`
	Err     error   `json:"-"` // the outcome says it as well
}

// Name implements Task.
func (s *Sweeper) Name() string { return "sweep" }

// Run implements Task.
func (s *Sweeper) Run(ctx context.Context, id catalog.Ident, opts Options) (Outcome, error) {
	return s.Sweep(ctx, id, opts)
}

// Rounds does its tasks to all tables, again and again, one table at a time. Its fields are not changed once it is
// used. Its methods may be called concurrently; one of them works at a time.
type Rounds struct {
	Tasks  []Task
	Tables func(ctx context.Context) ([]catalog.Ident, error)
	Every  time.Duration // between the beginnings of two rounds of Run, give or take half of it, so that processes spread

	// Held says why a table is left alone in a round for now, empty if it is not: its commits stall, and what
	// maintenance did may be part of it. Nil: none is.
	Held func(id catalog.Ident) string

	Log *slog.Logger

	counters counters
	turn     chan struct{} // holds one token while somebody works
}

// maxQuiet bounds how many rounds a table is left out whose last ones found nothing to do.
const maxQuiet = 6

// NewRounds returns rounds over tasks.
func NewRounds(tables func(context.Context) ([]catalog.Ident, error), log *slog.Logger, tasks ...Task) *Rounds {
	return &Rounds{Tasks: tasks, Tables: tables, Log: log, turn: make(chan struct{}, 1)}
}

// Run goes round until ctx ends.
func (r *Rounds) Run(ctx context.Context) {
	quiet := map[catalog.Ident]*quietness{}
	timer := time.NewTimer(jitter(r.Every) / 2)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		r.round(ctx, quiet)
		timer.Reset(jitter(r.Every))
	}
}

// quietness is how long nothing was to do for a table: it is left out of ever more rounds, up to maxQuiet.
type quietness struct{ idle, skip int }

func (r *Rounds) round(ctx context.Context, quiet map[catalog.Ident]*quietness) {
	tables, err := r.Tables(ctx)
	if err != nil && ctx.Err() == nil {
		r.counters.errors.Add(1)
		r.Log.Warn("maintenance did not learn which tables there are; it looks again in the next round", "error", err.Error())
		return
	}
	known := map[catalog.Ident]bool{}
	for _, id := range tables {
		known[id] = true
		q := quiet[id]
		if q == nil {
			q = &quietness{}
			quiet[id] = q
		}
		if q.skip--; q.skip >= 0 {
			continue
		}
		idle := true
		for _, result := range r.Table(ctx, id, Options{}) {
			idle = idle && result.Err == nil && result.Outcome.Idle()
		}
		if ctx.Err() != nil {
			return
		}
		if q.idle++; !idle {
			q.idle = 0
		}
		q.skip = min(q.idle, maxQuiet)
	}
	for id := range quiet {
		if !known[id] {
			delete(quiet, id)
		}
	}
}

// Once does every task to every table, each fully, and tells of each table. Its error is that not all were reached.
func (r *Rounds) Once(ctx context.Context, opts Options, tell func(catalog.Ident, []Result)) error {
	tables, err := r.Tables(ctx)
	if err != nil {
		return err
	}
	for _, id := range tables {
		results := r.Table(ctx, id, opts)
		if err := ctx.Err(); err != nil && len(results) < len(r.Tasks) {
			return err
		}
		tell(id, results)
	}
	return nil
}

// Table does every task to one table, unless it is held, and logs what was done. A task that is stopped by ctx is not
// in the results if it did not begin.
func (r *Rounds) Table(ctx context.Context, id catalog.Ident, opts Options) (results []Result) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil
	}
	for _, task := range r.Tasks {
		if ctx.Err() != nil {
			return results
		}
		var outcome Outcome
		var err error
		if why := r.held(id); why != "" && !opts.DryRun {
			report := newReport(id.String(), opts.DryRun, time.Now())
			report.Stopped = why
			outcome = report
		} else {
			outcome, err = task.Run(ctx, id, opts)
		}
		r.tell(ctx, task, opts, outcome, err)
		results = append(results, Result{task.Name(), outcome, err})
	}
	return results
}

func (r *Rounds) held(id catalog.Ident) string {
	if r.Held == nil {
		return ""
	}
	return r.Held(id)
}

// tell counts an outcome, and logs it where it is worth a line.
func (r *Rounds) tell(ctx context.Context, task Task, opts Options, outcome Outcome, err error) {
	r.counters.runs.Add(1)
	if report, ok := outcome.(*Report); ok && !report.DryRun {
		total := report.Total()
		r.counters.removed.Add(uint64(total.Objects))
		r.counters.removedBytes.Add(uint64(total.Bytes))
	}
	attrs := outcome.Attrs()
	if opts.DryRun {
		attrs = append(attrs, slog.Bool("dry_run", true)) // else it would read as if it had been done
	}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil: // it was told to end
	case err != nil:
		r.counters.errors.Add(1)
		r.Log.LogAttrs(ctx, slog.LevelWarn, task.Name()+" of a table ended early", attrs...)
	case outcome.Did():
		r.Log.LogAttrs(ctx, slog.LevelInfo, task.Name()+" of a table", attrs...)
	}
}

// Counters is what maintenance has done since the start.
type Counters struct {
	Runs         uint64 // of a task over a table
	Errors       uint64 // of those that ended with one
	Removed      uint64 // objects
	RemovedBytes uint64
}

type counters struct{ runs, errors, removed, removedBytes atomic.Uint64 }

// Counters returns what has been counted so far.
func (r *Rounds) Counters() Counters {
	c := &r.counters
	return Counters{Runs: c.runs.Load(), Errors: c.errors.Load(), Removed: c.removed.Load(), RemovedBytes: c.removedBytes.Load()}
}

// jitter is between half of d and one and a half.
func jitter(d time.Duration) time.Duration { return d/2 + time.Duration(rand.Int64N(int64(d)+1)) }
