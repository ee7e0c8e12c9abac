package ship

import (
	"context"
	"sync"

	"firn/commitlib/catalog"
	"firn/ingestd/registry"
)

// tables keeps loaded table states within a bound of bytes, the least recently used going first, so that a read-back of
// an unchanged table is one conditional GET. Safe for concurrent use.
type tables struct {
	maxBytes int64

	mu      sync.Mutex // protects all that follows
	entries map[string]*loaded
	bytes   int64
	clock   int64 // counts uses
}

type loaded struct {
	table *catalog.Table
	known *registry.Table // what Verify made of table; nil: not verified
	bytes int64
	used  int64
}

// get returns the state kept for a table; its parts may be nil.
func (c *tables) get(name string) (*catalog.Table, *registry.Table) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[name]
	if !ok {
		return nil, nil
	}
	c.clock++
	e.used = c.clock
	return e.table, e.known
}

// put keeps a state and drops others as the bound demands; a state larger than the whole bound is not kept.
func (c *tables) put(name string, ct *catalog.Table, known *registry.Table) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.entries[name]; ok {
		c.bytes -= old.bytes
	}
	c.clock++
	e := &loaded{table: ct, known: known, bytes: heapOf(ct), used: c.clock}
	c.entries[name] = e
	c.bytes += e.bytes
	for c.bytes > c.maxBytes && len(c.entries) > 0 {
		oldest := ""
		for n, e := range c.entries {
			if oldest == "" || e.used < c.entries[oldest].used {
				oldest = n
			}
		}
		c.bytes -= c.entries[oldest].bytes
		delete(c.entries, oldest)
	}
}

// heapOf estimates what a state holds: snapshots with their summaries dominate.
func heapOf(ct *catalog.Table) int64 {
	m := ct.Metadata
	n := int64(4<<10) + 1<<10*int64(len(m.Snapshots)) + 128*int64(len(m.SnapshotLog)+len(m.MetadataLog))
	for k, v := range m.Properties {
		n += int64(len(k) + len(v))
	}
	return n
}

// state is the state that this turn already loaded, or load's.
func (s *Shipper) state(ctx context.Context, t *track) (*registry.Table, *catalog.Table, error) {
	if t.known != nil {
		return t.known, t.loaded, nil
	}
	return s.load(ctx, t, false)
}

// load returns the newest state of t's table, verified to be the one that its events were acked for, and keeps it
// for this turn. fresh passes by every cache.
func (s *Shipper) load(ctx context.Context, t *track, fresh bool) (*registry.Table, *catalog.Table, error) {
	name := t.table.Name
	before, known := s.tables.get(name)
	ct, err := s.newest(ctx, name, before, fresh)
	if err != nil {
		return nil, nil, outside(err)
	}
	if now, ok := s.Registry.Get(name); !ok || known != now || ct != before || known.UUID != t.table.UUID {
		known, err = s.Registry.Verify(name, t.table.UUID, ct)
		if err != nil {
			known = nil
		}
		s.tables.put(name, ct, known)
	}
	t.known, t.loaded = known, ct
	return known, ct, err
}

func (s *Shipper) newest(ctx context.Context, name string, before *catalog.Table, fresh bool) (*catalog.Table, error) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	if before == nil || fresh {
		return s.Catalog.Load(ctx, s.Registry.Ident(name))
	}
	return s.Catalog.Refresh(ctx, before)
}
