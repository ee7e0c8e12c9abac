package ship

import (
	"bytes"
	"container/heap"
	"context"
	"time"

	"firn/ingestd/eventlog"
)

// schedule is a heap of tracks by the time they are due, then by log, so that older logs drain first.
type schedule []*track

func (h schedule) Len() int { return len(h) }
func (h schedule) Less(i, j int) bool {
	if !h[i].due.Equal(h[j].due) {
		return h[i].due.Before(h[j].due)
	}
	if c := bytes.Compare(h[i].log[:], h[j].log[:]); c != 0 {
		return c < 0
	}
	return h[i].id < h[j].id // one order for equal ones, so that a seeded run repeats
}
func (h schedule) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push is for container/heap.
func (h *schedule) Push(x any) {
	t := x.(*track)
	t.place = len(*h)
	*h = append(*h, t)
}

// Pop is for container/heap.
func (h *schedule) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.place = -1
	return t
}

// placeLocked puts t where it belongs now; a busy track is placed when its turn ends.
func (s *Shipper) placeLocked(t *track, now time.Time) {
	if t.busy {
		return
	}
	if t.nothingLeft() {
		if t.place >= 0 {
			heap.Remove(&s.schedule, t.place)
		}
		delete(s.tracks, t.id)
		return
	}
	t.due = s.dueLocked(t, now)
	switch {
	case t.due.Equal(never) && t.place >= 0:
		heap.Remove(&s.schedule, t.place)
	case t.due.Equal(never):
	case t.place >= 0:
		heap.Fix(&s.schedule, t.place)
	default:
		heap.Push(&s.schedule, t)
	}
}

// scanLocked takes up what the log has: new tracks, and new events of known ones.
func (s *Shipper) scanLocked(now time.Time) {
	retained := s.Log.Remembers()
	for _, info := range s.Log.Tracks() {
		retained = retained || info.Low <= info.Committed
		t, ok := s.tracks[info.Track]
		if !ok {
			if info.High <= info.Committed {
				continue
			}
			t = &track{id: info.Track, log: info.Log, table: info.Table, group: s.Registry.Ident(info.Table.Name).String(), place: -1, since: now}
			s.tracks[info.Track] = t
		}
		if !t.busy {
			t.noteLocked(info, now)
			s.placeLocked(t, now)
		}
	}
	if retained && s.trimAt.IsZero() {
		s.trimAt = now.Add(s.cfg.TrimIdle)
	}
}

// takeLocked takes the next track that is due, for a turn.
func (s *Shipper) takeLocked(now time.Time) *track {
	if len(s.schedule) == 0 || s.schedule[0].due.After(now) {
		return nil
	}
	t := heap.Pop(&s.schedule).(*track)
	t.busy = true
	return t
}

// Run ships until ctx ends or the log breaks, whose error it returns; the turns under way then are finished or given up
// first. Close the log next, which ends a trim under way.
func (s *Shipper) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.turns.Wait()
	defer cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var changed <-chan struct{}
	scan, scanAt := true, time.Now()
	for {
		now := time.Now()
		if scan && !now.Before(scanAt) {
			changed = s.Log.Changed() // before the look, so that nothing is missed
			s.mu.Lock()
			s.scanLocked(now)
			s.mu.Unlock()
			scan, scanAt = false, now.Add(scanEvery)
		}
		next := s.dispatch(ctx, now)
		waitFor := changed
		if scan {
			next = earlier(next, scanAt)
			waitFor = nil
		}
		timer.Reset(max(0, next.Sub(now)))
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.fatal:
			return err
		case <-waitFor:
			scan = true
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// dispatch starts the turns that are due, as far as Turns allows, and trimming; it returns when the next is due.
func (s *Shipper) dispatch(ctx context.Context, now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.active < s.cfg.Turns {
		t := s.takeLocked(now)
		if t == nil {
			break
		}
		s.active++
		s.turns.Go(func() { s.turn(ctx, t) })
	}
	next := never
	if !s.trimAt.IsZero() && !s.trimming {
		if now.Before(s.trimAt) {
			next = s.trimAt
		} else {
			s.trimming, s.trimAt = true, time.Time{}
			go s.trim() // Run does not wait for it: moving a stuck table's blocks takes tens of seconds. It ends with the log
		}
	}
	if len(s.schedule) > 0 && s.active < s.cfg.Turns { // else the end of a turn wakes
		next = earlier(next, s.schedule[0].due)
	}
	return next
}

// Step looks at the log, serves each track that is due one turn, and trims if that is due, all before it returns. It
// reports how many turns there were. Run does the same continuously; use one or the other.
func (s *Shipper) Step(ctx context.Context) (turns int, err error) {
	now := time.Now()
	s.mu.Lock()
	s.scanLocked(now)
	var due []*track
	for t := s.takeLocked(now); t != nil; t = s.takeLocked(now) {
		due = append(due, t)
	}
	s.active += len(due)
	trim := !s.trimAt.IsZero() && !now.Before(s.trimAt) && !s.trimming
	if trim {
		s.trimming, s.trimAt = true, time.Time{}
	}
	s.mu.Unlock()
	for _, t := range due {
		s.turn(ctx, t)
	}
	if trim {
		s.trim()
	}
	select {
	case err = <-s.fatal:
	default:
	}
	return len(due), err
}

// NextDue is when Step has something to do, as far as is known without looking at the log.
func (s *Shipper) NextDue() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := never
	if len(s.schedule) > 0 {
		due = s.schedule[0].due
	}
	if !s.trimAt.IsZero() {
		due = earlier(due, s.trimAt)
	}
	return due, !due.Equal(never)
}

// trim lets the log drop what is committed and past its hot retention, and idempotency keys past their window.
func (s *Shipper) trim() {
	err := s.Log.Trim(time.Now(), func(t eventlog.Table) time.Duration {
		if known, ok := s.Registry.Get(t.Name); ok {
			return time.Duration(known.Settings.HotRetention)
		}
		return time.Duration(s.Registry.Defaults().HotRetention)
	})
	if err != nil && !s.broken(err) {
		s.cfg.Logger.Warn("trimming the log did not work; it is tried again", "error", err)
	}
	retained := s.Log.Remembers() // a full budget of keys refuses what would bring the next commit, and with it the next trim
	for _, info := range s.Log.Tracks() {
		retained = retained || info.Low <= info.Committed
	}
	s.mu.Lock()
	s.trimming = false
	if retained && s.trimAt.IsZero() {
		s.trimAt = time.Now().Add(s.cfg.TrimIdle)
	}
	s.mu.Unlock()
	s.wakeUp()
}
