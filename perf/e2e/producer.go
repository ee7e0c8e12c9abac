package e2e

import (
	"context"
	"encoding/base64"
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

// refusedPause bounds the pause after a refusal. Retry-After asks for longer, and tests are short.
const refusedPause = 500 * time.Millisecond

// maxConns is how many connections a set of producers opens at most: more of them share these. A daemon takes 1,024 in
// all.
const maxConns = 256

// Producers runs some producers against a daemon, each with one request at a time. A producer's events carry its number
// as their partition and count up, across runs.
type Producers struct {
	Pause  time.Duration // at most so long between a producer's requests
	Span   time.Duration // how far back the events' times lie at most
	Pad    int           // bytes that no compression takes away, in each payload
	Broken bool          // the daemon's disk may fail under it: a 500 leaves an event open
	Ledger *Ledger       // of all producers whose events meet in the same tables

	tables []string
	first  int   // number of the first of them
	counts []int // events made by each
}

// NewProducers makes n producers that spread over the tables. The numbers of producers whose events meet in a table
// must not: first is that of the first.
func NewProducers(ledger *Ledger, first, n int, tables ...string) *Producers {
	return &Producers{Pause: 5 * time.Millisecond, Span: 3 * time.Hour, Ledger: ledger, tables: tables, first: first, counts: make([]int, n)}
}

// Run posts until ctx ends. It returns when every producer has had the answer to its last request, or an error.
func (p *Producers) Run(ctx context.Context, t testing.TB, url string, seed uint64) {
	c := NewClient(url, min(len(p.counts), maxConns))
	defer c.HTTP.CloseIdleConnections()
	var wg sync.WaitGroup
	for w := range p.counts {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(p.first+w)))
			for ctx.Err() == nil {
				pause := p.Pause
				if taken := p.post(ctx, t, c, r, w); !taken {
					pause = refusedPause
				}
				time.Sleep(time.Duration(r.Int64N(int64(pause))))
			}
		})
	}
	wg.Wait()
}

// post sends one request of 1 to 4 events, notes their fate, and says whether they were not refused.
func (p *Producers) post(ctx context.Context, t testing.TB, c *Client, r *rand.Rand, w int) (taken bool) {
	table, producer := p.tables[w%len(p.tables)], p.first+w
	batch := make([]*sent, 1+r.IntN(4))
	events := make([]Event, len(batch))
	for i := range batch {
		p.counts[w]++
		e := Event{Partition: int32(producer), TimeMs: time.Now().UnixMilli() - r.Int64N(p.Span.Milliseconds()), Payload: p.payload(r, producer, p.counts[w])}
		if r.IntN(2) == 0 {
			e.Key = fmt.Sprintf("%d-%d", producer, p.counts[w])
		}
		events[i], batch[i] = e, &sent{Event: e, table: table}
	}
	p.Ledger.note(batch...)
	// The request outlives ctx: what the daemon was asked before it died must be known as asked.
	var ack Ack
	var err error
	if len(events) == 1 {
		ack, err = c.Single(context.WithoutCancel(ctx), table, events[0])
	} else {
		ack, err = c.Bulk(context.WithoutCancel(ctx), table, false, events)
	}
	p.settle(t, batch, ack, err)
	return batch[0].fate != refused
}

// payload is a producer's n-th.
func (p *Producers) payload(r *rand.Rand, producer, n int) []byte {
	b := fmt.Appendf(nil, `{"producer":%d,"n":%d`, producer, n)
	if p.Pad > 0 {
		pad := make([]byte, p.Pad)
		for i := range pad {
			pad[i] = byte(r.Uint32())
		}
		b = append(b, padding...)
		b = append(base64.StdEncoding.AppendEncode(b, pad), '"')
	}
	return append(b, '}')
}

// settle notes the answer to a request of new events.
func (p *Producers) settle(t testing.TB, batch []*sent, ack Ack, err error) {
	p.Ledger.mu.Lock()
	defer p.Ledger.mu.Unlock()
	var status *StatusError
	switch {
	case err == nil:
		if ack.Accepted != len(batch) || ack.Last-ack.First+1 != int64(len(batch)) {
			t.Errorf("%d new events were answered with %+v", len(batch), ack)
			return
		}
		for i, s := range batch {
			s.id = ID{ack.Log, ack.First + int64(i)}
			p.Ledger.fateLocked(s, acked)
		}
	case errors.As(err, &status) && status.Status == http.StatusInternalServerError && p.Broken:
	case errors.As(err, &status):
		if status.Status != http.StatusServiceUnavailable && status.Status != http.StatusTooManyRequests && status.Status != http.StatusInsufficientStorage {
			t.Errorf("a good request was answered with %v", err)
		}
		if status.RetryAfter == "" {
			t.Errorf("no Retry-After with %v", err)
		}
		p.Ledger.causes[status.code()]++
		for _, s := range batch {
			p.Ledger.fateLocked(s, refused)
		}
	case errors.Is(err, syscall.ECONNREFUSED): // it was gone before it heard of the request
		for _, s := range batch {
			p.Ledger.fateLocked(s, refused)
		}
	default: // the daemon is gone, or going: open
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("a request hangs: %v", err)
		}
	}
}

// Resend posts every open event that has a key once more, as a producer does that wants to be sure; each must be
// acked. All producers of the ledger are at rest.
func (p *Producers) Resend(t testing.TB, c *Client) (n int) {
	var unsure []*sent
	for _, s := range p.Ledger.events {
		if s.fate == open && s.Key != "" && p.made(s) {
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
				p.Ledger.mu.Lock()
				s.id, s.again = ID{ack.Log, ack.First}, true
				p.Ledger.fateLocked(s, acked)
				p.Ledger.mu.Unlock()
			}
		})
	}
	wg.Wait()
	return len(unsure)
}

// made says whether an event is of one of these producers.
func (p *Producers) made(s *sent) bool {
	n := int(s.Partition) - p.first
	return n >= 0 && n < len(p.counts)
}
