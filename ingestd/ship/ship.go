// Package ship moves acked events from the log into their tables: it cuts segments, writes and uploads their data
// files, requests commits, and reads the committed watermark back.
//
// Invariants:
//   - The decision "segment = [first, last], schema, spec" is durable in the log before anything is encoded, so that a
//     restart stages the same events under the same names.
//   - Staged files are created exclusively. A file whose bytes differ from the one at its name takes a new name.
//   - Only the table says what is committed: the log's watermark moves on a read-back, never on what a queue answers.
//   - Whatever shows that the table is not what it was stops the track, visibly, before anything is trimmed or sent.
//   - Memory is bounded by Config: EncodeWorkers segments, whatever the number of tables, partitions or events.
//     An idle table has no goroutine, no timer and no state here.
//
// main wires it and calls Run; httpapi calls Demand, Await, Reached, Wait, Status, Resume and Discard.
package ship

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"firn/ingestd/eventlog"
)

// Shipper ships all tracks of one log directory. Safe for concurrent use.
//
// # The protocol, one track
//
// A track is the events of one log for one table. It is served in turns, at most one at a time; a turn does what is due
// and returns. The table is the receiver of a sliding window:
//
//  1. Cut. When pending events reach MaxSegmentBytes, or the oldest is as old as the table's cut interval, or somebody
//     asks, the log records segment [first, last] with schema and spec, durably. first is the last cut + 1.
//  2. Stage. The segment is read from the log, split by partition, and each file encoded and created
//     exclusively under <table>/data/<partition>/<log>-<first>-<last>-<k>.parquet. Then the log records the
//     encoded commit request and the time.
//  3. Request. The message goes to the queue under a new id. At most Window segments are between steps 1 and 5.
//  4. The committer makes a snapshot current and moves the table's watermark in the same swap: THE COMMIT POINT. It is
//     not in this process, and its outcome is learned only in step 5.
//  5. Read back. The table is loaded (a conditional GET), its watermark for this log goes into the log, durably, and
//     only then may the log trim what it covers.
//
// A crash after 1 leaves a cut: it is staged again, from the same events to the same names; a file that is there
// already with equal bytes is taken as it is. After 2, or with the message lost: the recorded request is sent (again).
// After 4: the read-back finds the watermark moved. So a restart knows nothing but the log's cuts, reads the watermark
// back first, and goes on with the step that each cut is at: there is no other recovery.
//
// When nothing is acked for ResendAfter, only the first request in flight is sent again, doubling the wait to
// ResendMax, and segments are cut by size, no longer by age; once the watermark moves, what was sent before that
// time-out is sent again in order, since a committer drops whatever follows a gap. Where the watermark lies inside a
// segment (another copy of this directory cut differently), the cuts beyond it are forgotten and made anew.
type Shipper struct {
	Deps
	cfg      Config
	tables   tables
	small    pool
	large    pool
	encoders chan *encoders // the free ones; EncodeWorkers in all
	looking  chan struct{}  // holds a token for each table being looked at; maxLooks at most
	count    counters
	fatal    chan error // holds at most one: the log is broken

	wake chan struct{} // holds a token when the schedule changed

	mu       sync.Mutex                // protects all that follows but turns, and the tracks as their comment says
	tracks   map[eventlog.Track]*track // those that have something uncommitted, or are stopped
	schedule schedule                  // of them, those that are due some time
	active   int                       // turns under way
	draining bool
	moved    chan struct{} // closed and replaced when a track moved on, stopped or went on: for those that wait
	trimAt   time.Time     // zero: nothing to trim
	trimming bool
	reach    reach
	pace     pace
	slots    slots
	rng      *rand.Rand
	turns    sync.WaitGroup
}

// New returns a Shipper; nothing happens until Run or Step.
func New(deps Deps, cfg Config) (*Shipper, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("shipper configuration: %w", err)
	}
	if deps.Log == nil || deps.Registry == nil || deps.Catalog == nil || deps.Store == nil || deps.Queue == nil {
		return nil, errors.New("shipper needs a log, a registry, a catalog, a store and a queue")
	}
	if cfg.Phase == nil {
		cfg.Phase = func(string, bool) {}
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	s := &Shipper{
		Deps: deps, cfg: cfg,
		tables:   tables{maxBytes: cfg.TableCacheBytes, entries: map[string]*loaded{}, looks: map[string]chan struct{}{}},
		pace:     pace(cfg.PollMin),
		small:    newPool(cfg.SmallStagers, smallSegment, cfg.Uploads),
		large:    newPool(cfg.EncodeWorkers, cfg.MaxSegmentBytes, cfg.Uploads),
		encoders: make(chan *encoders, cfg.EncodeWorkers),
		looking:  make(chan struct{}, maxLooks),
		fatal:    make(chan error, 1),
		wake:     make(chan struct{}, 1),
		tracks:   map[eventlog.Track]*track{},
		moved:    make(chan struct{}),
		rng:      rand.New(rand.NewPCG(cfg.Seed, 2)),
	}
	for range cfg.EncodeWorkers {
		s.encoders <- new(encoders)
	}
	return s, nil
}

// Notify says that a commit to a table may have happened; group is the message group. A queue in process calls it, so
// that the watermark is read back at once. It does not block.
func (s *Shipper) Notify(group string) {
	s.mu.Lock()
	for _, t := range s.tracks {
		if t.group == group {
			t.poked = time.Now()
			s.placeLocked(t, t.poked)
		}
	}
	s.mu.Unlock()
	s.wakeUp()
}

func (s *Shipper) wakeUp() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// movedLocked lets those that wait look again.
func (s *Shipper) movedLocked() {
	close(s.moved)
	s.moved = make(chan struct{})
}

// call bounds one call to the outside.
func (s *Shipper) call(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.cfg.CallTimeout)
}

// phase reports that a phase was entered; call the result on leaving.
func (s *Shipper) phase(name string) (leave func()) {
	s.cfg.Phase(name, true)
	return func() { s.cfg.Phase(name, false) }
}

// backoff is the wait after the nth try in a row, doubling from least to most, with up to a tenth added.
func (s *Shipper) backoff(n int, least, most time.Duration) time.Duration {
	d := least
	for ; n > 1 && d < most; n-- {
		d *= 2
	}
	d = min(d, most)
	s.mu.Lock()
	defer s.mu.Unlock()
	return d + time.Duration(s.rng.Int64N(int64(d)/10+1))
}
