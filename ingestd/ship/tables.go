package ship

import (
	"context"
	"sync"
	"time"

	"firn/commitlib/catalog"
	"firn/ingestd/registry"
)

// tables keeps loaded table states within a bound of bytes, the least recently used going first, so that a read-back of
// an unchanged table is one conditional GET. Safe for concurrent use.
type tables struct {
	maxBytes int64

	mu      sync.Mutex // protects all that follows
	entries map[string]*loaded
	looks   map[string]chan struct{} // tables that are being looked at; closed when that is done
	bytes   int64
	clock   int64 // counts uses
}

type loaded struct {
	table *catalog.Table
	known *registry.Table // what Verify made of table; nil: not verified
	bytes int64
	used  int64
	asked time.Time // when the look began that found this state to be the newest
}

// look is a look at a table under way: the state before, and what it leads to.
type look struct {
	before *catalog.Table
	asked  time.Time // when before was found to be the newest
	began  time.Time
	done   func()
}

// begin returns a copy of what is kept for a table if a look that began after since found it to be the newest. Otherwise
// it begins a look, when the one that another track has under way is done: of all that want to know the same, one asks.
func (c *tables) begin(ctx context.Context, name string, since time.Time) (loaded, *look, error) {
	for {
		c.mu.Lock()
		e := c.entries[name]
		if e != nil && e.asked.After(since) {
			c.clock++
			e.used = c.clock
			kept := *e
			c.mu.Unlock()
			return kept, nil, nil
		}
		busy, ok := c.looks[name]
		if !ok {
			l := &look{began: time.Now()}
			if e != nil {
				l.before, l.asked = e.table, e.asked
			}
			done := make(chan struct{})
			c.looks[name] = done
			l.done = func() {
				c.mu.Lock()
				delete(c.looks, name)
				c.mu.Unlock()
				close(done)
			}
			c.mu.Unlock()
			return loaded{}, l, nil
		}
		c.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return loaded{}, nil, context.Cause(ctx)
		}
	}
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

// put keeps a state that a look begun at asked found to be the newest, and drops others as the bound demands; a state
// larger than the whole bound is not kept.
func (c *tables) put(name string, ct *catalog.Table, known *registry.Table, asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.entries[name]; ok {
		c.bytes -= old.bytes
	}
	c.clock++
	e := &loaded{table: ct, known: known, bytes: heapOf(ct), used: c.clock, asked: asked}
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
	n := int64(4<<10) + 2<<10*int64(len(m.Snapshots)) + 128*int64(len(m.SnapshotLog)+len(m.MetadataLog))
	for k, v := range m.Properties {
		n += int64(len(k) + len(v))
	}
	return n
}

const (
	// maxLooks bounds the tables that are looked at at once: reading metadata takes four times its size, which is up to
	// 16 MiB, though mostly a few hundred kB.
	maxLooks = 8

	// stageOn is how old a state may be that a segment is cut and staged by, so that the segments of a backlog share
	// one look. It is short, since what is staged for a table that has become another is rejected, which needs an
	// operator, while a look in time stops the table until it is put right.
	stageOn = 2 * time.Second

	// refreshUpTo is how old a state may be that is refreshed. On an object store a refresh asks for each version since:
	// beside busy rivals a fresh load costs less.
	refreshUpTo = time.Minute
)

// state is the state that this turn already loaded, or one that will do for cutting and staging.
func (s *Shipper) state(ctx context.Context, t *track) (*registry.Table, *catalog.Table, error) {
	if t.known != nil {
		return t.known, t.loaded, nil
	}
	return s.load(ctx, t, time.Now().Add(-stageOn), false)
}

// load returns a state of t's table that was the newest after since, verified to be the one that its events were
// acked for, and keeps it for this turn. fresh passes by every cache.
func (s *Shipper) load(ctx context.Context, t *track, since time.Time, fresh bool) (*registry.Table, *catalog.Table, error) {
	name := t.table.Name
	before, known := s.tables.get(name)
	ct, asked, err := s.newest(ctx, name, since, fresh)
	if err != nil {
		return nil, nil, outside(err)
	}
	if now, ok := s.Registry.Get(name); !ok || known != now || ct != before || known.UUID != t.table.UUID {
		known, err = s.Registry.Verify(name, t.table.UUID, ct)
		if err != nil {
			known = nil
		}
		s.tables.put(name, ct, known, asked)
	}
	t.known, t.loaded = known, ct
	return known, ct, err
}

// newest returns a state that was the newest after since, and when the look at it began. fresh asks in any case.
func (s *Shipper) newest(ctx context.Context, name string, since time.Time, fresh bool) (*catalog.Table, time.Time, error) {
	ctx, cancel := s.call(ctx)
	defer cancel()
	if fresh {
		since = never
	}
	kept, l, err := s.tables.begin(ctx, name, since)
	if err != nil {
		return nil, time.Time{}, err
	}
	if l == nil {
		return kept.table, kept.asked, nil
	}
	defer l.done()
	select {
	case s.looking <- struct{}{}:
		defer func() { <-s.looking }()
	case <-ctx.Done():
		return nil, time.Time{}, context.Cause(ctx)
	}
	s.count.looks.Add(1)
	var ct *catalog.Table
	if fresh || l.before == nil || l.began.Sub(l.asked) > refreshUpTo {
		ct, err = s.Catalog.Load(ctx, s.Registry.Ident(name))
	} else {
		ct, err = s.Catalog.Refresh(ctx, l.before)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	s.tables.seen(name, ct, l.began)
	return ct, l.began, nil
}

// seen keeps what a look begun at asked found, before who waits for it looks.
func (c *tables) seen(name string, ct *catalog.Table, asked time.Time) {
	c.mu.Lock()
	e, ok := c.entries[name]
	if ok && e.table == ct {
		e.asked = asked
	}
	c.mu.Unlock()
	if !ok || e.table != ct {
		c.put(name, ct, nil, asked)
	}
}
