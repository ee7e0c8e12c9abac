package load

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"firn/perf/hist"
	"firn/perf/payload"
)

// backOff is how long a connection of a closed loop waits after a refusal. A producer would wait as long as Retry-After
// says; here the refusals themselves are to be few, not the load to end.
const backOff = 50 * time.Millisecond

// maxLost bounds the connections that one traffic may lose before its run ends: a server that is gone is no result.
const maxLost = 1000

// tally is what became of a traffic's requests; its connections share it.
type tally struct {
	requests atomic.Int64 // answered with 200
	events   atomic.Int64 // of those
	bytes    atomic.Int64 // of their payloads
	refused  atomic.Int64 // answered otherwise
	noRetry  atomic.Int64 // of the refusals with 429, 503 or 507: those without Retry-After
	lost     atomic.Int64 // connections that broke with a request under way
	unsent   atomic.Int64 // requests that were due and never sent
	latency  hist.Histogram
	service  hist.Histogram // from when a request was sent, not from when it was due
	refusal  hist.Histogram // latencies of refusals
	statuses [600]atomic.Int64
	codes    sync.Map // refusals by their code: string to *atomic.Int64

	between func() error // called after each answer; nil: nothing
}

// send runs a traffic until its arrivals end or ctx does. It returns an error when the server cannot be reached, or
// answers what it never should.
func (t *Traffic) send(ctx context.Context, addr string, seed uint64, a *arrivals, times payload.Clock, y *tally) error {
	var wg sync.WaitGroup
	errs := make(chan error, t.Connections)
	for i := range t.Connections {
		wg.Go(func() {
			if err := t.connection(ctx, addr, i, seed, a, times, y); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	a.abandon(func(due time.Time) {
		y.unsent.Add(1)
		y.latency.Record(time.Since(due))
	})
	select {
	case err := <-errs:
		return fmt.Errorf("send to %s: %w", t.Table, err)
	default:
		return nil
	}
}

// connection is one connection's loop.
func (t *Traffic) connection(ctx context.Context, addr string, i int, seed uint64, a *arrivals, times payload.Clock, y *tally) error {
	req, err := t.requester(addr, i, seed, times)
	if err != nil {
		return err
	}
	c := newConn(addr)
	defer c.close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		due, ok := a.next()
		if !ok {
			return nil
		}
		wire := req.fill()
		if wait := time.Until(due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return nil
			}
		} else if ctx.Err() != nil {
			return nil
		}
		sent := time.Now()
		ans, err := c.do(wire, sent)
		done := time.Now()
		if err != nil {
			if y.lost.Add(1) > maxLost {
				return fmt.Errorf("%d connections were lost: %w", maxLost, err)
			}
			y.latency.Record(done.Sub(due)) // it is no faster for having failed
			continue
		}
		if y.between != nil {
			if err := y.between(); err != nil {
				return err
			}
		}
		y.statuses[min(ans.status, len(y.statuses)-1)].Add(1)
		if ans.status == http.StatusOK {
			y.latency.Record(done.Sub(due))
			y.service.Record(done.Sub(sent))
			n, size := req.got(ans)
			y.requests.Add(1)
			y.events.Add(n)
			y.bytes.Add(size)
			continue
		}
		y.refused.Add(1)
		y.code(ans.body)
		y.refusal.Record(done.Sub(due))
		switch ans.status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusInsufficientStorage:
			if !ans.retryAfter {
				y.noRetry.Add(1)
			}
		default:
			return fmt.Errorf("status %d: %s", ans.status, ans.body)
		}
		if a.every == 0 {
			time.Sleep(backOff)
		}
	}
}

var codeBegins = []byte(`"code":"`)

// code counts a refusal by the code in its body.
func (y *tally) code(body []byte) {
	_, rest, _ := bytes.Cut(body, codeBegins)
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	n, _ := y.codes.LoadOrStore(string(name), new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// requester makes a connection's requests, and reads what an answer brought.
type requester interface {
	fill() []byte
	got(a answer) (events, bytes int64)
}

func (t *Traffic) requester(addr string, i int, seed uint64, times payload.Clock) (requester, error) {
	if t.Reads {
		return newReader(addr, payload.TableName(t.Table, i%max(1, t.Tables), t.Tables), t.Events), nil
	}
	r, err := payload.New(t.spec(addr, i, seed, times))
	return writer{r}, err
}

type writer struct{ r *payload.Request }

func (w writer) fill() []byte { return w.r.Fill() }

func (w writer) got(answer) (int64, int64) { return int64(w.r.Events()), int64(w.r.PayloadBytes()) }
