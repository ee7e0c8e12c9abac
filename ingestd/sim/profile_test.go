package sim

import (
	"math/rand/v2"
	"time"
)

// catalogKind is the check that swaps meet.
type catalogKind int

const (
	onObjects catalogKind = iota
	onGlue
	onREST
)

func (k catalogKind) String() string { return [...]string{"objectstore", "glue", "rest"}[k] }

// metadataRetention is how long old table metadata is kept in the simulation, an hour more than in the product; what
// matters is that writes linger and processes sleep for less, or for more than all of it.
const metadataRetention = 4 * time.Hour

// profile is what a seed decides once for its run.
type profile struct {
	catalog    catalogKind
	nodeCount  int
	tableCount int
	steps      int
	slow       bool // gaps of hours
	embedded   bool // each daemon commits for itself, as it does by default

	faults     float64 // of calls
	kvFaults   float64 // of writes to a directory's store
	lossy      float64 // of messages
	notify     bool    // the queue tells senders of commits
	deadlines  bool    // committers have 30 s, as functions do; else they poll without end
	copies     bool    // directories are restored and copied
	clobber    bool    // properties, tables and state files are tampered with
	repair     bool    // an operator puts right what was tampered with
	cutEvery   time.Duration
	hot        time.Duration
	byHour     bool
	segment    int64
	window     int
	spillAfter int
	spillQuiet time.Duration

	keepSnapshots, mergeAt int // few, so that a short run sees snapshots go and manifests merged
}

func newProfile(r *rand.Rand) profile {
	pick := func(ds ...time.Duration) time.Duration { return ds[r.IntN(len(ds))] }
	p := profile{
		catalog:   catalogKind(r.IntN(3)),
		nodeCount: 3, tableCount: 1 + r.IntN(5)/4,
		steps: 30 + r.IntN(40), slow: r.IntN(3) == 0,
		faults: []float64{0, 0.01, 0.04, 0.12}[r.IntN(4)], lossy: []float64{0, 0.05, 0.25, 0.5}[r.IntN(4)],
		notify: r.IntN(2) == 0, deadlines: r.IntN(3) > 0,
		copies: r.IntN(2) == 0, clobber: r.IntN(2) == 0, repair: r.IntN(3) > 0,
		cutEvery: pick(time.Second, 5*time.Second, 20*time.Second), hot: pick(0, 0, 3*time.Minute, time.Hour),
		byHour: r.IntN(3) == 0, segment: int64(40 << r.IntN(5)), window: 2 + r.IntN(7),
		spillAfter: 1 + r.IntN(4), spillQuiet: pick(2*time.Minute, time.Hour, 24*time.Hour),
	}
	if r.IntN(4) == 0 {
		p.embedded, p.lossy, p.deadlines, p.notify = true, 0, false, true
	}
	if r.IntN(2) == 0 {
		p.kvFaults = 0.01
	}
	return p
}

// gap is the time to the conductor's next step: mostly a burst, now and then long enough for everything to time out.
func (w *world) gap() time.Duration {
	switch n := w.plan.IntN(100); {
	case n < 60:
		return w.random(time.Millisecond, 2*time.Second)
	case n < 90:
		return w.random(2*time.Second, time.Minute)
	case n < 98 || !w.slow:
		return w.random(time.Minute, 20*time.Minute)
	default:
		return w.random(20*time.Minute, 15*time.Hour)
	}
}

// random draws a duration, to the nanosecond, so that no two things happen at one instant.
func (w *world) random(least, most time.Duration) time.Duration {
	return least + time.Duration(w.plan.Int64N(int64(most-least)))
}

func (w *world) fateful(least, most time.Duration) time.Duration {
	return least + time.Duration(w.fate.Int64N(int64(most-least)))
}

// chance is true that often, by what becomes of calls.
func (w *world) chance(p float64) bool { return w.fate.Float64() < p }
