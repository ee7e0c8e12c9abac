package compact

import (
	"context"
	"sync"

	"firn/commitlib/catalog"
	"firn/commitlib/maintain"
)

// Task is compaction as a maintenance task (maintain.Task). Safe for concurrent use: one table is compacted at a time.
type Task struct {
	mu        sync.Mutex // held over a run
	compactor *Compactor
	target    func(catalog.Ident) int64
}

// NewTask makes a task of a compactor, which it takes over; target tells the size to aim at, 0 for DefaultTarget.
func NewTask(c *Compactor, target func(catalog.Ident) int64) *Task {
	return &Task{compactor: c, target: target}
}

// Name implements maintain.Task.
func (t *Task) Name() string { return "compaction" }

// Run implements maintain.Task.
func (t *Task) Run(ctx context.Context, id catalog.Ident, opts maintain.Options) (maintain.Outcome, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rep, err := t.compactor.Table(ctx, id, t.target(id), opts.DryRun)
	return rep, err
}
