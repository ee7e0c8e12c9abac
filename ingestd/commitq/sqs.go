package commitq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"firn/commitlib"
	"firn/commitlib/fifo"
	"firn/commitlib/objstore"
)

// SQSConfig bounds an SQS queue's sender. Start from DefaultSQSConfig.
type SQSConfig struct {
	// MaxMessages and MaxBytes bound what waits to be sent or is being sent; the sender tries again later.
	MaxMessages int
	MaxBytes    int64

	// Calls bounds the calls to SQS at the same time. A second one begins only when it can carry a full batch.
	Calls int

	// After calls that were not carried out the next is made after a random part of MinBackoff doubled for each in a row,
	// up to MaxBackoff, and it alone.
	MinBackoff time.Duration
	MaxBackoff time.Duration

	// RefuseAfter is how long SQS may have taken nothing until Send refuses: what is accepted meanwhile has no end, and
	// the shippers send it again by then.
	RefuseAfter time.Duration

	Logger *slog.Logger // nil discards
	Seed   uint64       // fixes the jitter of back-offs; 0 draws one
}

// DefaultSQSConfig returns the bounds that ingestd runs with.
func DefaultSQSConfig() SQSConfig {
	return SQSConfig{
		MaxMessages: 4096,     // 8 in flight for each of 512 tracks
		MaxBytes:    16 << 20, // a request of 40 files is 16 kB; large ones wait in the store
		Calls:       4,        // at 20 ms a call 2,000 requests a second, of the 3,000 that a queue takes without high throughput
		MinBackoff:  100 * time.Millisecond,
		MaxBackoff:  30 * time.Second,
		RefuseAfter: 5 * time.Second, // longer than a hiccup, and well below the 30 s after which a shipper sends again
	}
}

// SQS is a Queue whose messages go to an SQS FIFO queue, for a committer in another process.
//
// Messages of all tables wait together. As in a group commit, what arrives while a call is under way goes with the
// next, so that an idle queue sends at once and a busy one in batches of MaxBatch; there is no timer. Of one group at
// most one call is under way, which keeps its order. A request larger than a message goes by way of the store
// (commitlib.StoreClaim), within Send.
//
// While SQS cannot be reached, or takes nothing, one call at a time tries it, ever more rarely; what was accepted waits,
// in bounded memory, and new messages are refused with ErrFull and the cause. So an outage is visible to the shippers,
// which hold their requests in the log, and on return each message is sent once: there is nothing that piled up.
//
// An idle queue has no goroutine and no timer. Safe for concurrent use.
type SQS struct {
	to      service
	store   objstore.Store
	cfg     SQSConfig
	claims  claims
	ctx     context.Context // cancelled when Close abandons what is left
	abandon context.CancelFunc

	mu       sync.Mutex       // protects all that follows, and the lanes
	lanes    map[string]*lane // those that have messages
	ready    []*lane          // those without a call under way, in the order they became ready
	waiting  int              // messages in ready lanes
	calls    int              // under way
	messages int
	bytes    int64
	fails    int         // calls in a row that were not carried out in full
	down     time.Time   // when the first call began since which SQS took nothing; zero: it takes messages
	why      error       // of the last call that was not carried out
	told     fifo.Kind   // what the log says about being down
	isTold   bool        // whether it says something
	pause    *time.Timer // runs while backing off
	rng      *rand.Rand
	closed   bool
	idle     chan struct{} // made by Close; closed when nothing is left and no call is under way
	stats    Stats
}

// service is fifo.Queue as SQS uses it.
type service interface {
	Send(ctx context.Context, msgs []commitlib.Message) error
	Attributes(ctx context.Context) (fifo.Attributes, error)
	MaxBytes() int
}

// lane is one group's messages.
type lane struct {
	name string
	msgs []Message
	busy bool // a call carries some of them
}

// NewSQS returns a queue that sends to q and puts large requests into the store. Nothing is sent yet: a queue that cannot
// be reached does not keep ingestd from starting.
func NewSQS(q *fifo.Queue, store objstore.Store, cfg SQSConfig) (*SQS, error) {
	if q == nil || store == nil {
		return nil, errors.New("commit queue needs an SQS queue and a store")
	}
	return newSQS(q, store, cfg)
}

func newSQS(to service, store objstore.Store, cfg SQSConfig) (*SQS, error) {
	if cfg.MaxMessages <= 0 || cfg.MaxBytes <= 0 || cfg.Calls <= 0 || cfg.MinBackoff <= 0 || cfg.MaxBackoff < cfg.MinBackoff || cfg.RefuseAfter <= 0 {
		return nil, fmt.Errorf("commit queue: every bound must be positive, and the back-off's maximum not below its minimum: %+v", cfg)
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	q := &SQS{to: to, store: store, cfg: cfg, lanes: map[string]*lane{}, rng: rand.New(rand.NewPCG(cfg.Seed, 3))}
	q.ctx, q.abandon = context.WithCancel(context.Background())
	return q, nil
}

// Send takes all messages or none: ErrFull, ErrClosed, or the store's error where a request has to go there first.
// It returns before they are sent; that a call then does not work costs time.
func (q *SQS) Send(ctx context.Context, msgs []Message) error {
	if err := q.admit(msgs); err != nil { // before anything is put into the store
		return err
	}
	fitted, err := q.fit(ctx, msgs)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.admitLocked(fitted); err != nil {
		return err
	}
	q.stats.Sent += uint64(len(fitted))
	for _, m := range fitted {
		q.messages++
		q.bytes += int64(len(m.Body))
		l, ok := q.lanes[m.Group]
		if !ok {
			l = &lane{name: m.Group}
			q.lanes[m.Group] = l
			q.ready = append(q.ready, l)
		}
		l.msgs = append(l.msgs, m)
		if !l.busy {
			q.waiting++
		}
	}
	q.dispatchLocked()
	return nil
}

func (q *SQS) admit(msgs []Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.admitLocked(msgs)
}

// admitLocked says why the messages cannot be taken now, or nil.
func (q *SQS) admitLocked(msgs []Message) error {
	var size int64
	for i := range msgs {
		size += int64(min(len(msgs[i].Body), maxInline))
	}
	switch {
	case q.closed:
		return ErrClosed
	case !q.down.IsZero() && time.Since(q.down) >= q.cfg.RefuseAfter:
		q.stats.Refused += uint64(len(msgs))
		return fmt.Errorf("%w: nothing could be sent since %s: %w", ErrFull, q.down.UTC().Format(time.RFC3339), q.why)
	// One send larger than the whole bound is taken by an empty queue: refused for ever it would stop its table.
	case q.messages > 0 && (q.messages+len(msgs) > q.cfg.MaxMessages || q.bytes+size > q.cfg.MaxBytes):
		q.stats.Refused += uint64(len(msgs))
		return fmt.Errorf("%w: %d messages of %d bytes", ErrFull, q.messages, q.bytes)
	}
	return nil
}

// Reachable returns nil, or since when and why SQS has taken nothing. It asks nothing of SQS: only what was to be sent
// shows.
func (q *SQS) Reachable(context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down.IsZero() || time.Since(q.down) < q.cfg.RefuseAfter {
		return nil
	}
	return fmt.Errorf("no commit request could be sent since %s: %w", q.down.UTC().Format(time.RFC3339), q.why)
}

// Stats returns the counts so far. Handled are the messages that SQS took, Redelivered those that a call did not get
// there and the next tried again.
func (q *SQS) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := q.stats
	s.Messages, s.Bytes = q.messages, q.bytes
	s.Claims = q.claims.count()
	return s
}

// Close refuses new messages and waits until those that it has are sent; when ctx ends it abandons the rest and returns
// ctx's error. Abandoned requests cost time, never events.
func (q *SQS) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	if q.idle == nil {
		q.idle = make(chan struct{})
		q.signalIdleLocked()
	}
	idle := q.idle
	q.resumeLocked() // one more try at once
	q.mu.Unlock()

	select {
	case <-idle:
		return nil
	case <-ctx.Done():
	}
	q.abandon()
	q.mu.Lock()
	q.resumeLocked()
	q.mu.Unlock()
	<-idle
	return context.Cause(ctx)
}

// resumeLocked ends a back-off before its time.
func (q *SQS) resumeLocked() {
	if q.pause != nil && q.pause.Stop() {
		q.pause = nil
	}
	q.dispatchLocked()
}

func (q *SQS) signalIdleLocked() {
	if q.idle != nil && q.calls == 0 && q.messages == 0 {
		select {
		case <-q.idle:
		default:
			close(q.idle)
		}
	}
}
