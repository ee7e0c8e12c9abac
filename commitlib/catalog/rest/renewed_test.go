package rest

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestRenewed walks a value through its life, by a clock that the test turns: when it is fetched, and what is given out.
func TestRenewed(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var fetches int
	var fail error
	life := time.Hour
	r := newRenewed(func() time.Time { return now }, time.Minute, func(context.Context) (int, time.Time, error) {
		fetches++
		return fetches, now.Add(life), fail
	})
	f := func(after time.Duration, wantValue, wantFetches int, wantErr error) {
		t.Helper()
		now = now.Add(after)
		got, err := r.get(t.Context())
		r.mu.Lock()
		under := r.under
		r.mu.Unlock()
		if under != nil {
			<-under.done
		}
		if got != wantValue || fetches != wantFetches || !errors.Is(err, wantErr) {
			t.Fatalf("got %d, %v after %d fetches; want %d, %v after %d", got, err, fetches, wantValue, wantErr, wantFetches)
		}
	}
	away := errors.New("away")
	fail = away
	f(0, 1, 1, away) // the value beside an error means nothing; an error is not remembered
	fail = nil
	f(0, 2, 2, nil)
	f(54*time.Minute, 2, 2, nil)          // 6 minutes are left, more than the margin
	f(time.Minute+time.Second, 2, 3, nil) // less: the old value is given out, the new one fetched
	f(0, 3, 3, nil)
	f(56*time.Minute, 3, 4, nil) // due again
	fail = away
	f(56*time.Minute, 4, 5, nil) // the fetch does not succeed, the value holds still
	f(9*time.Second, 4, 5, nil)  // and is left alone for a while
	f(2*time.Second, 4, 6, nil)
	f(5*time.Minute, 7, 7, away) // its end
	f(0, 8, 8, away)             // each who asks then tries
	fail, life = nil, time.Minute
	f(0, 9, 9, nil)
	f(47*time.Second, 9, 9, nil) // a short life has a short margin: a fifth
	f(2*time.Second, 9, 10, nil)
	r.drop(9) // no longer the value
	f(0, 10, 10, nil)
	r.drop(10)
	f(0, 11, 11, nil)
	r.put(100, now.Add(life))
	f(30*time.Second, 100, 11, nil)
	r.put(200, time.Time{})
	f(10_000*time.Hour, 200, 11, nil) // without an end
	r.drop(200)
	life = -time.Second
	if _, err := r.get(t.Context()); err == nil {
		t.Error("a value that had expired when it came was given out")
	}
}

// TestRenewedWaiters: who waits stops waiting with its own context; the fetch goes on for the others.
func TestRenewedWaiters(t *testing.T) {
	let := make(chan struct{})
	r := newRenewed(time.Now, time.Minute, func(ctx context.Context) (int, time.Time, error) {
		select {
		case <-let:
			return 1, time.Time{}, nil
		case <-ctx.Done():
			return 0, time.Time{}, ctx.Err()
		}
	})
	first, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.get(first); !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	got := make(chan int)
	go func() {
		v, err := r.get(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- v
	}()
	close(let)
	if v := <-got; v != 1 {
		t.Errorf("the second got %d", v)
	}
}
