package eventlog

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
)

// Seq is the dense number of an event in a track; the first is 1.
type Seq = commitlib.Seq

// Track is the number of one (log, table UUID) in a directory. It is never given to another.
type Track uint32

// Table is a table as the log knows it: the UUID is its identity, the name is for people.
type Table struct {
	Name string
	UUID uuid.UUID
}

// TrackInfo is a track's state at one moment.
type TrackInfo struct {
	Track Track
	Log   uuid.UUID
	Table Table

	Low       Seq // first event still in the log; High+1 when it holds none
	Committed Seq // committed watermark, as last recorded
	Cut       Seq // last event of the last segment cut; at least Committed
	High      Seq // last event

	Bytes             int64     // live blocks, compressed
	PendingBytes      int64     // raw bytes of the events beyond Cut
	OldestPending     time.Time // ingest time of event Cut+1; zero when nothing is pending
	OldestUncommitted time.Time // ingest time of event Committed+1; zero when all is committed
	Older             bool      // of an earlier run's log, which drains
}

// state is what changes in a track.
type state struct {
	low, committed, cut, high Seq
	bytes, pending            int64
	oldestPending             int64 // microseconds; 0: none
	oldestUncommitted         int64
}

// track is one (log, table UUID). id, log and table never change.
type track struct {
	id    Track
	log   uuid.UUID
	table Table
	share *share

	// calls serialises the callers that change cuts and watermarks, so that what they read of the index stays true
	// until the writer has applied their change.
	calls sync.Mutex

	// The writer's own.
	next    state  // what the group under way makes of it
	touched uint64 // the last group that changed next
	known   bool   // its record is durable

	state state // what is durable; protected by Log.mu
}

// share counts one table's live bytes over all its tracks.
type share struct {
	bytes int64 // protected by Log.mu
	keyed bool  // idempotency keys of the table may be in the store; protected by Log.mu
	group int64 // the writer's own: what the group under way adds
	bound bound
}

func (t *track) info(current uuid.UUID) TrackInfo {
	s := t.state
	return TrackInfo{
		Track: t.id, Log: t.log, Table: t.table,
		Low: s.low, Committed: s.committed, Cut: s.cut, High: s.high,
		Bytes: s.bytes, PendingBytes: s.pending,
		OldestPending: fromMicros(s.oldestPending), OldestUncommitted: fromMicros(s.oldestUncommitted),
		Older: t.log != current,
	}
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us)
}
