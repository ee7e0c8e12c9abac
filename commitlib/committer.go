package commitlib

import (
	"encoding/binary"
	"sync"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

// Committer applies commit requests to tables of one catalog whose objects lie in one store. It is safe for
// concurrent use, by goroutines and, through the catalog's compare-and-swap, by any number of processes.
type Committer struct {
	catalog  catalog.Catalog
	store    objstore.Store
	cfg      Config
	counters counters
	parents  parents
	merging  sync.Mutex // held while manifests are merged; see run.merge
}

// New returns a committer; fields of cfg that are zero take their defaults.
func New(cat catalog.Catalog, store objstore.Store, cfg Config) *Committer {
	cfg = cfg.withDefaults()
	return &Committer{
		catalog: cat, store: store, cfg: cfg,
		parents: parents{max: cfg.MaxParents, maxBytes: cfg.MaxParentBytes, held: make(map[catalog.Ident]*parent)},
	}
}

// newUUID makes a random (version 4) UUID from the configured source, so that a seeded run repeats its names.
func (c *Committer) newUUID() (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], c.cfg.Rand())
	binary.BigEndian.PutUint64(id[8:], c.cfg.Rand())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// newSnapshotID makes a positive id: 63 random bits, as other engines do.
func (c *Committer) newSnapshotID() int64 {
	return max(1, int64(c.cfg.Rand()>>1))
}

// parents is the bounded cache of the states that committers of this process left behind. What it holds is a hint:
// the swap decides whether a parent is still current.
//
// A commit takes its parent out and puts the successor back, so that no two share one; the second of two commits
// to one table at the same time finds none and loads.
type parents struct {
	max      int
	maxBytes int64

	mu    sync.Mutex // held, bytes, clock
	held  map[catalog.Ident]*parent
	bytes int64
	clock uint64 // counts puts, to find the least recently put
}

func (s *parents) take(id catalog.Ident) *parent {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.held[id]
	s.dropLocked(id)
	return p
}

func (s *parents) put(id catalog.Ident, p *parent) {
	size := p.heapBytes()
	if size > s.maxBytes {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(id)
	for len(s.held) >= s.max || s.bytes+size > s.maxBytes {
		s.dropLocked(s.oldestLocked())
	}
	s.clock++
	p.size, p.putAt, p.fresh, p.loaded = size, s.clock, false, false
	s.held[id] = p
	s.bytes += size
}

func (s *parents) dropLocked(id catalog.Ident) {
	if p := s.held[id]; p != nil {
		s.bytes -= p.size
		delete(s.held, id)
	}
}

// oldestLocked searches: a few hundred entries, and only when the cache is full.
func (s *parents) oldestLocked() (oldest catalog.Ident) {
	at := s.clock + 1
	for id, p := range s.held {
		if p.putAt < at {
			oldest, at = id, p.putAt
		}
	}
	return oldest
}
