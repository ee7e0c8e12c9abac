package load

import (
	"sync/atomic"
	"time"
)

// arrivals says when requests are due. The connections of one traffic share it: whichever is free takes the next.
type arrivals struct {
	start    time.Time
	deadline time.Time     // nothing is due from here on
	every    float64       // nanoseconds between two requests; 0: closed loop
	think    time.Duration // closed loop: before the next
	taken    atomic.Int64
}

// next returns when the next request is due: in an open loop a moment of its own, often long past where the server lags
// behind; in a closed one now. When the time is over it returns false, whatever is still due.
func (a *arrivals) next() (due time.Time, ok bool) {
	now := time.Now()
	if !now.Before(a.deadline) {
		return now, false
	}
	if a.every == 0 {
		due = now.Add(a.think)
	} else {
		due = a.due(a.taken.Add(1) - 1)
	}
	return due, due.Before(a.deadline)
}

func (a *arrivals) due(k int64) time.Time {
	return a.start.Add(time.Duration(float64(k) * a.every))
}

// abandon calls f with each moment at which a request was due that nobody took; nobody may take one any more.
func (a *arrivals) abandon(f func(due time.Time)) {
	for k := a.taken.Load(); a.every > 0 && a.due(k).Before(a.deadline); k++ {
		f(a.due(k))
	}
}
