package rest

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// renewed holds a value that the service gives, and that may expire: its configuration, an access token, credentials. It
// is fetched when it is first asked for and again before it expires, by one fetch at a time, whose answer or error all
// share who ask meanwhile. While an old value still holds nobody waits for the new one, and a fetch without success is
// not repeated for a while.
type renewed[T comparable] struct {
	now     func() time.Time
	timeout time.Duration
	fetch   func(context.Context) (T, time.Time, error) // zero time: until it is dropped

	mu      sync.Mutex // protects all below
	value   T
	got     time.Time
	expires time.Time
	has     bool
	retryAt time.Time    // not before this is a value that still holds renewed
	under   *fetching[T] // nil: no fetch is under way
}

type fetching[T comparable] struct {
	done  chan struct{} // closed when the fields below are set
	value T
	err   error
}

// maxMargin bounds how long before its end a value is renewed: a fifth of its life, so that one of a minute is not
// renewed all the time, and at most 5 minutes, within which a service that is away mostly returns.
const maxMargin = 5 * time.Minute

// retryAfter is how long a fetch without success is not repeated while the old value holds.
const retryAfter = 10 * time.Second

func newRenewed[T comparable](now func() time.Time, timeout time.Duration, fetch func(context.Context) (T, time.Time, error)) *renewed[T] {
	return &renewed[T]{now: now, timeout: timeout, fetch: fetch}
}

// get returns a value that has not expired.
func (r *renewed[T]) get(ctx context.Context) (T, error) {
	r.mu.Lock()
	now := r.now()
	holds := r.has && (r.expires.IsZero() || now.Before(r.expires))
	due := !holds || !r.expires.IsZero() && !now.Before(r.expires.Add(-r.marginLocked())) && !now.Before(r.retryAt)
	if due && r.under == nil {
		r.startLocked(ctx)
	}
	value, under := r.value, r.under
	r.mu.Unlock()
	if holds {
		return value, nil
	}
	select {
	case <-under.done:
		return under.value, under.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (r *renewed[T]) marginLocked() time.Duration {
	return min(maxMargin, r.expires.Sub(r.got)/5)
}

// startLocked begins a fetch that outlives the caller who happened to be first: others wait for it too.
func (r *renewed[T]) startLocked(ctx context.Context) {
	f := &fetching[T]{done: make(chan struct{})}
	r.under = f
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
	go func() {
		defer cancel()
		began := r.now()
		value, expires, err := r.fetch(ctx)
		r.mu.Lock()
		defer r.mu.Unlock()
		if err == nil && !expires.IsZero() && !r.now().Before(expires) {
			err = fmt.Errorf("what was given had expired at %s already: is this machine's clock right?", expires.UTC().Format(time.RFC3339))
		}
		f.value, f.err, r.under = value, err, nil
		if err == nil {
			r.setLocked(value, began, expires)
		} else {
			r.retryAt = r.now().Add(retryAfter)
		}
		close(f.done)
	}()
}

func (r *renewed[T]) setLocked(value T, got, expires time.Time) {
	r.value, r.got, r.expires, r.has, r.retryAt = value, got, expires, true, time.Time{}
}

// put replaces the value by one that came otherwise.
func (r *renewed[T]) put(value T, expires time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.setLocked(value, r.now(), expires)
}

// drop forgets a value that was refused, if it is still the current one.
func (r *renewed[T]) drop(value T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.value == value {
		r.has = false
	}
}
