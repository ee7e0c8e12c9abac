package payload

import (
	"sync/atomic"
	"time"
)

// Clock says what times the events of the next request have: the latest, in milliseconds since 1970, and how long the
// span is, in milliseconds, that ends there and that they are spread over at random. Many requests share a clock.
type Clock func() (latest, span int64)

// Warped is a clock that runs factor times as fast as the wall's, so that hours close while a measurement lasts. It
// starts behind the wall clock by what it gains in a run of this length: times in the future would be refused.
func Warped(factor int, length time.Duration) Clock {
	began := time.Now()
	start := began.Add(-time.Duration(factor) * length).UnixMilli()
	return func() (int64, int64) { return start + time.Since(began).Milliseconds()*int64(factor), 1 }
}

// Scattered is a clock whose times lie anywhere in the past, up to back: a backfill in no order.
func Scattered(back time.Duration) Clock {
	until := time.Now().UnixMilli()
	return func() (int64, int64) { return until, back.Milliseconds() }
}

// Replayed is a clock that walks from back ago until now, a step with each request: a backfill in order. Having arrived
// it begins again.
func Replayed(back, step time.Duration) Clock {
	var calls atomic.Int64
	until := time.Now().UnixMilli()
	return func() (int64, int64) {
		return until - back.Milliseconds() + calls.Add(1)*step.Milliseconds()%back.Milliseconds(), step.Milliseconds()
	}
}
