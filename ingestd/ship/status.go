package ship

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/objstore"
	"firn/ingestd/eventlog"
)

// TrackStatus is how one log's events for a table stand.
type TrackStatus struct {
	Log       uuid.UUID
	TableUUID uuid.UUID
	Older     bool // of an earlier run
	Committed eventlog.Seq
	Cut       eventlog.Seq
	High      eventlog.Seq
	InFlight  int           // commit requests sent and not acked
	Unsent    int           // segments cut and not (or no longer) in flight
	Stalled   int           // time-outs in a row
	Backlog   uint64        // events acked and not committed
	Lag       time.Duration // age of the oldest of them
	Stop      *Stop         // nil: not stopped
	LastError string        // of the last turn; empty: it went well
	Failing   time.Duration // how long turns have ended with an error
}

// TableStatus is how a table stands: the sums over its tracks, and the tracks.
type TableStatus struct {
	Table   string
	Backlog uint64
	Lag     time.Duration
	Tracks  []TrackStatus // by log
}

// Stopped returns the stops among the table's tracks.
func (s *TableStatus) Stopped() []*Stop {
	var all []*Stop
	for i := range s.Tracks {
		if s.Tracks[i].Stop != nil {
			all = append(all, s.Tracks[i].Stop)
		}
	}
	return all
}

// Status returns how one table stands; a table without events in the log has no tracks.
func (s *Shipper) Status(table string) TableStatus {
	for _, st := range s.statuses(func(t eventlog.Table) bool { return t.Name == table }) {
		return st
	}
	return TableStatus{Table: table}
}

// Statuses returns how every table with events in the log stands, by name.
func (s *Shipper) Statuses() []TableStatus {
	return s.statuses(func(eventlog.Table) bool { return true })
}

func (s *Shipper) statuses(want func(eventlog.Table) bool) []TableStatus {
	infos := s.Log.Tracks()
	now := time.Now()
	byName := map[string]*TableStatus{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, info := range infos {
		if !want(info.Table) {
			continue
		}
		st, ok := byName[info.Table.Name]
		if !ok {
			st = &TableStatus{Table: info.Table.Name}
			byName[info.Table.Name] = st
		}
		ts := TrackStatus{Log: info.Log, TableUUID: info.Table.UUID, Older: info.Older, Committed: info.Committed, Cut: info.Cut, High: info.High,
			Backlog: uint64(info.High - info.Committed), Lag: lag(info, now)}
		if t, ok := s.tracks[info.Track]; ok {
			ts.InFlight, ts.Unsent, ts.Stalled, ts.Stop = t.view.inFlight, t.view.unsent, t.view.stalled, t.stop
			if t.lastErr != nil {
				ts.LastError, ts.Failing = t.lastErr.Error(), now.Sub(t.failing)
			}
		}
		st.Backlog += ts.Backlog
		st.Lag = max(st.Lag, ts.Lag)
		st.Tracks = append(st.Tracks, ts)
	}
	all := make([]TableStatus, 0, len(byName))
	for _, st := range byName {
		slices.SortFunc(st.Tracks, func(a, b TrackStatus) int { return slices.Compare(a.Log[:], b.Log[:]) })
		all = append(all, *st)
	}
	slices.SortFunc(all, func(a, b TableStatus) int { return cmp.Compare(a.Table, b.Table) })
	return all
}

func lag(info eventlog.TrackInfo, now time.Time) time.Duration {
	if info.OldestUncommitted.IsZero() {
		return 0
	}
	return max(0, now.Sub(info.OldestUncommitted))
}

// Stats are counts since the start, and gauges, for metrics.
type Stats struct {
	SegmentsCut, SegmentsRecut, SegmentsStaged     uint64
	Files, Rows, FileBytes                         uint64 // encoded
	Uploads, UploadsReused, UploadBytes            uint64 // tried; found there already; created
	Renamed, Verified                              uint64 // segments staged under new names; staged long ago and found whole
	Requests, Resends                              uint64 // messages sent; those of them sent again
	ReadBacks, Looks                               uint64 // of watermarks; at tables, for them and for staging, that asked the catalog
	Errors, Stops                                  uint64
	Tracks, StoppedTracks, InFlight, StalledTracks int
	Backlog                                        uint64        // events acked and not committed
	Lag                                            time.Duration // age of the oldest of them
}

type counters struct {
	cuts, recuts, staged, files, rows, fileBytes, uploads, reused, uploadBytes, renamed, verified,
	requests, resends, readBacks, looks, errors, stops atomic.Uint64
}

// Stats returns the counts so far. Each is exact, the set is not of one instant.
func (s *Shipper) Stats() Stats {
	c := &s.count
	st := Stats{
		SegmentsCut: c.cuts.Load(), SegmentsRecut: c.recuts.Load(), SegmentsStaged: c.staged.Load(),
		Files: c.files.Load(), Rows: c.rows.Load(), FileBytes: c.fileBytes.Load(),
		Uploads: c.uploads.Load(), UploadsReused: c.reused.Load(), UploadBytes: c.uploadBytes.Load(),
		Renamed: c.renamed.Load(), Verified: c.verified.Load(), Requests: c.requests.Load(), Resends: c.resends.Load(),
		ReadBacks: c.readBacks.Load(), Looks: c.looks.Load(), Errors: c.errors.Load(), Stops: c.stops.Load(),
	}
	now := time.Now()
	for _, info := range s.Log.Tracks() {
		st.Backlog += uint64(info.High - info.Committed)
		st.Lag = max(st.Lag, lag(info, now))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Tracks = len(s.tracks)
	for _, t := range s.tracks {
		st.InFlight += t.view.inFlight
		if t.stop != nil {
			st.StoppedTracks++
		}
		if t.view.stalled > 0 {
			st.StalledTracks++
		}
	}
	return st
}

// unreadyAfter is how long nothing may have worked before readiness says so: longer than a hiccup of a
// store, shorter than a balancer's patience.
const unreadyAfter = 5 * time.Second

// outsideError is one of the store, the catalog or the queue, which all tables need.
type outsideError struct{ error }

func (e outsideError) Unwrap() error { return e.error }

func outside(err error) error {
	if err == nil {
		return nil
	}
	return outsideError{err}
}

// reach notes whether the store, the catalog and the queue can be reached, over all tables.
type reach struct {
	since time.Time // of the first failure after the last success; zero: reachable
	err   error
	table string // that it was
	more  bool   // others have failed since, or it is not for a permission that only this table may lack
	told  told   // what the log holds of the failures since
}

func (r *reach) ok() { *r = reach{} }

func (r *reach) failed(table string, err error, now time.Time) {
	if !errors.As(err, new(outsideError)) {
		return
	}
	if r.since.IsZero() {
		r.since, r.table = now, table
	}
	r.more = r.more || r.table != table || !errors.Is(err, objstore.ErrFatal)
	r.err = err
}

// Ready returns why this daemon as a whole cannot ship: the store, the catalog or the queue failed for a while, for more
// than one table or for the only one, and no turn of any table went well since. A table that is stopped or refused by the
// store is not a reason: it costs its own senders only; Warnings names it.
func (s *Shipper) Ready() []string {
	alone := len(s.Registry.List()) < 2
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reach.since.IsZero() || time.Since(s.reach.since) < unreadyAfter || !s.reach.more && !alone {
		return nil
	}
	return []string{fmt.Sprintf("no table could be shipped since %s: %v", s.reach.since.UTC().Format(time.RFC3339), s.reach.err)}
}

// Warnings returns one line for each track that is stopped or that does not get on, by table and log.
func (s *Shipper) Warnings() []string {
	var all []string
	for _, st := range s.Statuses() {
		for _, ts := range st.Tracks {
			switch {
			case ts.Stop != nil:
				all = append(all, fmt.Sprintf("table %s, log %s, %d events: %v", st.Table, ts.Log, ts.Backlog, ts.Stop))
			case ts.Failing >= unreadyAfter:
				all = append(all, fmt.Sprintf("table %s, log %s, %d events: shipping has not worked for %s, and is tried again: %s",
					st.Table, ts.Log, ts.Backlog, ts.Failing.Round(time.Second), ts.LastError))
			}
		}
	}
	return all
}

// errorOf is the newest error or stop of a track, for those that give up waiting.
func errorOf(t *track) error {
	if t.stop != nil {
		return t.stop
	}
	if t.lastErr != nil {
		return t.lastErr
	}
	return errors.New("not committed yet")
}
