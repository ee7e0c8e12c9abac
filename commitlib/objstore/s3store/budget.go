package s3store

import "sync"

const (
	// resends is how many resends a store's calls may be ahead of their successes.
	resends = 50

	// repayment is how much of a resend each success earns back: under steady errors at most a tenth more requests are
	// sent than without resends.
	repayment = 0.1
)

// budget is the allowance of resends that all calls of a store share. While a store is down it is used up within
// seconds, and each call is then sent once; a store that comes back is not met by five times the requests.
type budget struct {
	mu   sync.Mutex // protects left
	left float64
}

func newBudget() *budget { return &budget{left: resends} }

func (b *budget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

func (b *budget) repay() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = min(b.left+repayment, resends)
}
