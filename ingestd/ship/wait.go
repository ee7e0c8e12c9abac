package ship

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"firn/ingestd/eventlog"
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
