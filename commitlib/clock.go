package commitlib

import (
	"fmt"
	"time"

	"firn/commitlib/iceberg"
)

// What is old is told by clocks, and a clock may be wrong: set back and forth, or a battery that died. What leaves for its
// age alone leaves a table's history shorter, or its events fewer, so that two witnesses are asked.
//
// The store: where it tells the time of what was just written, and that is not the clock's, nothing goes (MaxClockError).
//
// The table: its own history says when it was committed to. A clock that has jumped ahead shows there as a time without
// commits, and so does a table that was idle; which of them it was, another day tells (trustAfter). Until then the age of
// what is from before the gap is told by the time before it, whatever the number of commits since: a clock that is wrong
// for less than a day has nothing removed that the right one would keep, on any store. A table that was idle keeps a day
// longer what it has.
const (
	// MaxClockError is how far the clock of a process may be from the store's where ages decide what goes.
	MaxClockError = 5 * time.Minute

	// trustAfter is how long a gap in a table's history is doubted. Clocks are mended in less time, and no table has
	// snapshots or events that must be gone to the day.
	trustAfter = 24 * time.Hour
)

// TrustedTime is the time by which to tell how old a table's events are: now, or the time of its last snapshot before a
// gap that is in doubt.
func TrustedTime(m *iceberg.Metadata, now time.Time) time.Time {
	r, _ := retentionOf(m, keepNewest)
	if before, _ := doubted(m, r, now); before != nil {
		return time.UnixMilli(before.TimestampMs)
	}
	return now
}

// doubted returns the snapshots before and after the gap in the table's history that is in doubt: before is nil where none
// is, after where there has been no commit since.
func doubted(m *iceberg.Metadata, r retention, now time.Time) (before, after *iceberg.Snapshot) {
	doubt := (trustAfter + 2*r.span()).Milliseconds() // two that are left of a span each may be two spans apart
	nowMs := now.UnixMilli()
	for _, s := range m.Snapshots {
		switch {
		case s.TimestampMs < nowMs-doubt:
			if before == nil || s.TimestampMs > before.TimestampMs {
				before = s
			}
		case s.TimestampMs <= nowMs && (after == nil || s.TimestampMs < after.TimestampMs):
			after = s
		}
	}
	end := nowMs
	if after != nil {
		end = after.TimestampMs
	}
	if before == nil || end-before.TimestampMs <= doubt {
		return nil, nil
	}
	return before, after
}

// errClock says that the clock is ahead of the store's; store is zero where that does not tell.
func errClock(clock, store time.Time) error {
	if store.IsZero() || clock.Sub(store) <= MaxClockError {
		return nil
	}
	return fmt.Errorf("this clock says %s, the store's %s: set it right, since ages are told by it",
		clock.UTC().Format(time.RFC3339), store.UTC().Format(time.RFC3339))
}
