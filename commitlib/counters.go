package commitlib

import (
	"sync/atomic"
	"time"
)

// Counters is a snapshot of what a committer has done since it was made. Requests are counted once for each delivery.
type Counters struct {
	Commits      uint64        // snapshots that became current
	CommitTime   time.Duration // from a Commit's start to its snapshot, summed
	Applied      uint64        // requests applied
	Events       uint64        // in them
	Files        uint64        // data files in them
	Bytes        uint64        // of those files
	Conflicts    uint64        // swaps refused
	Unknowns     uint64        // swaps of unknown outcome
	Loads        uint64        // of table state, refreshes included
	Skipped      uint64        // requests that the watermark covered
	Gaps         uint64        // requests dropped: first > watermark + 1
	Overlaps     uint64        // requests dropped: first <= watermark < last
	TooOld       uint64        // requests dropped: staged too long ago
	Rejected     uint64
	Undecided    uint64
	DeadLettered uint64 // messages that can never succeed and left the queue, rejected ones included
	Spills       uint64 // spilled-watermarks files written
	Expired      uint64 // snapshots removed from tables' metadata by these commits
	Merged       uint64 // manifests that left the lists of these commits, most of them for a larger one
	Claims       uint64 // requests read from the store, where the queue takes none of their size
	ClaimsGone   uint64 // messages dropped because that request is there no more
}

// counters are Counters while they count.
type counters struct {
	commits, commitNanos, applied, events, files, bytes, conflicts, unknowns, loads,
	skipped, gaps, overlaps, tooOld, rejected, undecided, deadLettered, spills, expired, merged, claims, claimsGone atomic.Uint64
}

// Counters returns what has been counted so far; each number is exact, the set is not one instant's.
func (c *Committer) Counters() Counters {
	n := &c.counters
	return Counters{
		Commits: n.commits.Load(), CommitTime: time.Duration(n.commitNanos.Load()),
		Applied: n.applied.Load(), Events: n.events.Load(), Files: n.files.Load(), Bytes: n.bytes.Load(),
		Conflicts: n.conflicts.Load(), Unknowns: n.unknowns.Load(), Loads: n.loads.Load(),
		Skipped: n.skipped.Load(), Gaps: n.gaps.Load(), Overlaps: n.overlaps.Load(), TooOld: n.tooOld.Load(),
		Rejected: n.rejected.Load(), Undecided: n.undecided.Load(), DeadLettered: n.deadLettered.Load(), Spills: n.spills.Load(),
		Expired: n.expired.Load(), Merged: n.merged.Load(), Claims: n.claims.Load(), ClaimsGone: n.claimsGone.Load(),
	}
}
