package glue

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// maxSends bounds how often one request is sent. With maxPause between them that is some seconds, which a
	// function's time-out of 30 s has room for; the commit loop begins anew after that.
	maxSends = 5

	// basePause and maxPause bound the random pause before a request is sent again: it doubles from the first to the
	// second. Glue's limits are requests a second for a whole account, so that a second of quiet is what helps.
	basePause = 50 * time.Millisecond
	maxPause  = 2 * time.Second

	// maxResends is how many resends the calls of a catalog may be ahead of their successes, and repayment how much of
	// one each success earns back: while Glue is away, or throttles the account, a daemon with many tables asks once a
	// call, not five times.
	maxResends = 50
	repayment  = 0.1
)

// allowance is the number of resends that all calls of a catalog share.
type allowance struct {
	mu   sync.Mutex // protects used
	used float64
}

// take uses up one resend, if there is one left.
func (a *allowance) take() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used > maxResends-1 {
		return false
	}
	a.used++
	return true
}

// repay is for each success.
func (a *allowance) repay() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used = max(0, a.used-repayment)
}

// pause waits a random while that grows with the number of sendings.
func pause(ctx context.Context, sends int) error {
	timer := time.NewTimer(rand.N(min(maxPause, basePause<<(sends-1))))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
