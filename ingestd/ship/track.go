package ship

import (
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
)

// track is the shipping state of one (log, table UUID). The scheduling fields are protected by Shipper.mu; the window's
// belong to the turn while busy, and to the holder of Shipper.mu otherwise.
type track struct {
	id    eventlog.Track
	log   uuid.UUID
	table eventlog.Table
	group string    // message group of its table
	since time.Time // when it was taken up

	// Scheduling.
	due     time.Time
	place   int       // in the schedule; -1: not in it
	busy    bool      // a turn is under way
	poked   time.Time // when a commit was reported, which the watermark is to be read back for; zero: none was
	waiting bool      // for a stager
	woken   bool      // from waiting, and has not had its turn since
	target  eventlog.Seq
	slot    time.Time // to cut a trickle at; zero: none was taken
	stop    *Stop     // nil: not stopped
	doubted time.Time // when it was last found stopped: the files of what was staged before may be gone; zero: never
	recheck time.Time
	fails   int       // errors in a row
	failing time.Time // when the first of them came
	retryAt time.Time
	lastErr error
	told    told // what the log holds of the errors in a row
	view    view // what Status shows; a turn's end writes it

	// When this process first saw events beyond pendingCut: their age by a clock that never goes back.
	pendingSince time.Time
	pendingCut   eventlog.Seq

	// What this turn loaded; nil between turns, so that the cache's bound holds.
	known  *registry.Table
	loaded *catalog.Table

	// The window.
	info     eventlog.TrackInfo // as of the last look
	opened   bool               // segs are those of the log
	read     bool               // the watermark was read back since
	segs     []segment          // cut and not committed, in order
	epoch    int                // counts time-outs; what was sent in an earlier one is not sent as far as the window goes
	stalled  int                // time-outs since the watermark moved
	resendAt time.Time
	pollAt   time.Time
	pollWait time.Duration // after pollAt; 0: no look since the last sending or commit
	maxRows  eventlog.Seq  // of a segment, after one was too large for a request; 0: no bound
}

// segment is a cut as the window sees it; the log keeps the request's body.
type segment struct {
	eventlog.Cut           // without Request
	staged       bool      // the log has its request
	sent         bool      // in flight, as far as we know
	epoch        int       // of the last sending
	sentAt       time.Time // of the last sending
}

// view is what others may see of a track at any time.
type view struct {
	inFlight, unsent, stalled int
	staged                    eventlog.Seq // all events up to it are in data files
}

// never is a time that does not come.
var never = time.Unix(1<<55, 0)

// inFlight counts the requests sent and not acked.
func (t *track) inFlight() int {
	n := 0
	for i := range t.segs {
		if t.segs[i].sent {
			n++
		}
	}
	return n
}

// staged is the sequence up to which all events are in data files.
func (t *track) staged() eventlog.Seq {
	last := t.info.Committed
	for i := range t.segs {
		if !t.segs[i].staged {
			break
		}
		last = t.segs[i].Last
	}
	return last
}

// progress is how far the track has come.
func (t *track) progress() [4]eventlog.Seq {
	return [4]eventlog.Seq{t.info.Committed, t.info.Cut, t.staged(), eventlog.Seq(t.inFlight())}
}

// unsent is the index of the first segment that is to be sent, or -1.
func (t *track) unsent() int {
	for i := range t.segs {
		if !t.segs[i].sent {
			return i
		}
	}
	return -1
}

// nothingLeft reports whether the track needs no state here.
func (t *track) nothingLeft() bool {
	return t.stop == nil && t.info.High <= t.info.Committed && len(t.segs) == 0
}

// dueLocked is when the track needs its next turn.
func (s *Shipper) dueLocked(t *track, now time.Time) time.Time {
	if t.stop != nil {
		return t.recheck
	}
	due := never
	if t.inFlight() > 0 {
		due = earlier(t.pollAt, t.resendAt)
		if !t.poked.IsZero() {
			due = now
		}
	}
	if !t.waiting {
		switch {
		case !t.opened && t.info.Cut > t.info.Committed, t.unsent() >= 0:
			due = now
		default:
			due = earlier(due, s.cutDue(t, now))
		}
	}
	if due.Before(t.retryAt) {
		due = t.retryAt
	}
	return due
}

// cutDue is when the next segment is to be cut. While nothing of what is cut is acked it is by size
// alone: small segments would fill the window, and the files of an outage would be many and tiny. With
// nothing cut there is nothing to be acked.
func (s *Shipper) cutDue(t *track, now time.Time) time.Time {
	switch info := &t.info; {
	case info.High <= info.Cut, len(t.segs) >= s.cfg.Window:
		return never
	case info.PendingBytes >= s.cfg.MaxSegmentBytes, t.target > info.Cut, s.draining:
		return now
	case t.stalled > 0 && len(t.segs) > 0:
		return never
	default:
		oldest, settings := earlier(info.OldestPending, t.pendingSince), s.settings(t.table.Name)
		due := oldest.Add(time.Duration(settings.CutInterval))
		if now.Before(due) || info.PendingBytes >= trickleBytes {
			return due
		}
		return s.trickleDue(t, now, due, oldest.Add(time.Duration(settings.MaxLag)))
	}
}

// noteLocked takes up newer information from the log.
func (t *track) noteLocked(info eventlog.TrackInfo, now time.Time) {
	if info.High > info.Cut && (t.pendingSince.IsZero() || info.Cut != t.pendingCut) {
		t.pendingSince, t.pendingCut = now, info.Cut
	}
	t.info = info
}

func (s *Shipper) settings(table string) registry.Settings {
	if t, ok := s.Registry.Get(table); ok {
		return t.Settings
	}
	return s.Registry.Defaults()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
