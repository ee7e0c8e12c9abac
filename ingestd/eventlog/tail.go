package eventlog

import (
	"sort"
	"sync"
)

// tail keeps the most recent blocks in memory, over all tracks, up to a number of bytes: what is cut soon
// after it came is not read back from the disk. Blocks leave in the order in which they came, so a
// backlog takes no more memory than a trickle.
type tail struct {
	mu    sync.Mutex // protects all below
	max   int64
	bytes int64
	order []Track               // whose block is the oldest, the next oldest, …
	first int                   // of order: those before it are gone
	own   map[Track][]tailBlock // by track, oldest first

	hits, misses uint64
}

type tailBlock struct {
	indexEntry
	block []byte
}

// tailBlockBytes is what a kept block costs beyond its bytes.
const tailBlockBytes = 96

func (t *tail) add(id Track, e indexEntry, block []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if int64(len(block))+tailBlockBytes > t.max {
		return
	}
	t.own[id] = append(t.own[id], tailBlock{e, block})
	t.order = append(t.order, id)
	t.bytes += int64(len(block)) + tailBlockBytes
	for t.bytes > t.max {
		t.dropOldest()
	}
}

func (t *tail) dropOldest() {
	id := t.order[t.first]
	t.first++
	if t.first > 1024 && t.first > len(t.order)/2 { // move the rest down now and then, so that the slice does not grow for ever
		t.order = append(t.order[:0], t.order[t.first:]...)
		t.first = 0
	}
	own := t.own[id]
	t.bytes -= int64(len(own[0].block)) + tailBlockBytes
	own[0] = tailBlock{}
	if own = own[1:]; len(own) == 0 {
		delete(t.own, id)
	} else {
		t.own[id] = own
	}
}

// get finds the block that holds seq. The block is shared: nobody changes it.
func (t *tail) get(id Track, seq Seq) (indexEntry, []byte, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.own[id]
	i := sort.Search(len(own), func(i int) bool { return own[i].last() >= seq })
	if i == len(own) || own[i].first > seq {
		t.misses++
		return indexEntry{}, nil, false
	}
	t.hits++
	return own[i].indexEntry, own[i].block, true
}
