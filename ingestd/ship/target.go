package ship

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
)

// ErrGone says that events are neither waiting in this directory nor in the table: they were discarded, or they are
// another directory's.
var ErrGone = errors.New("events are neither in this directory nor in the table")

// Target is a place that a table's commits are to reach: the events up to Seq of Log, and all of the directory's older
// logs. Those take no new events, so that a target means the same after any restart. The zero Seq: there was nothing
// to commit.
type Target struct {
	Table     string
	TableUUID uuid.UUID
	Log       uuid.UUID
	Seq       eventlog.Seq
}

// want is one log's part of a target.
type want struct {
	log   uuid.UUID
	track eventlog.Track
	seq   eventlog.Seq
	here  bool // track is in this directory; else the table alone can tell
}

// Demand has everything that a table holds now cut at once, without waiting for its commit. It needs Run. Errors:
// registry.ErrUnknownTable.
func (s *Shipper) Demand(table string) (Target, error) {
	known, ok := s.Registry.Get(table)
	if !ok {
		return Target{}, fmt.Errorf("%w: %s", registry.ErrUnknownTable, table)
	}
	tg := Target{Table: table, TableUUID: known.UUID}
	for _, info := range s.Log.Tracks() {
		if info.Table.UUID != known.UUID || info.High == info.Committed {
			continue
		}
		if tg.Seq == 0 || string(info.Log[:]) > string(tg.Log[:]) {
			tg.Log, tg.Seq = info.Log, info.High
		}
		s.demand(info)
	}
	return tg, nil
}

// Await returns when all of a target is committed, with the id of a snapshot that holds it; 0: the table is empty.
// Errors: as Wait's, and Reached's.
func (s *Shipper) Await(ctx context.Context, tg Target) (snapshotID int64, err error) {
	wants := s.wants(tg)
	for _, w := range wants {
		if !w.here {
			continue
		}
		if err := s.Wait(ctx, w.track, w.seq, Committed); err != nil {
			return 0, err
		}
	}
	return s.holding(ctx, tg, wants)
}

// Reached says, without waiting for it, whether all of a target is committed, and names a snapshot that holds it. Errors:
// a *Stop while shipping of one of its logs is stopped; eventlog.ErrUnknownTrack for a log that neither this directory
// nor the table knows; registry.ErrReplaced for a table that has gone.
func (s *Shipper) Reached(ctx context.Context, tg Target) (snapshotID int64, done bool, err error) {
	wants := s.wants(tg)
	for _, w := range wants {
		if !w.here {
			continue
		}
		if info, ok := s.Log.Track(w.track); ok && info.Committed < w.seq {
			return 0, false, s.stopOf(w.track)
		}
	}
	id, err := s.holding(ctx, tg, wants)
	return id, err == nil, err
}

// stopOf is why a track is stopped, or nil.
func (s *Shipper) stopOf(id eventlog.Track) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, ok := s.tracks[id]; ok && t.stop != nil {
		return t.stop
	}
	return nil
}

// wants takes a target apart.
func (s *Shipper) wants(tg Target) (all []want) {
	if tg.Seq == 0 {
		return nil
	}
	last := want{log: tg.Log, seq: tg.Seq}
	for _, info := range s.Log.Tracks() {
		switch {
		case info.Table.UUID != tg.TableUUID:
		case info.Log == tg.Log:
			last.track, last.here = info.Track, true
		case string(info.Log[:]) < string(tg.Log[:]) && info.High > info.Committed:
			all = append(all, want{info.Log, info.Track, info.High, true})
		}
	}
	return append(all, last)
}

// Snapshot returns the id of a snapshot that holds a log's committed events up to seq: the newest that is known, so that a
// producer who waits costs no request where others do too. Errors: registry.ErrReplaced; ErrGone.
func (s *Shipper) Snapshot(ctx context.Context, t eventlog.Table, log uuid.UUID, seq eventlog.Seq) (int64, error) {
	return s.holding(ctx, Target{Table: t.Name, TableUUID: t.UUID}, []want{{log: log, seq: seq}})
}

// holding returns the id of the current snapshot of a state of the table that holds all that is wanted: the state kept
// from a read-back if it does, else the newest.
func (s *Shipper) holding(ctx context.Context, tg Target, wants []want) (int64, error) {
	kept, _ := s.tables.get(tg.Table)
	if kept != nil && len(wants) > 0 {
		if id, err := s.held(ctx, kept, tg, wants); err == nil {
			return id, nil
		}
	}
	now, _, err := s.newest(ctx, tg.Table, time.Now(), false)
	if err != nil {
		return 0, fmt.Errorf("load table %s: %w", tg.Table, err)
	}
	return s.held(ctx, now, tg, wants)
}

// held is the current snapshot of a state of the table, if that holds all that is wanted.
func (s *Shipper) held(ctx context.Context, ct *catalog.Table, tg Target, wants []want) (int64, error) {
	if ct.Metadata.TableUUID != tg.TableUUID {
		return 0, fmt.Errorf("%w: %s", registry.ErrReplaced, tg.Table)
	}
	ctx, cancel := s.call(ctx)
	defer cancel()
	for _, w := range wants {
		at, err := commitlib.ReadWatermark(ctx, s.Store, ct, w.log)
		if err != nil {
			return 0, stopped(err)
		}
		if at < w.seq {
			return 0, fmt.Errorf("%w: table %s holds log %s up to event %d, not up to %d", ErrGone, tg.Table, w.log, at, w.seq)
		}
	}
	return ct.Metadata.CurrentSnapshotID, nil
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
