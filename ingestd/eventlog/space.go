package eventlog

import (
	"maps"
	"slices"
)

// space counts what blocks take on the disk. Positions only rise, blocks are never deleted one by one, and files are
// dropped whole; so what counts is not the live bytes but the zones that have any: a zone is a stretch of positions
// about as long as a sorted file. The map has an entry for zones with live blocks only, so its size is bounded by the
// disk bound, not by what went through. Protected by Log.mu, changed by the writer alone.
type space struct {
	zoneBytes int64
	head      int64 // the next position
	start     int64 // where the first block of the zone being filled begins
	zones     map[int64]zone
	live      int64 // bytes of live blocks
	pinned    int64 // bytes that zones with live blocks take
}

// zone is one stretch that holds live blocks.
type zone struct{ live, size int64 }

// minZoneBytes keeps the count of zones in proportion where the disk bound is small.
const minZoneBytes = 1 << 20

// zonesInBound is how many zones the disk bound is divided into: enough that the
// partly dead ones at the edges don't matter.
const zonesInBound = 256

func newSpace(maxBytes, zoneBytes int64) space {
	if zoneBytes == 0 {
		zoneBytes = max(maxBytes/zonesInBound, minZoneBytes)
	}
	return space{zoneBytes: zoneBytes, zones: map[int64]zone{}}
}

// add appends a block of n bytes at the head.
func (s *space) add(n int64) {
	i := s.head / s.zoneBytes
	if i != s.start/s.zoneBytes {
		s.start = s.head
	}
	z := s.zones[i]
	if z.size == 0 {
		z.size = s.head - s.start // dead blocks before it share its file
		s.pinned += z.size
	}
	z.live, z.size = z.live+n, z.size+n
	s.zones[i] = z
	s.live, s.pinned, s.head = s.live+n, s.pinned+n, s.head+n
}

// restore counts a block that lies at pos from an earlier run, in any order.
func (s *space) restore(pos, n int64) {
	i := pos / s.zoneBytes
	z := s.zones[i]
	before := z.size
	z.live += n
	z.size = max(s.zoneBytes, z.live)
	s.zones[i] = z
	s.live, s.pinned, s.head = s.live+n, s.pinned+z.size-before, max(s.head, pos+n)
}

// restored ends the restoring: head is where the next block goes.
func (s *space) restored(head int64) {
	s.head = head
	i := head / s.zoneBytes
	s.start = i * s.zoneBytes
	if z, ok := s.zones[i]; ok { // it is not full yet
		size := max(z.live, head-s.start)
		s.pinned += size - z.size
		z.size = size
		s.zones[i] = z
	}
}

// remove makes a block dead.
func (s *space) remove(pos, n int64) {
	i := pos / s.zoneBytes
	z := s.zones[i]
	z.live -= n
	s.live -= n
	if z.live > 0 {
		s.zones[i] = z
		return
	}
	delete(s.zones, i)
	s.pinned -= z.size
}

// dead lists the stretches [lo, hi) of positions without any live block, below the zone that is being filled.
func (s *space) dead() [][2]int64 {
	head := s.head / s.zoneBytes
	alive := slices.Sorted(maps.Keys(s.zones))
	var gaps [][2]int64
	at := int64(0)
	for _, i := range append(alive, head) {
		if i = min(i, head); i > at {
			gaps = append(gaps, [2]int64{at * s.zoneBytes, i * s.zoneBytes})
		}
		at = i + 1
	}
	return gaps
}

// sparsest returns the zone, other than the one being filled, that has the least live
// bytes; false if there is none worth moving.
func (s *space) sparsest() (lo, hi int64, ok bool) {
	head := s.head / s.zoneBytes
	best := int64(-1)
	for i, z := range s.zones {
		if i == head || z.live > z.size*7/8 {
			continue
		}
		if best < 0 || z.live < s.zones[best].live || z.live == s.zones[best].live && i < best {
			best = i
		}
	}
	return best * s.zoneBytes, (best + 1) * s.zoneBytes, best >= 0
}
