package ship

import (
	"context"
	"errors"
	"slices"
	"time"

	"firn/commitlib/objstore"
	"firn/ingestd/eventlog"
)

// turn serves t once and puts it back into the schedule. The caller took it from there and counted it as active.
func (s *Shipper) turn(ctx context.Context, t *track) {
	s.mu.Lock()
	poked := t.poked
	t.poked = time.Time{}
	s.mu.Unlock()

	before := t.progress()
	err := stopped(s.advance(ctx, t, poked))
	moved := t.progress() != before
	t.known, t.loaded = nil, nil
	wait := time.Duration(0)
	if err != nil {
		wait = s.backoff(t.fails+1, s.cfg.RetryMin, s.cfg.RetryMax)
	}
	info, ok := s.Log.Track(t.id)

	s.mu.Lock()
	defer s.wakeUp()
	defer s.mu.Unlock()
	now := time.Now()
	s.active--
	t.busy = false
	if !ok { // trimmed away: all of it was committed
		info = t.info
		info.Committed = info.High
		t.stop, t.segs = nil, nil
	}
	t.noteLocked(info, now)
	s.settleLocked(ctx, t, err, moved, now, wait)
	t.view = view{inFlight: t.inFlight(), unsent: len(t.segs) - t.inFlight(), stalled: t.stalled, staged: t.staged()}
	s.movedLocked()
	s.placeLocked(t, now)
	t.woken = false
	s.small.wakeLocked(s, now)
	s.large.wakeLocked(s, now)
}

// settleLocked notes how a turn ended; moved: something was done that had to be.
func (s *Shipper) settleLocked(ctx context.Context, t *track, err error, moved bool, now time.Time, wait time.Duration) {
	var stop *Stop
	switch {
	case err == nil && t.waiting && t.fails > 0 && !moved && t.stop == nil:
		t.retryAt = time.Time{} // it got no stager: whether what did not work works now is still to be seen
	case err == nil:
		// A look at an unchanged table proves little: a HEAD says the same of a bucket that is gone.
		moved = moved || t.fails > 0
		switch {
		case t.stop != nil:
			s.cfg.Logger.Info("shipping goes on", "table", t.table.Name, "log", t.log, "was", t.stop.Reason)
		case t.told != untold:
			s.cfg.Logger.Info("shipping goes on", "table", t.table.Name, "log", t.log, "was", t.lastErr.Error())
		}
		t.stop, t.fails, t.retryAt, t.lastErr, t.told = nil, 0, time.Time{}, nil, untold
		if moved {
			s.reach.ok()
		}
	case ctx.Err() != nil: // we are being stopped: no fault of the table's
		t.retryAt = now
	case s.broken(err):
	case errors.As(err, &stop):
		same := t.stop != nil && t.stop.Reason == stop.Reason
		if same {
			stop.Since = t.stop.Since
		} else {
			s.count.stops.Add(1)
			stop.Since = now
		}
		if !same || !slices.Equal(t.stop.Choices, stop.Choices) { // something else may have been done to a table that is stopped
			s.cfg.Logger.Error("shipping of a table stopped", "table", t.table.Name, "table_uuid", t.table.UUID, "log", t.log,
				"reason", stop.Reason, "error", stop.Err, "uncommitted_events", t.info.High-t.info.Committed, "choices", stop.Choices)
		}
		t.stop, t.recheck, t.doubted = stop, now.Add(s.cfg.RecheckStopped), now
		t.read = false
		s.reach.ok() // the store and the catalog answered
	default:
		if t.fails++; t.fails == 1 {
			t.failing = now
		}
		t.lastErr = err
		t.retryAt = now.Add(wait)
		s.count.errors.Add(1)
		s.reach.failed(t.table.Name, err, now)
		if t.stop != nil {
			t.recheck = t.retryAt
		}
		s.tellLocked(t, err)
	}
}

// told says what the log holds about errors in a row.
type told int

const (
	untold  told = iota
	warned       // they may pass
	alarmed      // somebody must act
)

// tellLocked logs a run of errors once: a table's own, and where nothing works for any table the first that meets it. A
// second time it is logged only when it turns out to need somebody who acts. /watermark, /health/ready and the metrics
// say how it stands at any time.
func (s *Shipper) tellLocked(t *track, err error) {
	now, log := warned, s.cfg.Logger.Warn
	if errors.Is(err, objstore.ErrFatal) {
		now, log = alarmed, s.cfg.Logger.Error
	}
	everybodys := errors.As(err, new(outsideError))
	if t.told >= now || everybodys && s.reach.told >= now {
		return
	}
	t.told = now
	if everybodys {
		s.reach.told = now
	}
	log("shipping a table does not work; its events wait in the log, and it is tried again", "table", t.table.Name, "log", t.log,
		"uncommitted_events", t.info.High-t.info.Committed, "error", err)
}

// broken reports whether the log is unusable, and ends Run then.
func (s *Shipper) broken(err error) bool {
	if !errors.Is(err, eventlog.ErrBroken) && !errors.Is(err, eventlog.ErrClosed) {
		return false
	}
	select {
	case s.fatal <- err:
	default:
	}
	return true
}

// advance does what is due for t: read back, send again, and send or cut and stage what the window has room for. The
// first thing after a start is a read-back: what the cuts found in the log are worth, only the table says.
func (s *Shipper) advance(ctx context.Context, t *track, reported time.Time) error {
	if known, err := s.look(t); err != nil || !known {
		return err
	}
	now, poked := time.Now(), !reported.IsZero()
	timedOut := t.inFlight() > 0 && !now.Before(t.resendAt)
	if !t.read || timedOut || t.inFlight() > 0 && (poked || !now.Before(t.pollAt)) {
		first := !t.read
		// What another track of the table has seen since this became due will do.
		since := t.pollAt.Add(-1)
		switch {
		case first:
			since = t.since.Add(-1)
		case poked:
			since = reported
		}
		// What a refresh of a cached state may not show: that the table is gone, or was made anew.
		moved, err := s.readBack(ctx, t, since, timedOut || t.stop != nil)
		if err != nil {
			return err
		}
		// Of a log that has nothing cut nothing was requested, and so nothing rejected.
		if !moved && (first && len(t.segs) > 0 || poked || timedOut) && t.info.High > t.info.Committed {
			if err := s.checkRejected(ctx, t); err != nil {
				return err
			}
		}
	}
	if t.inFlight() > 0 && !now.Before(t.resendAt) {
		if err := s.resend(ctx, t); err != nil {
			return err
		}
	}
	return s.fill(ctx, t)
}

// look refreshes what is known from the log; the first time it takes up the cuts that are there. It reports whether the
// log knows the track: one that is committed may be trimmed away.
func (s *Shipper) look(t *track) (known bool, err error) {
	info, ok := s.Log.Track(t.id)
	if !ok {
		return false, nil
	}
	t.info = info
	if t.opened {
		return true, nil
	}
	cuts, err := s.Log.Cuts(t.id)
	if err != nil {
		return true, err
	}
	t.segs = t.segs[:0]
	for _, c := range cuts {
		seg := segment{Cut: c, staged: len(c.Request) > 0}
		seg.Request = nil
		t.segs = append(t.segs, seg)
	}
	t.opened = true
	return true, nil
}

// fill sends what is staged, stages what is cut, and cuts what is due, in order, while the window has room. It stages
// at most one segment, so that tables take turns at the encoders.
func (s *Shipper) fill(ctx context.Context, t *track) error {
	for i := t.unsent(); i >= 0; i = t.unsent() {
		seg := &t.segs[i]
		if !seg.staged {
			return s.withStager(t, &s.large, func(st *stager) error { return s.stageAndSend(ctx, t, i, st) })
		}
		if err := s.send(ctx, t, seg, nil); err != nil {
			return err
		}
	}
	if s.cutDueNow(t) {
		return s.withStager(t, s.poolFor(t), func(st *stager) error {
			if err := s.cut(ctx, t, st.most); err != nil {
				return err
			}
			return s.stageAndSend(ctx, t, len(t.segs)-1, st)
		})
	}
	return nil
}

func (s *Shipper) stageAndSend(ctx context.Context, t *track, i int, st *stager) error {
	body, err := s.stage(ctx, t, i, st)
	if err != nil || body == nil {
		return err
	}
	return s.send(ctx, t, &t.segs[i], body)
}

func (s *Shipper) cutDueNow(t *track) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	return !s.cutDue(t, now).After(now)
}

// cut makes the next decision durable: step 1. The segment has at most about so many bytes.
func (s *Shipper) cut(ctx context.Context, t *track, most int64) error {
	known, _, err := s.state(ctx, t)
	if err != nil {
		return err
	}
	span, err := s.Log.Span(t.id, t.info.Cut+1, most)
	if err != nil {
		return err
	}
	last := min(span.Last, span.First+maxSegmentRows(most)-1)
	if t.maxRows > 0 {
		last = min(last, span.First+t.maxRows-1)
	}
	c := eventlog.Cut{First: span.First, Last: last, SchemaID: known.Schema.ID, SpecID: known.Spec.ID}
	leave := s.phase("cut")
	err = s.Log.Cut(t.id, c)
	leave()
	if err != nil {
		return err
	}
	s.dropSlot(t)
	s.count.cuts.Add(1)
	t.segs = append(t.segs, segment{Cut: c})
	t.info.Cut = last
	return nil
}

// rowBytes is what a row takes in memory at most beside its payload and key: log, sequence, ingest and event time,
// partition, and where payload and key end. The log stores as little as two bytes of an event of one byte, and counts
// those; so rows are bounded as well as bytes.
const rowBytes = 32

// minSegmentRows keeps a segment of a few large batches whole where segments are small.
const minSegmentRows = 4096

func maxSegmentRows(most int64) eventlog.Seq {
	return eventlog.Seq(max(most/rowBytes, minSegmentRows))
}

// forgetFrom gives up the cuts from index i on, which are not sent, so that their events are cut anew.
func (s *Shipper) forgetFrom(t *track, i int) error {
	if err := s.Log.DropCuts(t.id, t.segs[i].First); err != nil {
		return err
	}
	s.count.recuts.Add(1)
	t.info.Cut = t.segs[i].First - 1
	t.segs = t.segs[:i]
	return nil
}
