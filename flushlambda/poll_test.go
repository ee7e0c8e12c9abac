package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"firn/commitlib"
	"firn/commitlib/fifo"
)

// line is a queue that hands out what it was given and remembers what became of it, with the times since it was made.
type line struct {
	began time.Time

	mu       sync.Mutex // protects all below
	batches  [][]fifo.Received
	broken   error // of Receive
	asked    []time.Duration
	deleted  []string
	extended []string // "id time+visibility"
}

func newLine(batches ...[]fifo.Received) *line { return &line{began: time.Now(), batches: batches} }

func (l *line) Receive(ctx context.Context, _ int, wait time.Duration) ([]fifo.Received, error) {
	l.mu.Lock()
	l.asked = append(l.asked, time.Since(l.began))
	if l.broken != nil {
		defer l.mu.Unlock()
		return nil, l.broken
	}
	if len(l.batches) > 0 {
		defer l.mu.Unlock()
		next := l.batches[0]
		l.batches = l.batches[1:]
		return next, nil
	}
	l.mu.Unlock()
	select {
	case <-time.After(wait):
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *line) Delete(_ context.Context, msgs []fifo.Received) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range msgs {
		l.deleted = append(l.deleted, m.ID)
	}
	return nil
}

func (l *line) Extend(ctx context.Context, msgs []fifo.Received, d time.Duration) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range msgs {
		l.extended = append(l.extended, fmt.Sprintf("%s %v+%v", m.ID, time.Since(l.began), d))
	}
	return nil
}

func received(receives int, ids ...string) (msgs []fifo.Received) {
	for _, id := range ids {
		msgs = append(msgs, fifo.Received{Message: commitlib.Message{ID: id, Group: "default.clicks"}, Receives: receives})
	}
	return msgs
}

func pollerOf(l *line, handle func(ctx context.Context, msgs []commitlib.Message) []string) *poller {
	return &poller{queue: l, visibility: 30 * time.Second, handle: handle, log: silent()}
}

// What is done with is deleted; the rest comes again, later each time it was delivered.
func TestPollSettles(t *testing.T) {
	f := func(receives int, wait time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			l := newLine(received(receives, "m1", "m2", "m3"))
			ctx, stop := context.WithCancel(t.Context())
			p := pollerOf(l, func(context.Context, []commitlib.Message) []string {
				time.AfterFunc(time.Second, stop)
				return []string{"m2", "m3"}
			})
			p.run(ctx)
			if want := []string{"m1"}; !slices.Equal(l.deleted, want) {
				t.Errorf("deleted %v, want %v", l.deleted, want)
			}
			if want := []string{fmt.Sprintf("m2 0s+%v", wait), fmt.Sprintf("m3 0s+%v", wait)}; !slices.Equal(l.extended, want) {
				t.Errorf("after %d deliveries: extended %v, want %v", receives, l.extended, want)
			}
		})
	}
	f(1, 2*time.Second)
	f(3, 8*time.Second)
	f(9, 30*time.Second) // the visibility timeout at most
}

// While a batch is handled its messages stay hidden, and not a moment longer.
func TestPollKeepsMessagesHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(received(1, "m1"))
		ctx, stop := context.WithCancel(t.Context())
		p := pollerOf(l, func(context.Context, []commitlib.Message) []string {
			time.Sleep(40 * time.Second)
			time.AfterFunc(time.Minute, stop)
			return nil
		})
		p.run(ctx)
		if want := []string{"m1 15s+30s", "m1 30s+30s"}; !slices.Equal(l.extended, want) || !slices.Equal(l.deleted, []string{"m1"}) {
			t.Errorf("extended %v, want %v; deleted %v", l.extended, want, l.deleted)
		}
	})
}

// A batch ends at its bound, and what is left of it comes again.
func TestPollBoundsABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(received(1, "m1"))
		ctx, stop := context.WithCancel(t.Context())
		p := pollerOf(l, func(ctx context.Context, _ []commitlib.Message) []string {
			if d, ok := ctx.Deadline(); !ok || time.Until(d) != batchTime {
				t.Errorf("the handler has until %v", d)
			}
			<-ctx.Done()
			stop()
			return []string{"m1"}
		})
		p.run(ctx)
		if len(l.deleted) > 0 || l.extended[len(l.extended)-1] != "m1 1m0s+0s" {
			t.Errorf("deleted %v, extended %v", l.deleted, l.extended)
		}
	})
}

// A signal stops the asking; what is under way gets its time, and then comes again at once.
func TestPollStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(received(1, "quick"), received(1, "slow"))
		ctx, stop := context.WithCancel(t.Context())
		p := pollerOf(l, func(ctx context.Context, msgs []commitlib.Message) []string {
			if msgs[0].ID == "quick" {
				time.Sleep(9 * time.Second)
				return nil
			}
			<-ctx.Done()
			return []string{"slow"}
		})
		time.AfterFunc(2*time.Second, stop)
		began := time.Now()
		p.run(ctx)
		if took := time.Since(began); took != 2*time.Second+stopTime {
			t.Errorf("stopped after %v", took)
		}
		if want := []string{"quick"}; !slices.Equal(l.deleted, want) {
			t.Errorf("deleted %v, want %v", l.deleted, want)
		}
		if want := []string{"slow 12s+0s"}; !slices.Equal(l.extended, want) {
			t.Errorf("extended %v, want %v", l.extended, want)
		}
	})
}

// Messages that a call under way brings in after the signal are handed back, not kept hidden.
func TestPollHandsBackWhatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		ctx, stop := context.WithCancel(t.Context())
		p := pollerOf(l, func(ctx context.Context, _ []commitlib.Message) []string {
			t.Error("a batch was begun after the signal")
			return nil
		})
		p.queue = lateQueue{l}
		time.AfterFunc(time.Second, stop)
		p.run(ctx)
		if want := []string{"late 10s+0s"}; !slices.Equal(l.extended, want) {
			t.Errorf("extended %v, want %v", l.extended, want)
		}
	})
}

// lateQueue brings a message when its whole wait is over.
type lateQueue struct{ *line }

func (l lateQueue) Receive(_ context.Context, _ int, wait time.Duration) ([]fifo.Received, error) {
	time.Sleep(wait)
	return received(1, "late"), nil
}

// No more than pollParallel batches are under way, however much waits.
func TestPollIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var waiting [][]fifo.Received
		for i := range 20 {
			waiting = append(waiting, received(1, fmt.Sprint("m", i)))
		}
		l := newLine(waiting...)
		ctx, stop := context.WithCancel(t.Context())
		var mu sync.Mutex
		now, most, handled := 0, 0, 0
		p := pollerOf(l, func(context.Context, []commitlib.Message) []string {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			defer mu.Unlock()
			now--
			if handled++; handled == 20 {
				stop()
			}
			return nil
		})
		p.run(ctx)
		if most != pollParallel || len(l.deleted) != 20 {
			t.Errorf("%d batches at once, %d messages deleted; want %d and 20", most, len(l.deleted), pollParallel)
		}
	})
}

// A queue that does not answer is asked ever more rarely, and at its return as before.
func TestPollBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(received(1, "m1"))
		l.broken = errors.New("connection refused")
		ctx, stop := context.WithCancel(t.Context())
		p := pollerOf(l, func(context.Context, []commitlib.Message) []string {
			stop()
			return nil
		})
		const outage = time.Hour
		time.AfterFunc(outage, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.broken = nil
		})
		p.run(ctx)
		if !slices.Equal(l.deleted, []string{"m1"}) {
			t.Errorf("deleted %v", l.deleted)
		}
		if n := len(l.asked); n < 100 || n > 260 { // each 15 to 30 s
			t.Errorf("asked %d times in an hour", n)
		}
		for i := 1; i < len(l.asked); i++ {
			if gap := l.asked[i] - l.asked[i-1]; gap > pollBackoff {
				t.Errorf("%v without asking", gap)
			}
		}
	})
}

// emptyQueue answers at once that there is nothing, as a server does that knows no long poll.
type emptyQueue struct{ *line }

func (l emptyQueue) Receive(context.Context, int, time.Duration) ([]fifo.Received, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, time.Since(l.began))
	if len(l.asked) > 1000 {
		return nil, errors.New("that is a storm")
	}
	return nil, nil
}

// A server that does not wait for messages is not asked without pause.
func TestPollDoesNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine()
		ctx, stop := context.WithCancel(t.Context())
		p := pollerOf(l, nil)
		p.queue = emptyQueue{l}
		time.AfterFunc(time.Minute, stop)
		p.run(ctx)
		if n := len(l.asked); n < 30 || n > 61 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}
