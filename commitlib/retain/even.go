package retain

import (
	"sync"
	"time"
)

// even tells whether a clock has gone evenly for a day, by looking at it again and again. Until it has, what a table's
// history does not bear out is not believed (commitlib.TrustedTime); then a gap there is one without commits, and events
// leave also tables that nobody writes to.
type even struct {
	mu          sync.Mutex
	first, last time.Time
}

const (
	// evenFor is how long it must have gone so.
	evenFor = 24 * time.Hour

	// evenStep is the most between two looks: runs come every few minutes, unless the process or its machine slept. A
	// clock that jumps by less takes what would have left in that time anyway.
	evenStep = 2 * time.Hour
)

// look notes the time.
func (e *even) look(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if step := now.Sub(e.last); step < 0 || step > evenStep {
		e.first = now
	}
	e.last = now
	return now.Sub(e.first) >= evenFor
}
