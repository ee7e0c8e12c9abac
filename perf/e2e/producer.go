package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// fate is what a producer knows about an event.
type fate int

const (
	open    fate = iota // no answer: in the table once or not at all
	acked               // in the table once, under the sequence of the ack
	refused             // the daemon said that it stored nothing
)

// sent is one event and its fate.
type sent struct {
	Event
	table string
	fate  fate
	id    ID   // of an acked event
	again bool // sent again after the daemon's death, so that its place among the others is free
}

// ledger is what all producers together know; payloads are unique, so that a row of a table is known by its payload.
type ledger struct {
	mu     sync.Mutex // events
	events []*sent
}

func (l *ledger) note(es ...*sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, es...)
}

// producers runs n connections against the daemon, each with one request at a time, until ctx ends or the daemon is
// gone. A producer's events carry its number as their partition and count up, across runs.
type producers struct {
	n      int
	pause  time.Duration // at most so long between a producer's requests
	broken bool          // the daemon's disk may fail under it: a 500 leaves an event open
	tables []string
	ledger ledger
	counts []int // events made by each producer
}

func newProducers(n int, tables ...string) *producers {
	return &producers{n: n, pause: 5 * time.Millisecond, tables: tables, counts: make([]int, n)}
}

// run posts until ctx ends. It returns when every producer has had the answer to its last request, or an error.
func (p *producers) run(ctx context.Context, t testing.TB, url string, seed uint64) {
	c := NewClient(url, p.n)
	defer c.HTTP.CloseIdleConnections()
	var wg sync.WaitGroup
	for w := range p.n {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			for ctx.Err() == nil {
				p.post(ctx, t, c, r, w)
				time.Sleep(time.Duration(r.Int64N(int64(p.pause))))
			}
		})
	}
	wg.Wait()
}

// post sends one request of 1 to 4 events and notes their fate.
func (p *producers) post(ctx context.Context, t testing.TB, c *Client, r *rand.Rand, w int) {
	table := p.tables[w%len(p.tables)]
	batch := make([]*sent, 1+r.IntN(4))
	events := make([]Event, len(batch))
	for i := range batch {
		p.counts[w]++
		e := Event{Partition: int32(w), TimeMs: time.Now().UnixMilli() - r.Int64N(3*3_600_000), Payload: fmt.Appendf(nil, `{"producer":%d,"n":%d}`, w, p.counts[w])}
		if r.IntN(2) == 0 {
			e.Key = fmt.Sprintf("%d-%d", w, p.counts[w])
		}
		events[i], batch[i] = e, &sent{Event: e, table: table}
	}
	p.ledger.note(batch...)
	// The request outlives ctx: what the daemon was asked before it died must be known as asked.
	var ack Ack
	var err error
	if len(events) == 1 {
		ack, err = c.Single(context.WithoutCancel(ctx), table, events[0])
	} else {
		ack, err = c.Bulk(context.WithoutCancel(ctx), table, false, events)
	}
	p.settle(t, batch, ack, err)
}

// settle notes the answer to a request of new events.
func (p *producers) settle(t testing.TB, batch []*sent, ack Ack, err error) {
	var status *StatusError
	switch {
	case err == nil:
		if ack.Accepted != len(batch) || ack.Last-ack.First+1 != int64(len(batch)) {
			t.Errorf("%d new events were answered with %+v", len(batch), ack)
			return
		}
		for i, s := range batch {
			s.fate, s.id = acked, ID{ack.Log, ack.First + int64(i)}
		}
	case errors.As(err, &status) && status.Status == http.StatusInternalServerError && p.broken:
	case errors.As(err, &status):
		if status.Status != http.StatusServiceUnavailable && status.Status != http.StatusTooManyRequests && status.Status != http.StatusInsufficientStorage {
			t.Errorf("a good request was answered with %v", err)
		}
		for _, s := range batch {
			s.fate = refused
		}
	case errors.Is(err, syscall.ECONNREFUSED): // it was gone before it heard of the request
		for _, s := range batch {
			s.fate = refused
		}
	default: // the daemon is gone, or going: open
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("a request hangs: %v", err)
		}
	}
}

// resend posts every open event that has a key once more, as a producer does that wants to be sure; each must be acked.
func (p *producers) resend(t testing.TB, c *Client) (n int) {
	var unsure []*sent
	for _, s := range p.ledger.events {
		if s.fate == open && s.Key != "" {
			unsure = append(unsure, s)
		}
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 8 { // as many as Daemon.Client has connections
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(unsure) {
					return
				}
				s := unsure[i]
				ack, err := c.Single(context.Background(), s.table, s.Event)
				if err != nil {
					t.Errorf("send %s again: %v", s.Payload, err)
					continue
				}
				if ack.Accepted+ack.Duplicates != 1 || ack.First != ack.Last {
					t.Errorf("send %s again: answered %+v", s.Payload, ack)
				}
				s.fate, s.id, s.again = acked, ID{ack.Log, ack.First}, true
			}
		})
	}
	wg.Wait()
	return len(unsure)
}
