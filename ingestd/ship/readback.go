package ship

import (
	"context"
	"errors"
	"fmt"
	"time"

	"firn/commitlib"
	"firn/commitlib/objstore"
	"firn/ingestd/commitq"
	"firn/ingestd/eventlog"
)

// readBack learns the committed watermark from the table and makes it durable in the log: step 5. The table is as it
// was after since; fresh passes by every cache.
func (s *Shipper) readBack(ctx context.Context, t *track, since time.Time, fresh bool) (moved bool, err error) {
	defer s.phase("read-back")()
	s.count.readBacks.Add(1)
	w, err := s.acked(ctx, t, since, fresh)
	if suspicious(err) && !fresh { // look once more, past every cache, before stopping for it
		w, err = s.acked(ctx, t, since, true)
	}
	if err != nil {
		return false, err
	}
	moved = w > t.info.Committed || len(t.segs) > 0 && t.segs[0].Last <= w
	t.info.Committed = w
	t.read = true
	if q, ok := s.Queue.(commitq.Settler); ok && moved {
		call, cancel := s.call(ctx)
		defer cancel()
		q.Settled(call, t.group, t.log, w)
	}
	return moved, s.slide(t, w, moved)
}

// acked loads the table, reads this log's watermark and keeps it in the log, durably, if it moved.
func (s *Shipper) acked(ctx context.Context, t *track, since time.Time, fresh bool) (eventlog.Seq, error) {
	_, ct, err := s.load(ctx, t, since, fresh)
	if err != nil {
		return 0, err
	}
	call, cancel := s.call(ctx)
	defer cancel()
	w, err := commitlib.ReadWatermark(call, s.Store, ct, t.log)
	if err != nil || w == t.info.Committed {
		return w, outside(err)
	}
	if err = s.Log.SetCommitted(t.id, w); errors.Is(err, eventlog.ErrWatermarkBack) {
		err = setBack(t.log, t.info.Committed, err)
	}
	return w, err
}

// suspicious reports whether an error says that the table is not what it was, rather than that something is
// unreachable.
func suspicious(err error) bool {
	var stop *Stop
	return errors.As(stopped(err), &stop)
}

// slide moves the window's lower edge to the watermark w.
func (s *Shipper) slide(t *track, w eventlog.Seq, moved bool) error {
	now, asked := time.Now(), t.inFlight() > 0
	for len(t.segs) > 0 && t.segs[0].Last <= w {
		t.segs = append(t.segs[:0], t.segs[1:]...)
	}
	if len(t.segs) > 0 && t.segs[0].First != w+1 {
		// Somebody who shares this log's past cut it otherwise: the rest is cut anew. Our
		// requests in flight will be dropped.
		if err := s.Log.DropCuts(t.id, w+1); err != nil {
			return err
		}
		s.count.recuts.Add(1)
		t.segs, t.info.Cut = t.segs[:0], w
	}
	t.info.Cut = max(t.info.Cut, w)
	if moved {
		if t.stalled > 0 {
			for i := range t.segs {
				t.segs[i].sent = t.segs[i].sent && t.segs[i].epoch == t.epoch
			}
		}
		t.resendAt = now.Add(s.cfg.ResendAfter)
		s.mu.Lock()
		s.trimAt = earlierSet(s.trimAt, now.Add(s.cfg.TrimEvery))
		s.mu.Unlock()
	}
	if asked {
		s.pollNext(t, now, moved)
	}
	if moved {
		t.stalled = 0
	}
	return nil
}

// pollNext says when the watermark is read back again without being asked: after a commit as the pace has it, and after
// a look in vain at growing intervals.
func (s *Shipper) pollNext(t *track, now time.Time, moved bool) {
	if !moved && now.Before(t.pollAt) { // a report of another log's commit: it says nothing about ours
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.pollWait == 0 && t.stalled == 0 {
		s.pace.note(moved, s.cfg.PollMin, s.cfg.PollMax)
	}
	switch {
	case moved:
		t.pollWait = 0
		t.pollAt = now.Add(s.pace.wait())
		return
	case t.pollWait == 0:
		t.pollWait = max(s.pace.wait()/2, s.cfg.PollMin)
	default:
		t.pollWait = min(t.pollWait+t.pollWait/2, s.cfg.PollMax)
	}
	t.pollAt = now.Add(t.pollWait)
}

// earlierSet is the earlier of two times of which the first may be unset.
func earlierSet(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return earlier(a, b)
}

// checkRejected looks for the note that a committer leaves when this log's request can never succeed.
func (s *Shipper) checkRejected(ctx context.Context, t *track) error {
	_, ct, err := s.state(ctx, t)
	if err != nil {
		return err
	}
	prefix, ok := objstore.Key(s.Store, ct.Location)
	if !ok {
		return s.misplaced(ct.Location)
	}
	ctx, cancel := s.call(ctx)
	defer cancel()
	note, err := commitlib.RejectedNote(ctx, s.Store, prefix, t.log)
	if err != nil {
		return outside(err)
	}
	if note == nil || note.TableUUID != t.table.UUID || note.Last <= t.info.Committed {
		return nil
	}
	return &Stop{Reason: Rejected,
		Err:     fmt.Errorf("committer rejected events %d to %d at %s: %s", note.First, note.Last, note.At.UTC().Format(time.RFC3339), note.Reason),
		Choices: []string{note.Advice + "; then resume the table", choiceDiscard}}
}

func (s *Shipper) misplaced(location string) error {
	return &Stop{Reason: Misplaced, Err: fmt.Errorf("table lies at %s, outside the warehouse %s", location, s.Store.Root()),
		Choices: []string{"start ingestd with the warehouse that holds the table", choiceDiscard}}
}
