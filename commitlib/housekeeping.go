package commitlib

// A commit keeps the table's house in passing, so that no age of the table makes it slow, and no second system need run
// for that: snapshots that nobody needs any more leave the metadata in the commit's own swap (expire.go), and small
// manifests become larger ones in its manifest list (merge.go).
//
// The requests come first. Housekeeping is part of a commit's first attempt alone; where it fails, or a catalog refuses a
// swap that held some, or does not say what became of it, what follows and the next plainCommits commits go without. A
// committer deletes nothing: what no snapshot names any more is for the removal of orphans (package maintain). A rewrite
// removes snapshots by the same rules.

// plainCommits is how many commits of a cached parent leave housekeeping after it failed, or a swap that held some was
// refused for good or had an unknown outcome: a manifest that cannot be read must not cost reads in each commit, nor a
// service that does not take the request two swaps.
const plainCommits = 64

// mayKeepHouse says whether an attempt may do more than its requests ask for.
func (r *run) mayKeepHouse(attempt int) bool { return attempt == 1 && r.plain == 0 }

// checkExpiry lets all snapshots stay where the store's clock contradicts the one by which some are too old.
func (r *run) checkExpiry(next *successor) {
	if len(next.removed) == 0 {
		return
	}
	if err := errClock(r.cfg.Clock(), next.listAt); err != nil {
		next.removed = nil
		r.stopHousekeeping("expiring snapshots", err)
	}
}

// stopHousekeeping leaves it for a while.
func (r *run) stopHousekeeping(what string, err error) {
	r.plain = plainCommits
	r.cfg.Log.Warn("housekeeping left for now, the events go on without",
		"table", r.id.String(), "failed", what, "commits", plainCommits, "err", err)
}
