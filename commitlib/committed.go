package commitlib

import (
	"time"

	"firn/commitlib/catalog"
)

// Committed describes a snapshot that this committer made current. One whose swap was of unknown outcome, and was seen
// in the table afterwards, is not among them: its requests count as applied all the same.
type Committed struct {
	Table      catalog.Ident
	SnapshotID int64
	Requests   int
	Files      int
	Events     uint64
	Attempts   int           // that it took, this one included
	Took       time.Duration // from the start of Commit
	Lag        time.Duration // from the staging of the oldest of its requests, by this process's clock
}

// tellCommitted hands the snapshot that r's plan became to Config.Committed.
func (r *run) tellCommitted(snapshotID int64, attempts int) {
	if r.cfg.Committed == nil {
		return
	}
	now := r.cfg.Clock()
	done := Committed{
		Table: r.id, SnapshotID: snapshotID, Requests: len(r.plan.apply), Attempts: attempts, Took: max(0, now.Sub(r.began)),
	}
	for _, i := range r.plan.apply {
		q := r.reqs[i]
		done.Files += len(q.Files)
		done.Events += uint64(q.Last - q.First + 1)
		done.Lag = max(done.Lag, now.Sub(q.StagedAt))
	}
	r.cfg.Committed(done)
}
