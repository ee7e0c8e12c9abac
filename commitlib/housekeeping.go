package commitlib

// A commit keeps the table's house in passing, so that no age of the table makes it slow, and no second system need run
// for that: snapshots that nobody needs any more leave the metadata in the commit's own swap (expire.go).
//
// The requests come first. Housekeeping is part of a commit's first attempt alone; where a catalog refuses a swap that
// held some, or does not say what became of it, the following attempts and the next plainCommits commits go without. A
// committer deletes nothing: what no snapshot names any more is for the removal of orphans (package maintain).

// plainCommits is how many commits of a cached parent leave housekeeping after a swap that held some was refused for
// good, or had an unknown outcome: a service that does not take the request must not cost two swaps for each commit.
const plainCommits = 64

// mayKeepHouse says whether an attempt may do more than its requests ask for.
func (r *run) mayKeepHouse(attempt int) bool { return attempt == 1 && r.plain == 0 }

// stopHousekeeping leaves it for a while, because a swap that held some did not succeed.
func (r *run) stopHousekeeping(err error) {
	r.plain = plainCommits
	r.cfg.Log.Warn("housekeeping left for now: its swap did not succeed, and the next one goes without",
		"table", r.id.String(), "commits", plainCommits, "err", err)
}
