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

// begunPart of the budget is left to bodies that have begun to arrive: what was received of one that is refused half-way
// was in vain.
const begunPart = 8

// begin refuses a body of about n bytes, nothing of which has been read, while those that began before need the rest.
// It holds nothing for it: what is announced need not come.
func (b *budget) begin(n int64) error {
	if b.held.Load()+n > b.limit-b.limit/begunPart {
		return b.busy()
	}
	return nil
}

func (b *budget) take(n int64) error {
	for {
		held := b.held.Load()
		if held+n > b.limit {
			return b.busy()
		}
		if b.held.CompareAndSwap(held, held+n) {
			return nil
		}
	}
}

func (b *budget) busy() error {
	f := newFault("busy", "retry after Retry-After; send fewer or smaller requests at once", "request bodies under way hold all of their %d bytes", b.limit)
	f.retryAfter = busyRetryAfter
	return f
}

func (b *budget) give(n int64) { b.held.Add(-n) }
