package maintain

import "slices"

// liveSet is the keys of what a table needs, as 64-bit hashes: a million files take 8 MB, and up to as much again while
// it is filled. It is filled, then sealed, then asked.
type liveSet struct {
	hashes  []uint64            // sorted and distinct once sealed
	lenient map[uint64]struct{} // of those that may be missing; few
	seen    []uint64            // a bit for each hash: the listing showed it, or it may be missing
	missing int                 // hashes without that bit
}

func (l *liveSet) add(key string, lenient bool) {
	h := hash(key)
	l.hashes = append(l.hashes, h)
	if lenient {
		if l.lenient == nil {
			l.lenient = map[uint64]struct{}{}
		}
		l.lenient[h] = struct{}{}
	}
}

func (l *liveSet) seal() {
	slices.Sort(l.hashes)
	l.hashes = slices.Compact(l.hashes)
	l.seen = make([]uint64, len(l.hashes)/64+1)
	l.missing = len(l.hashes)
	for h := range l.lenient {
		l.see(h)
	}
}

// has says whether the key is live, and notes that the listing showed it.
func (l *liveSet) has(key string) bool { return l.see(hash(key)) }

func (l *liveSet) see(h uint64) bool {
	i, live := slices.BinarySearch(l.hashes, h)
	if live && l.seen[i/64]&(1<<(i%64)) == 0 {
		l.seen[i/64] |= 1 << (i % 64)
		l.missing--
	}
	return live
}

// unseen says that the key is one that the listing must show, and did not.
func (l *liveSet) unseen(key string) bool {
	i, live := slices.BinarySearch(l.hashes, hash(key))
	return live && l.seen[i/64]&(1<<(i%64)) == 0
}
