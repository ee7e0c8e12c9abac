package httpapi

import (
	"sync/atomic"
	"time"
)

// budget is the memory that request bodies may hold together. It never makes anyone wait: a request that gets nothing
// is refused, gives back what it holds, and its producer retries; waiting requests would hold memory while they wait.
type budget struct {
	limit int64
	held  atomic.Int64
}

// busyRetryAfter is what a shed producer is told: bodies under way take well below a second each.
const busyRetryAfter = time.Second

func (b *budget) take(n int64) error {
	for {
		held := b.held.Load()
		if held+n > b.limit {
			break
		}
		if b.held.CompareAndSwap(held, held+n) {
			return nil
		}
	}
	f := newFault("busy", "retry after Retry-After; send fewer or smaller requests at once", "request bodies under way hold all of their %d bytes", b.limit)
	f.retryAfter = busyRetryAfter
	return f
}

func (b *budget) give(n int64) { b.held.Add(-n) }
