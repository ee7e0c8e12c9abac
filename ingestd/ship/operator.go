package ship

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/objstore"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
)

// The refusals of Resume and Discard.
var (
	ErrNotStopped   = errors.New("shipping of the table is not stopped")
	ErrStillOpen    = errors.New("log is still open: restart ingestd first, so that new events get a log of their own")
	ErrCountDiffers = errors.New("number of uncommitted events differs")
)

// Resume is the operator's word that the cause of a table's stops was put right: everything is looked at again at
// once, and what is still wrong stops it again. It takes up the table as the catalog has it, removes a committer's
// rejection note, forgets cuts that were rejected (they are made anew by the table's present schema), and, where
// the table still counts more of an older log than this copy of the directory ever had, takes the table's count: all
// that this copy holds of that log is in it.
func (s *Shipper) Resume(ctx context.Context, table string) error {
	stopped := s.takeStopped(table)
	if len(stopped) == 0 {
		return fmt.Errorf("%w: %s", ErrNotStopped, table)
	}
	var errs []error
	if _, err := s.Registry.Reload(ctx, table); err != nil && !errors.Is(err, registry.ErrUnknownTable) {
		errs = append(errs, err)
	}
	for _, t := range stopped {
		if err := s.resume(ctx, t); err != nil {
			errs = append(errs, fmt.Errorf("log %s: %w", t.log, err))
		}
	}
	s.giveBack(stopped)
	return errors.Join(errs...)
}

func (s *Shipper) resume(ctx context.Context, t *track) error {
	if t.stop.Reason == WatermarkAhead {
		return s.letGo(ctx, t)
	}
	// Whatever the reason: a committer may have met the same cause, and its note would stop the log again.
	known, ok := s.Registry.Get(t.table.Name)
	if !ok {
		return nil
	}
	prefix, ok := objstore.Key(s.Store, known.Location)
	if !ok {
		return nil
	}
	ctx, cancel := s.call(ctx)
	defer cancel()
	if err := commitlib.ClearRejected(ctx, s.Store, prefix, t.log); err != nil {
		return err
	}
	info, ok := s.Log.Track(t.id)
	if !ok || t.stop.Reason != Rejected {
		return nil
	}
	return s.Log.DropCuts(t.id, info.Committed+1)
}

// letGo takes the table's count of an older log of which it counts more than this copy of the directory has. The stop
// may be minutes old: what the table counts is asked now, since where it was put right meanwhile what waits is to be
// committed.
func (s *Shipper) letGo(ctx context.Context, t *track) error {
	info, ok := s.Log.Track(t.id)
	if !ok {
		return nil
	}
	_, ct, err := s.load(ctx, t, time.Now(), true)
	t.known, t.loaded = nil, nil
	var count eventlog.Seq
	if err == nil {
		call, cancel := s.call(ctx)
		defer cancel()
		count, err = commitlib.ReadWatermark(call, s.Store, ct, t.log)
	}
	switch {
	case suspicious(err), err == nil && count <= info.High:
		return nil // the next turn finds what there is
	case err != nil:
		return err
	case !info.Older:
		return ErrStillOpen
	}
	return s.Log.SetCommitted(t.id, info.High)
}

// Discard gives up what a log holds uncommitted of a table: those events will never be in it. It is for a table
// that is gone for good. count must be their exact number, as Status shows it. The track must be stopped, and take
// no new events any more: its log is an older one, or its table was replaced; else the events that follow would
// wait for ever behind the ones given up.
func (s *Shipper) Discard(table string, log uuid.UUID, count uint64) error {
	known, isKnown := s.Registry.Get(table)
	stopped := s.takeStopped(table)
	defer s.giveBack(stopped)
	refusal := ErrNotStopped
	for _, t := range stopped { // a log has a track for each table that had the name
		info, ok := s.Log.Track(t.id)
		if !ok || t.log != log {
			continue
		}
		if !info.Older && (!isKnown || known.UUID == info.Table.UUID) {
			refusal = ErrStillOpen
			continue
		}
		if have := uint64(info.High - info.Committed); have != count {
			refusal = fmt.Errorf("%w: it is %d, and %d was named", ErrCountDiffers, have, count)
			continue
		}
		if err := s.Log.SetCommitted(t.id, info.High); err != nil {
			return fmt.Errorf("discard events of table %s: %w", table, err)
		}
		s.cfg.Logger.Error("acked events were discarded on the operator's word", "table", table, "table_uuid", info.Table.UUID, "log", log,
			"first", info.Committed+1, "last", info.High, "events", count)
		return nil
	}
	return fmt.Errorf("discard events of table %s in log %s: %w", table, log, refusal)
}

// takeStopped takes a table's stopped tracks out of the schedule, as a turn does.
func (s *Shipper) takeStopped(table string) []*track {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*track
	for _, t := range s.tracks {
		if t.table.Name == table && t.stop != nil && !t.busy {
			if t.place >= 0 {
				heap.Remove(&s.schedule, t.place)
			}
			t.busy = true
			all = append(all, t)
		}
	}
	return all
}

// giveBack has them looked at anew, from what the log says.
func (s *Shipper) giveBack(tracks []*track) {
	now := time.Now()
	s.mu.Lock()
	for _, t := range tracks {
		t.busy = false
		t.opened, t.read, t.segs = false, false, nil
		t.recheck, t.retryAt, t.fails, t.stalled = now, time.Time{}, 0, 0
		if info, ok := s.Log.Track(t.id); ok {
			t.noteLocked(info, now)
		}
		if t.info.High <= t.info.Committed {
			t.stop = nil
		}
		s.placeLocked(t, now)
	}
	s.movedLocked()
	s.mu.Unlock()
	s.wakeUp()
}
