package eventlog

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"firn/ingestd/kv"
)

// Log is the event log of one directory.
type Log struct {
	store kv.Store
	cfg   Config

	appends chan *request
	changes chan *change
	stop    chan struct{} // closed once nobody is inside: the writer ends
	stopped chan struct{} // closed when the writer has ended
	inside  sync.WaitGroup
	fatal   chan error

	trimming sync.Mutex // one Trim at a time: nothing else makes blocks dead or moves them
	swept    time.Time  // when files were last dropped; protected by trimming

	mu      sync.RWMutex // protects all below; the writer alone changes it, Close and disk checks apart
	closed  bool
	broken  error
	lowDisk bool
	current uuid.UUID // the open log; zero until the first append of this run
	tracks  map[Track]*track
	byTable map[trackID]*track
	shares  map[uuid.UUID]*share
	space   space
	lately  compression
	dedup   int64         // bytes of remembered keys
	changed chan struct{} // closed and replaced when a track gets events to cut

	bound bound
	disk  disk
	tail  tail
	count counters
}

// trackID finds a track.
type trackID struct{ log, table uuid.UUID }

// callers bounds the appends that wait for the writer in its queue, each with its block; more wait in front of it.
const callers = 1024

// Close refuses new appends, waits until those under way are durable and answered, and stops the writer. The store
// stays open: it belongs to who opened it.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		<-l.stopped
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.inside.Wait()
	close(l.stop)
	<-l.stopped
	return nil
}

// Fatal delivers the error after which nothing is acked any more: exit non-zero, so
// that a restart replays what is durable.
func (l *Log) Fatal() <-chan error { return l.fatal }

// Tracks lists every track that the directory holds, by log and then by table.
func (l *Log) Tracks() []TrackInfo {
	l.mu.RLock()
	defer l.mu.RUnlock()
	list := make([]TrackInfo, 0, len(l.tracks))
	for _, t := range l.tracks {
		list = append(list, t.info(l.current))
	}
	slices.SortFunc(list, func(a, b TrackInfo) int {
		return cmp.Or(compareIDs(a.Log, b.Log), compareIDs(a.Table.UUID, b.Table.UUID))
	})
	return list
}

// Track returns one track's state; false if the directory holds no such track, or has forgotten it.
func (l *Log) Track(t Track) (TrackInfo, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if tr, ok := l.tracks[t]; ok {
		return tr.info(l.current), true
	}
	return TrackInfo{}, false
}

// Changed returns a channel that is closed when a track gets events to cut. Take it before looking at Tracks.
func (l *Log) Changed() <-chan struct{} {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.changed
}

// Refused returns the *Refusal that appends to any table meet right now, or the fatal error, or nil: for readiness. It
// calls the log full a little before its bound, where only small appends still fit.
func (l *Log) Refused() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.broken != nil:
		return l.broken
	case l.closed:
		return ErrClosed
	case l.lowDisk:
		return &Refusal{ErrDiskFull, retryDisk}
	case l.space.pinned+l.bound.promised.Load() > l.cfg.MaxBytes-l.cfg.MaxBytes/64:
		return &Refusal{ErrFull, minRetry}
	}
	return nil
}

func (l *Log) find(t Track) (*track, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if tr, ok := l.tracks[t]; ok {
		return tr, nil
	}
	return nil, ErrUnknownTrack
}

func compareIDs(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) }
