package maintain

import (
	"slices"
	"sort"
)

// liveSet is the keys of all that a table needs, as 64-bit hashes: a million files take 8 MB. It is filled, then
// sealed, then asked.
type liveSet struct {
	hashes  []uint64 // of every need; sorted and distinct once sealed
	wanted  []uint64 // of those that the listing must show; likewise
	seen    []uint64 // a bit for each of wanted
	missing int
}

func (l *liveSet) add(key string, wanted bool) {
	h := hash(key)
	l.hashes = append(l.hashes, h)
	if wanted {
		l.wanted = append(l.wanted, h)
	}
}

func (l *liveSet) seal() {
	slices.Sort(l.hashes)
	l.hashes = slices.Compact(l.hashes)
	slices.Sort(l.wanted)
	l.wanted = slices.Compact(l.wanted)
	l.seen = make([]uint64, len(l.wanted)/64+1)
	l.missing = len(l.wanted)
}

// has says whether the key is live, and notes that the listing showed it.
func (l *liveSet) has(key string) bool {
	h := hash(key)
	if !contains(l.hashes, h) {
		return false
	}
	if i := sort.Search(len(l.wanted), func(i int) bool { return l.wanted[i] >= h }); i < len(l.wanted) && l.wanted[i] == h {
		if bit := uint64(1) << (i % 64); l.seen[i/64]&bit == 0 {
			l.seen[i/64] |= bit
			l.missing--
		}
	}
	return true
}

// unseen says that the key is one that the listing must show, and did not.
func (l *liveSet) unseen(key string) bool {
	h := hash(key)
	i := sort.Search(len(l.wanted), func(i int) bool { return l.wanted[i] >= h })
	return i < len(l.wanted) && l.wanted[i] == h && l.seen[i/64]&(1<<(i%64)) == 0
}

func contains(sorted []uint64, h uint64) bool {
	_, ok := slices.BinarySearch(sorted, h)
	return ok
}
