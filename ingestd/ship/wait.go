package ship

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
)

// Level says how far an event has come.
type Level int

// The levels that Wait waits for.
const (
	Staged    Level = iota // in data files in the store, beside the log
	Committed              // in the table
)

// Wait returns when all events of a track up to seq have come to level, without hurrying them. Its error is a *Stop
// when shipping of the track stopped, else ctx's with what went wrong last.
func (s *Shipper) Wait(ctx context.Context, id eventlog.Track, seq eventlog.Seq, level Level) error {
	for {
		s.mu.Lock()
		moved := s.moved
		t := s.tracks[id]
		var stop *Stop
		var last error
		staged := eventlog.Seq(0)
		if t != nil {
			stop, last, staged = t.stop, errorOf(t), t.view.staged
		}
		s.mu.Unlock()
		info, ok := s.Log.Track(id)
		switch {
		case !ok || info.Committed >= seq:
			return nil
		case level == Staged && staged >= seq:
			return nil
		case stop != nil:
			return stop
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("waiting for event %d of table %s: %w: %w", seq, info.Table.Name, context.Cause(ctx), orNothing(last))
		}
	}
}

func orNothing(err error) error {
	if err == nil {
		return errors.New("not looked at yet")
	}
	return err
}

// CommitNow cuts and commits what a table has now, and returns the id of a snapshot that holds it: with nothing to
// commit, the current one (0: the table has none). It needs Run. Errors: registry.ErrUnknownTable; others as Wait's.
func (s *Shipper) CommitNow(ctx context.Context, table string) (snapshotID int64, err error) {
	known, ok := s.Registry.Get(table)
	if !ok {
		return 0, fmt.Errorf("%w: %s", registry.ErrUnknownTable, table)
	}
	var wanted []eventlog.TrackInfo
	for _, info := range s.Log.Tracks() {
		if info.Table.UUID == known.UUID && info.High > info.Committed {
			wanted = append(wanted, info)
			s.demand(info)
		}
	}
	for _, info := range wanted {
		if err := s.Wait(ctx, info.Track, info.High, Committed); err != nil {
			return 0, err
		}
	}
	ct, _ := s.tables.get(table)
	now, err := s.newest(ctx, table, ct, false)
	if err != nil {
		return 0, fmt.Errorf("load table %s: %w", table, err)
	}
	if now.Metadata.TableUUID != known.UUID {
		return 0, fmt.Errorf("%w: %s", registry.ErrReplaced, table)
	}
	return now.Metadata.CurrentSnapshotID, nil
}

// demand has everything that a track holds now cut at once, and tries again at once what had failed.
func (s *Shipper) demand(info eventlog.TrackInfo) {
	now := time.Now()
	s.mu.Lock()
	t, ok := s.tracks[info.Track]
	if !ok {
		s.scanLocked(now)
		if t, ok = s.tracks[info.Track]; !ok {
			s.mu.Unlock()
			return
		}
	}
	t.target = max(t.target, info.High)
	t.retryAt = time.Time{}
	if !t.busy {
		t.noteLocked(info, now)
	}
	s.placeLocked(t, now)
	s.mu.Unlock()
	s.wakeUp()
}

// Drain returns when everything in the log is committed; segments are cut at once from now on. Where only stopped
// tracks are left it returns an error that names them. It needs Run.
func (s *Shipper) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	now := time.Now()
	s.scanLocked(now)
	for _, t := range s.tracks {
		s.placeLocked(t, now)
	}
	s.mu.Unlock()
	s.wakeUp()
	for {
		s.mu.Lock()
		moved := s.moved
		s.mu.Unlock()
		left, stuck := s.undrained()
		switch {
		case len(left) == 0 && len(stuck) == 0:
			return nil
		case len(left) == 0:
			return fmt.Errorf("everything else is committed, but shipping stopped for %s", strings.Join(stuck, "; "))
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("draining: %w: left are %s", context.Cause(ctx), strings.Join(append(left, stuck...), "; "))
		}
	}
}

// undrained names the tracks that hold uncommitted events: those that move, and those that are stopped.
func (s *Shipper) undrained() (left, stuck []string) {
	for _, st := range s.Statuses() {
		for _, ts := range st.Tracks {
			name := fmt.Sprintf("%d events of table %s", ts.Backlog, st.Table)
			switch {
			case ts.Backlog == 0:
			case ts.Stop != nil:
				stuck = append(stuck, name+": "+ts.Stop.Error())
			case ts.LastError != "":
				left = append(left, name+": "+ts.LastError)
			default:
				left = append(left, name)
			}
		}
	}
	slices.Sort(left)
	return left, stuck
}
