package eventlog

import (
	"errors"
	"time"
)

// The reasons for which an append is refused; nothing of it is stored. They come inside a *Refusal.
var (
	ErrFull      = errors.New("event log is full: its backlog has reached the disk bound; it drains as commits succeed")
	ErrTableFull = errors.New("table's share of the event log is full: its commits are behind or stopped")
	ErrDiskFull  = errors.New("data volume is below its free-space reserve: free some space; appending resumes by itself")
	ErrDedupFull = errors.New("budget for idempotency keys is full: retry later, send without keys, or raise the budget")
	ErrTooLarge  = errors.New("batch is larger than a block can hold: split it")
)

// The other errors of a Log.
var (
	// ErrClosed says that the log was closed; nothing of the append is stored.
	ErrClosed = errors.New("event log is closed")
	// ErrBroken says that a write or sync failed, so that nothing more is acked: exit non-zero, restart, replay.
	ErrBroken = errors.New("event log is broken by a failed write: restart the daemon, which replays what is durable")
	// ErrTrimmed says that the events asked for are no longer in the log.
	ErrTrimmed = errors.New("events are below the log's low watermark: they were trimmed")
	// ErrUnknownTrack says that the directory holds no such (log, table).
	ErrUnknownTrack = errors.New("no such log and table in this directory")
	// ErrWatermarkBack says that a committed watermark is lower than one that was read back before: someone restored,
	// dropped or lowered the table's properties.
	ErrWatermarkBack = errors.New("committed watermark went back")
	// ErrWatermarkAhead says that the table counts events that this copy of the directory
	// does not hold: it is an older copy.
	ErrWatermarkAhead = errors.New("committed watermark is beyond the log's high watermark: this directory is an older copy")
	// ErrCutConflict says that a cut does not follow the ones before it.
	ErrCutConflict = errors.New("cut does not follow the segments cut before")
)

// Refusal is an append that was turned away, with nothing stored.
type Refusal struct {
	Reason     error // ErrFull, ErrTableFull, ErrDiskFull, ErrDedupFull or ErrTooLarge
	RetryAfter time.Duration
}

func (r *Refusal) Error() string { return r.Reason.Error() }

// Unwrap makes errors.Is find the reason.
func (r *Refusal) Unwrap() error { return r.Reason }
