package twin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"firn/commitlib/catalog"
)

// Op is one kind of request to the service.
type Op int

// The requests.
const (
	OpLoad Op = iota
	OpRefresh
	OpGetTable // Glue's, inside a swap
	OpCreate
	OpSwap // Glue's UpdateTable, REST's commit
	OpDrop
	OpList
	opCount
)

var opNames = [opCount]string{"load", "refresh", "get-table", "create", "swap", "drop", "list"}

func (op Op) String() string { return opNames[op] }

// Call tells a fault hook which request is about to reach the service.
type Call struct {
	Op    Op
	Ident catalog.Ident
	N     int // this is the n-th request of this Op, from 1
	Total int // this is the n-th request of any Op, from 1
}

// Fault is what happens to a request. The zero value is no fault.
type Fault struct {
	// Err is answered: catalog.ErrConflict, say, for a service that refuses without need. Alone it means that nothing
	// was applied; to leave the caller in doubt about that, answer catalog.ErrUnknown.
	Err error

	// Applied makes the change take effect, if the service's check lets it, before Err
	// (nil means ErrUnknown) is answered.
	Applied bool

	// Late makes the change take effect this much later by the clock, if the service's check lets it then; Err (nil
	// means ErrUnknown) is answered at once.
	Late time.Duration

	// Latency is how long the request takes to reach the service. If the context ends meanwhile it never does, and a
	// change is answered with ErrUnknown.
	Latency time.Duration
}

// faults is the misbehaving network between client and service; under Catalog.mu.
type faults struct {
	hook  func(Call) Fault
	calls [opCount]int
	total int
	late  []lateChange // by due time, then in the order of the requests
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
}

type lateChange struct {
	due   time.Time
	apply func() error
}

func newFaults() faults { return faults{now: time.Now, sleep: sleep} }

// SetFault installs the hook that is asked before every request; nil removes it. It runs under the
// catalog's lock: it must not call the catalog.
func (c *Catalog) SetFault(hook func(Call) Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.hook = hook
}

// SetClock replaces the clock that times metadata and spends latency; sleep returns early with the context's error.
func (c *Catalog) SetClock(now func() time.Time, sleep func(context.Context, time.Duration) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults.now, c.faults.sleep = now, sleep
}

// Settle lets every late change take effect now, in the order in which they fall due, if the service's check lets it.
func (c *Catalog) Settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	late := c.faults.late
	c.faults.late = nil
	for _, l := range late {
		_ = l.apply() // nobody waits for its answer
	}
}

// read sends a request that changes nothing.
func (c *Catalog) read(ctx context.Context, op Op, id catalog.Ident) error {
	fault, err := c.send(ctx, op, id)
	return cmp.Or(err, fault.Err)
}

// write sends a request that changes a table. apply is the service's check and change; it runs under the lock.
func (c *Catalog) write(ctx context.Context, op Op, id catalog.Ident, apply func() error) error {
	fault, err := c.send(ctx, op, id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case fault.Late > 0:
		due := c.faults.now().Add(fault.Late)
		at, _ := slices.BinarySearchFunc(c.faults.late, due, func(l lateChange, due time.Time) int {
			if l.due.After(due) {
				return 1
			}
			return -1 // equal ones stay in the order of the requests
		})
		c.faults.late = slices.Insert(c.faults.late, at, lateChange{due, apply})
		return cmp.Or(fault.Err, catalog.ErrUnknown)
	case fault.Applied:
		if err := apply(); err != nil {
			return err
		}
		return cmp.Or(fault.Err, catalog.ErrUnknown)
	case fault.Err != nil:
		return fault.Err
	}
	return apply()
}

// send counts a request, asks the hook, spends the latency, and lets late changes that are due take effect.
func (c *Catalog) send(ctx context.Context, op Op, id catalog.Ident) (Fault, error) {
	var doubt error // what a change is answered with that may have been sent
	if op == OpCreate || op == OpSwap || op == OpDrop {
		doubt = catalog.ErrUnknown
	}
	c.mu.Lock()
	c.faults.calls[op]++
	c.faults.total++
	var fault Fault
	if c.faults.hook != nil {
		fault = c.faults.hook(Call{Op: op, Ident: id, N: c.faults.calls[op], Total: c.faults.total})
	}
	sleep := c.faults.sleep
	c.mu.Unlock()

	err := ctx.Err()
	if err == nil && fault.Latency > 0 {
		err = sleep(ctx, fault.Latency)
	}
	if err != nil && doubt != nil {
		return Fault{}, fmt.Errorf("%w: %w", doubt, err)
	}
	if err != nil {
		return Fault{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.faults.late) > 0 && !c.faults.late[0].due.After(c.faults.now()) {
		l := c.faults.late[0]
		c.faults.late = c.faults.late[1:]
		_ = l.apply() // nobody waits for its answer
	}
	return fault, nil
}

func (c *Catalog) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults.now()
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
