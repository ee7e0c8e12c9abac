package commitlib

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"firn/commitlib/iceberg"
)

// Table properties that say how long snapshots are kept: Iceberg's names, with its meaning. A branch's own settings on
// main come before the first two.
const (
	propMaxSnapshotAge = "history.expire.max-snapshot-age-ms"
	propMinSnapshots   = "history.expire.min-snapshots-to-keep"
)

const (
	// keepNewest is how many of main's newest snapshots stay whatever their age, unless the table sets one: what readers
	// at work, roll-backs and look-ups of late duplicates need.
	keepNewest = 128

	// keepOlder is into how many equal spans of time the age that snapshots may have is divided; the first snapshot of
	// each stays. With keepNewest it bounds the metadata: some 260 snapshots of less than 1.5 kB each, whatever the
	// time between commits, where time alone would keep 432,000 of a table with a commit a second.
	keepOlder = 128

	// keepLoose is how many snapshots outside of main's history stay within that age beside them: those that a
	// roll-back took out, or that somebody staged and has not published.
	keepLoose = 128

	// maxSnapshotAge is how old snapshots become by default: Iceberg's 5 days.
	maxSnapshotAge = 5 * 24 * time.Hour

	// mostKept bounds what min-snapshots-to-keep can ask for: metadata is read and written whole in each commit, so that
	// a table must not ask for megabytes of it.
	mostKept = 1000

	// expirePart is the part of the newest that a removal takes at the least, unless a snapshot is overdue: 32 by
	// default. On REST a removal costs a request beside the commit's.
	expirePart = 4

	// expireAtMost is how many it removes at the most: a table that comes from elsewhere with 50,000 is brought down by
	// 50 commits.
	expireAtMost = 1000
)

// retention is how long a table's snapshots are kept.
type retention struct {
	newest int           // of main: so many stay, if they are young or set is false
	least  int           // of main: so many stay whatever their age
	age    time.Duration // nothing else that is older stays
	set    bool          // the table's owner chose the age
}

// retentionOf reads the table's settings. It is false where nothing may go: the table says so, or says something that
// cannot be read, in which case doing nothing is the only safe reading.
func retentionOf(m *iceberg.Metadata, newest int) (r retention, ok bool) {
	if !MayCollect(m.Properties) {
		return r, false
	}
	ofMain, err := m.Refs[iceberg.MainBranch].Retention()
	if err != nil {
		return r, false
	}
	number := func(ofMain *int64, property string) (n int64, set, ok bool) {
		if ofMain != nil {
			return *ofMain, true, true
		}
		text, set := m.Properties[property]
		if !set {
			return 0, false, true
		}
		n, err := strconv.ParseInt(text, 10, 64)
		return n, true, err == nil
	}
	ageMs, ageSet, ageOK := number(ofMain.MaxSnapshotAgeMs, propMaxSnapshotAge)
	least, leastSet, leastOK := number(ofMain.MinSnapshotsToKeep, propMinSnapshots)
	if !ageOK || !leastOK {
		return r, false
	}
	r = retention{newest: newest, least: 1, age: maxSnapshotAge, set: ageSet}
	if ageSet {
		const most = 100 * 365 * 24 * time.Hour // a Duration holds 292 years
		r.age = time.Duration(min(max(ageMs, 0), most.Milliseconds())) * time.Millisecond
	}
	if leastSet {
		r.least = int(min(max(least, 1), mostKept))
	}
	if !r.set {
		r.least = max(r.least, r.newest)
	}
	return r, true
}

// span is the width of one of the spans that older snapshots are thinned to.
func (r retention) span() time.Duration { return max(r.age/keepOlder, time.Millisecond) }

// expired returns the snapshots that a commit on m has to remove, the oldest first; none where it is not worth a
// removal yet. It depends on m and the time alone, and does not change its mind: of what it keeps by age, nothing goes
// before it is too old.
//
// These stay: what a ref names; the history of every branch but main, which is that branch's owner's; the newest of
// main's history; within the greatest age the first of each span of time; and within it the newest keepLoose
// of what is on no history that can be told. (An older snapshot of main is told from a rolled-back one only as long as
// all between it and the head are there.) Refs are never removed. Ages are told as clock.go says.
func expired(m *iceberg.Metadata, now time.Time, newest int) []int64 {
	r, ok := retentionOf(m, newest)
	if !ok || len(m.Snapshots) <= 1 {
		return nil
	}
	// A young table, whose commits are to cost nothing more: too few could go, and none is overdue.
	overdueMs := now.Add(-r.age - r.span()).UnixMilli()
	if len(m.Snapshots) < newest/expirePart && !slices.ContainsFunc(m.Snapshots, func(s *iceberg.Snapshot) bool { return s.TimestampMs < overdueMs }) {
		return nil
	}
	k := newKeeper(m, r, now)
	var gone, loose []*iceberg.Snapshot
	spans := make(map[int64]bool, min(keepOlder, len(k.inOrder)))
	last, width := int64(-1), r.span().Milliseconds()
	for i, s := range k.inOrder {
		span := min(s.TimestampMs, k.nowMs) / width // clocks of other engines may run ahead
		first := span != last && !spans[span]
		if span != last {
			spans[span], last = true, span
		}
		switch {
		case k.is[i]&held != 0:
		case k.old(s, 0):
			gone = append(gone, s)
		case first:
		case k.is[i]&onMain != 0:
			gone = append(gone, s)
		default:
			loose = append(loose, s)
		}
	}
	gone = append(gone, loose[:max(0, len(loose)-keepLoose)]...)
	overdue := slices.ContainsFunc(gone, func(s *iceberg.Snapshot) bool { return k.old(s, r.span().Milliseconds()) })
	if len(gone) < max(1, newest/expirePart) && !overdue {
		return nil
	}
	slices.SortFunc(gone, bySequence)
	ids := make([]int64, 0, min(len(gone), expireAtMost))
	for _, s := range gone[:min(len(gone), expireAtMost)] {
		ids = append(ids, s.ID)
	}
	return ids
}

// keeper is what is known of a table's snapshots before age decides.
type keeper struct {
	inOrder      []*iceberg.Snapshot // by sequence number: times may step back
	is           []place             // of each
	places       map[int64]int       // of each id in inOrder, where sequence numbers do not tell the order; else nil
	nowMs, ageMs int64
	before       *iceberg.Snapshot // the last one before a gap that is in doubt; nil: none is
}

// old says that a snapshot is too old by more than that.
func (k *keeper) old(s *iceberg.Snapshot, byMs int64) bool {
	now := k.nowMs
	if k.before != nil && s.TimestampMs <= k.before.TimestampMs {
		now = k.before.TimestampMs
	}
	return s.TimestampMs < now-k.ageMs-byMs
}

// place is what a snapshot is to the table.
type place uint8

const (
	held    place = 1 << iota // stays, whatever its age
	onMain                    // of main's history
	onOther                   // of another branch's
)

func newKeeper(m *iceberg.Metadata, r retention, now time.Time) *keeper {
	k := &keeper{inOrder: m.Snapshots, nowMs: now.UnixMilli(), ageMs: r.age.Milliseconds()}
	if !slices.IsSortedFunc(k.inOrder, bySequence) {
		k.inOrder = slices.SortedFunc(slices.Values(m.Snapshots), bySequence)
	}
	k.lookUp()
	k.is = make([]place, len(k.inOrder))
	before, after := doubted(m, r, now)
	k.before = before
	n := 0
	k.ancestors(m.CurrentSnapshotID, func(i int) (seen bool) {
		if k.is[i]&onMain != 0 { // foreign metadata may hold a cycle
			return true
		}
		k.is[i] |= onMain
		if n < r.least || n < r.newest && !k.old(k.inOrder[i], 0) {
			k.is[i] |= held
		}
		n++
		return false
	})
	named := make(map[int64]bool, len(m.Refs))
	for name, ref := range m.Refs {
		named[ref.SnapshotID] = true
		if ref.Type == iceberg.RefTag || name == iceberg.MainBranch {
			continue
		}
		k.ancestors(ref.SnapshotID, func(i int) (seen bool) {
			seen = k.is[i]&onOther != 0
			k.is[i] |= onOther | held
			return seen
		})
	}
	for i, s := range k.inOrder {
		if named[s.ID] || before != nil && (s == before || s == after) { // without these two nobody would see the gap, or its end
			k.is[i] |= held
		}
	}
	return k
}

// ancestors calls fn with the index of a snapshot and of what is retained of its history, until fn has seen one. A parent
// has a lesser sequence number than its child, so that one walk from the newest back finds them in turn; in metadata that
// comes from format version 1, which had none, ids are looked up.
func (k *keeper) ancestors(id int64, fn func(i int) (seen bool)) {
	for i := len(k.inOrder); id != 0; id = k.inOrder[i].ParentID {
		if k.places != nil {
			var there bool
			if i, there = k.places[id]; !there {
				return
			}
		} else {
			for i--; i >= 0 && k.inOrder[i].ID != id; i-- {
			}
		}
		if i < 0 || fn(i) {
			return
		}
	}
}

// lookUp makes places, if some sequence number comes twice.
func (k *keeper) lookUp() {
	for i, s := range k.inOrder {
		if i > 0 && s.SequenceNumber == k.inOrder[i-1].SequenceNumber {
			k.places = make(map[int64]int, len(k.inOrder))
			break
		}
	}
	if k.places != nil {
		for i, s := range k.inOrder {
			k.places[s.ID] = i
		}
	}
}

func bySequence(a, b *iceberg.Snapshot) int {
	return cmp.Or(cmp.Compare(a.SequenceNumber, b.SequenceNumber), cmp.Compare(a.TimestampMs, b.TimestampMs), cmp.Compare(a.ID, b.ID))
}
