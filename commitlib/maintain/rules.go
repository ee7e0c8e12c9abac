package maintain

import (
	"time"

	"firn/commitlib"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// foreignGrace is how long an object of another engine stays after it was first found unreferenced. Such an engine may
// write for hours before it commits, and may commit on a table that has moved: no fence tells. Three days is what
// Spark's removal of orphans waits.
const foreignGrace = 3 * 24 * time.Hour

// claimAge is how old a claim may be whatever its log's watermark: a request of more than a day is dropped anyway.
const claimAge = 3 * commitlib.MaxStagedAge

// candidate is a listed object that no metadata references.
type candidate struct {
	objstore.Info
	name
	mark      uint64
	condemned bool // nothing but an earlier look is asked for: that this one saw it so is worth remembering
}

// Why an unreferenced object stays for now.
const (
	waitsLook      = "found so too lately"
	waitsWatermark = "its log's watermark has not passed it"
	waitsFence     = "main has not moved since it could be named"
	waitsNamed     = "kept metadata may name it"
	waitsService   = "the catalog service's own"
	waitsRetention = "old metadata is kept that long"
)

// rules judge candidates by one loaded state. Each rule is about one kind of object; PROTOCOL.md, "Lifetimes of
// objects", says why it is enough.
type rules struct {
	now       time.Time // when this sweep began: looks count until then
	grace     time.Duration
	retention time.Duration

	marks      *commitlib.Marks
	metadata   *iceberg.Metadata
	service    bool      // a catalog service keeps the metadata files
	keeper     bool      // and removes them itself
	fence      time.Time // when the manifest list of main's head was written; zero where main is empty
	watermarks time.Time // when the file of spilled watermarks was written that the table names; zero where there is none
	seen       func(candidate) (time.Time, bool)
	versions   versions
}

// judge returns why the candidate stays; empty if it may go.
func (r *rules) judge(c candidate) (wait string) {
	switch c.kind {
	case staged:
		// Once the watermark is beyond it nobody can commit it, and if it was committed a later snapshot took it out:
		// no fence is needed. The looks give readers of that earlier snapshot their time, and an operator the time to set a
		// watermark back that should not have been raised.
		if r.marks.Last(c.log) < c.last {
			return waitsWatermark
		}
		return r.looked(c, max(r.grace, commitlib.StagedGrace))
	case claim:
		if r.marks.Last(c.log) < c.last && r.now.Sub(c.Modified) < claimAge {
			return waitsWatermark
		}
		return ""
	case version:
		if r.service {
			return r.fenced(c, foreignGrace) // of a table that another catalog kept before
		}
		return r.versions.judge(c.name.version, r.now, r.retention)
	case metadata:
		if r.keeper {
			return waitsService
		}
		return r.fenced(c, r.grace)
	case watermarks:
		if r.namedOnce(c) {
			return waitsNamed
		}
		return r.fenced(c, r.grace)
	case ours:
		return r.fenced(c, r.grace)
	default:
		return r.fenced(c, foreignGrace)
	}
}

// looked asks for two looks: this one, and one a grace period ago that found the object unreferenced, and beyond being
// referenced again by all that was known. What it comes after in a rule is that; so nothing was in the table between
// the looks, and no reader of any state since needs it.
func (r *rules) looked(c candidate, grace time.Duration) string {
	first, ok := r.seen(c)
	if !ok || r.now.Sub(first) < grace {
		return waitsLook
	}
	return ""
}

// fenced asks besides that main's head was written so long after the object that every attempt which may name the
// object had planned on an earlier state: its swap is refused now, whenever it comes. Both times are the store's own.
func (r *rules) fenced(c candidate, grace time.Duration) string {
	if r.fence.IsZero() || r.fence.Sub(c.Modified) <= commitlib.MaxReuse {
		return waitsFence
	}
	return r.looked(c, grace)
}

// namedOnce says that the table may have named the watermarks file before the one that it names now, and that metadata
// from then may be kept: an operator who restores watermarks from it needs the file.
func (r *rules) namedOnce(c candidate) bool {
	if r.watermarks.IsZero() || c.Modified.After(r.watermarks) {
		return false
	}
	log := r.metadata.MetadataLog
	return len(log) > 0 && time.UnixMilli(log[0].TimestampMs).Before(r.watermarks.Add(commitlib.MaxReuse))
}
