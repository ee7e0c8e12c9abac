package eventlog

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Room is what the log has promised to an append whose body is about to be decoded: a part of what its bounds leave.
// Without promises all requests under way would be decoded for the place of one, and the writer would refuse the rest.
// It is an estimate, by how blocks have compressed lately; the writer decides, exactly. Every Room is given back.
type Room struct {
	share *share // nil: the table has no track yet
	bytes int64
	full  *Refusal // there is none: only duplicates, which need none, are let through
}

// Full is the refusal that the append meets unless all of its events are duplicates; nil while there is room.
func (r Room) Full() error {
	if r.full == nil {
		return nil // a nil *Refusal would be an error
	}
	return r.full
}

// Refuses returns the refusal that an append to the table would meet now, so that a request can be refused before its
// body is read; nil where there is room or only the body can tell. bytes is about the body's size. keyed says that
// its events may have idempotency keys: a retry of what is stored needs no room, so that it is not refused here while
// the table may have a key in the log.
//
// A first attempt that is with the writer at this moment is not stored yet; its retry may be refused, and comes back.
func (l *Log) Refuses(table uuid.UUID, bytes int64, keyed bool) error {
	r, err := l.Reserve(table, bytes, keyed)
	l.GiveBack(r)
	return err
}

// Reserve is Refuses for a body that has arrived: it promises the room. Where there is none and the body may be a
// retry, the Room is Full.
func (l *Log) Reserve(table uuid.UUID, bytes int64, keyed bool) (Room, error) {
	if !l.hasRoom() {
		err := &Refusal{ErrDiskFull, retryDisk}
		l.count.refuse(err)
		return Room{}, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	r := Room{share: l.shares[table], bytes: l.estimate(bytes)}
	if r.full = l.promise(r); r.full == nil {
		return r, nil
	}
	if keyed && l.dedup > 0 && (r.share == nil || r.share.keyed) {
		return Room{full: r.full}, nil
	}
	l.count.refuse(r.full)
	return Room{}, r.full
}

// GiveBack ends a promise, once its append has returned or is not made.
func (l *Log) GiveBack(r Room) {
	l.bound.promised.Add(-r.bytes)
	if r.share != nil {
		r.share.bound.promised.Add(-r.bytes)
	}
}

// LastFull is when the log last refused an append for want of room, whatever its table; zero: not since it was opened.
// Room comes with each commit, and under overload is gone again at once: whoever is to leave the machine to committing
// goes by this, and not by Refused, which is of a moment.
func (l *Log) LastFull() time.Time {
	if ns := l.bound.last.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// promise counts a room among the promises, unless a bound would be passed. l.mu is held for reading.
func (l *Log) promise(r Room) *Refusal {
	if l.space.pinned+l.bound.promised.Add(r.bytes) > l.cfg.MaxBytes {
		l.bound.promised.Add(-r.bytes)
		return l.bound.refuse(ErrFull, l.cfg.Clock())
	}
	if s := r.share; s != nil && s.bytes+s.bound.promised.Add(r.bytes) > l.cfg.MaxTableBytes {
		l.GiveBack(r)
		return s.bound.refuse(ErrTableFull, l.cfg.Clock())
	}
	return nil
}

// estimateParts bounds an estimate to a part of the log's bounds, so that a large append, which may compress better
// than it seems, is not kept out by one while there is room.
const estimateParts = 64

// leastBlock is about what a block of one small event takes, in bytes.
const leastBlock = 128

// estimate is about what a body takes of the bounds. l.mu is held for reading.
func (l *Log) estimate(bytes int64) int64 {
	n := float64(bytes)
	if l.lately.raw > 0 {
		n *= l.lately.stored / l.lately.raw
	}
	return min(max(int64(n), leastBlock), l.cfg.MaxBytes/estimateParts, l.cfg.MaxTableBytes/estimateParts)
}

// compression is how many bytes blocks took lately, with and without compression: about the last 16 MiB of them.
type compression struct{ raw, stored float64 }

func (c *compression) add(raw, stored int) {
	const most = 16 << 20
	if c.raw += float64(raw); c.raw > most {
		f := most / c.raw
		c.raw, c.stored = most, c.stored*f
	}
	c.stored += float64(stored)
}

// bound is a bound that appends meet: the log's, or a table's share.
type bound struct {
	promised atomic.Int64 // bytes of Rooms
	since    atomic.Int64 // when it was first met after room had come, in nanoseconds; 0: not since then
	last     atomic.Int64 // when it was met last, in nanoseconds; 0: never
}

// What a producer is told to wait when a bound is met: as long as it has been met without a break, so that the wait
// follows the time that the log takes to drain, whatever that is, and whoever comes back is at most twice as late as
// it could be. Half as much again at most is added, at random, so that not all come back at once.
const (
	minRetry = time.Second
	maxRetry = 40 * time.Second // and half: a minute
)

// refuse makes the refusal of who meets the bound now.
func (b *bound) refuse(reason error, now time.Time) *Refusal {
	b.since.CompareAndSwap(0, now.UnixNano())
	b.last.Store(now.UnixNano())
	met := time.Duration(now.UnixNano() - b.since.Load())
	wait := min(max(met, minRetry), maxRetry)
	return &Refusal{reason, wait + rand.N(wait/2)}
}

// drained says that room has come.
func (b *bound) drained() { b.since.Store(0) }
