package commitq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Config bounds an InProcess queue. Start from DefaultConfig.
type Config struct {
	// MaxMessages and MaxBytes bound what waits or is being handled; the sender tries again later.
	MaxMessages int
	MaxBytes    int64

	// Parallel bounds the groups handled at the same time.
	Parallel int

	// A failed message is delivered again after a delay from MinBackoff doubling to MaxBackoff, and given up after
	// MaxDeliveries: it is up to the sender then, who knows from the watermark what is missing.
	MinBackoff    time.Duration
	MaxBackoff    time.Duration
	MaxDeliveries int

	// HandlerTimeout bounds one batch's handling: a store that never answers must not hold up its table for good. The
	// messages come again then.
	HandlerTimeout time.Duration

	// Done, where set, is called after a batch of which at least one message was not failed: its sender need not wait
	// for a tick to read the watermark back. It must not block.
	Done func(group string)

	// Seed fixes the jitter of back-offs; 0 draws one.
	Seed uint64
}

// DefaultConfig returns the bounds that ingestd runs with.
func DefaultConfig() Config {
	return Config{
		MaxMessages:   4096,     // 8 in flight for each of 512 tracks
		MaxBytes:      32 << 20, // a request over thousands of partitions is a few MB; the reference host has 1 GB
		Parallel:      4,        // commits wait for the store, not for a CPU
		MinBackoff:    100 * time.Millisecond,
		MaxBackoff:    30 * time.Second,
		MaxDeliveries: 12, // about 3 minutes of failures

		HandlerTimeout: 3 * time.Minute, // a committer looks for the outcome of an unknown swap for up to two
	}
}

// InProcess is a queue inside the process, with the behaviour of a FIFO queue service: one FIFO a group, batches of at
// most MaxBatch, one batch of a group at a time, failed messages again at the head after a back-off. Nothing is
// durable: what is lost with the process is sent again by the next one.
//
// An idle queue has no goroutine and no timer. Safe for concurrent use.
type InProcess struct {
	handler Handler
	cfg     Config
	ctx     context.Context // cancelled when Close abandons what is left
	abandon context.CancelFunc

	mu       sync.Mutex        // protects all that follows, and the groups
	groups   map[string]*group // those that have messages
	ready    []*group          // those that a worker may take, in the order they became ready
	workers  int
	messages int
	bytes    int64
	rng      *rand.Rand
	closed   bool
	idle     chan struct{} // made by Close; closed when the last message is gone and no worker runs
	stats    Stats
}

type group struct {
	name       string
	msgs       []Message
	deliveries int         // of the message at the head
	timer      *time.Timer // runs while the group backs off
}

// NewInProcess returns a queue that hands its messages to handler.
func NewInProcess(handler Handler, cfg Config) (*InProcess, error) {
	if handler == nil {
		return nil, errors.New("commit queue needs a handler")
	}
	if cfg.MaxMessages <= 0 || cfg.MaxBytes <= 0 || cfg.Parallel <= 0 || cfg.MinBackoff <= 0 || cfg.MaxBackoff < cfg.MinBackoff || cfg.MaxDeliveries <= 0 || cfg.HandlerTimeout <= 0 {
		return nil, fmt.Errorf("commit queue: every bound must be positive, and the back-off's maximum not below its minimum: %+v", cfg)
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	q := &InProcess{handler: handler, cfg: cfg, groups: map[string]*group{}, rng: rand.New(rand.NewPCG(cfg.Seed, 1))}
	q.ctx, q.abandon = context.WithCancel(context.Background())
	return q, nil
}

// Send takes all messages or none: ErrFull, ErrClosed.
func (q *InProcess) Send(_ context.Context, msgs []Message) error {
	var size int64
	for i := range msgs {
		size += int64(len(msgs[i].Body))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	// One send larger than the whole bound is taken by an empty queue: refused for ever it would stop its table.
	if q.messages > 0 && (q.messages+len(msgs) > q.cfg.MaxMessages || q.bytes+size > q.cfg.MaxBytes) {
		q.stats.Refused += uint64(len(msgs))
		return fmt.Errorf("%w: %d messages of %d bytes", ErrFull, q.messages, q.bytes)
	}
	q.messages += len(msgs)
	q.bytes += size
	q.stats.Sent += uint64(len(msgs))
	for _, m := range msgs {
		g, ok := q.groups[m.Group]
		if !ok {
			g = &group{name: m.Group}
			q.groups[m.Group] = g
			q.readyLocked(g)
		}
		g.msgs = append(g.msgs, m)
	}
	return nil
}

// Stats returns the counts so far.
func (q *InProcess) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Messages, s.Bytes = q.messages, q.bytes
	return s
}

// Close refuses new messages and waits until those that it has are handled; when ctx ends it cancels the
// handlers' context, waits for them to return and abandons the rest. It returns ctx's error then.
// Abandoned requests cost time, never events.
func (q *InProcess) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	if q.idle == nil {
		q.idle = make(chan struct{})
		q.signalIdleLocked()
	}
	idle := q.idle
	q.mu.Unlock()

	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	q.abandon()
	q.mu.Lock()
	for _, g := range q.groups {
		if g.timer != nil && g.timer.Stop() {
			g.timer = nil
			q.readyLocked(g) // a worker finds the context cancelled and abandons it
		}
	}
	q.mu.Unlock()
	<-idle
	return context.Cause(ctx)
}

// readyLocked lets a worker take g, starting one where the bound allows.
func (q *InProcess) readyLocked(g *group) {
	q.ready = append(q.ready, g)
	if q.workers < q.cfg.Parallel {
		q.workers++
		go q.work()
	}
}

// work handles batches of ready groups until there are none.
func (q *InProcess) work() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) > 0 {
		g := q.ready[0]
		q.ready = q.ready[1:]
		if q.ctx.Err() != nil {
			q.removeLocked(g, len(g.msgs), nil)
			delete(q.groups, g.name)
			continue
		}
		batch := append([]Message(nil), g.msgs[:min(len(g.msgs), MaxBatch)]...)
		q.mu.Unlock()
		failed := q.handle(batch)
		if len(failed) < len(batch) && q.cfg.Done != nil {
			q.cfg.Done(g.name)
		}
		q.mu.Lock()
		q.settleLocked(g, batch, failed)
	}
	q.workers--
	q.signalIdleLocked()
}

func (q *InProcess) handle(batch []Message) []string {
	ctx, cancel := context.WithTimeout(q.ctx, q.cfg.HandlerTimeout)
	defer cancel()
	return q.handler(ctx, batch)
}

// settleLocked removes what was handled from g's head, keeps what failed there, and says when g is next.
func (q *InProcess) settleLocked(g *group, batch []Message, failed []string) {
	again := make(map[string]bool, len(failed))
	for _, id := range failed {
		again[id] = true
	}
	var keep []Message
	for _, m := range batch {
		if again[m.ID] {
			keep = append(keep, m)
		}
	}
	q.stats.Handled += uint64(len(batch) - len(keep))
	if len(keep) > 0 && len(keep) == len(batch) {
		g.deliveries++
		if g.deliveries >= q.cfg.MaxDeliveries {
			keep, g.deliveries = keep[1:], 0
			q.stats.GivenUp++
		}
	} else {
		g.deliveries = min(len(keep), 1)
	}
	q.stats.Redelivered += uint64(len(keep))
	q.removeLocked(g, len(batch), keep)
	switch {
	case len(g.msgs) == 0:
		delete(q.groups, g.name)
	case len(keep) > 0 && q.ctx.Err() == nil:
		g.timer = time.AfterFunc(q.backoffLocked(g.deliveries), func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			if g.timer != nil {
				g.timer = nil
				q.readyLocked(g)
			}
		})
	default:
		q.readyLocked(g)
	}
}

// removeLocked drops the first n messages of g, puts keep in their place, and accounts for the difference.
func (q *InProcess) removeLocked(g *group, n int, keep []Message) {
	for _, m := range g.msgs[:n] {
		q.messages--
		q.bytes -= int64(len(m.Body))
	}
	for _, m := range keep {
		q.messages++
		q.bytes += int64(len(m.Body))
	}
	g.msgs = append(append([]Message(nil), keep...), g.msgs[n:]...)
}

// backoffLocked is the delay after the nth failed delivery in a row, with up to a quarter of jitter.
func (q *InProcess) backoffLocked(n int) time.Duration {
	d := q.cfg.MinBackoff
	for ; n > 1 && d < q.cfg.MaxBackoff; n-- {
		d *= 2
	}
	d = min(d, q.cfg.MaxBackoff)
	return d - time.Duration(q.rng.Int64N(int64(d)/4+1))
}

func (q *InProcess) signalIdleLocked() {
	if q.idle != nil && q.workers == 0 && q.messages == 0 {
		select {
		case <-q.idle:
		default:
			close(q.idle)
		}
	}
}
