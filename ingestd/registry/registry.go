// Package registry knows the tables that this daemon takes events for: each one's UUID, schema, partition spec and
// settings.
//
// Invariants:
//   - A table is durable in the log's directory before anyone can append to it, so that a restart needs no catalog to
//     go on acking and every track of the log has a known table.
//   - A table is published only after the catalog showed that Firn can write it: marker, columns by id, name and type,
//     and a partition spec made of transforms that Firn computes.
//   - Payload kind and partitioning are the table's own; they never change here. A table made anew (another UUID) is
//     adopted only on an operator's word: Put or Reload.
//   - Reads are lock-free; a *Table is immutable and may be kept.
//
// httpapi calls it for each request (Ensure) and for settings; ship reads it and
// reloads a table on the operator's behalf.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"firn/commitlib/catalog"
)

// Meta is the small durable map that the event log keeps in its directory. PutMeta returns after the value is durable.
type Meta interface {
	PutMeta(key string, value []byte) error
	IterMeta(prefix string, fn func(key string, value []byte) error) error
}

// Config bounds a Registry. Start from DefaultConfig.
type Config struct {
	Namespace  string
	Root       string   // of the store that data files go to: a table elsewhere is refused; empty: none is
	AutoCreate bool     // the first event of an unknown table makes it
	Defaults   Settings // of tables that no Put described

	// MaxTables bounds the tables known here, and with them the daemon's memory and the tables that a client that
	// invents names can make.
	MaxTables int

	// CatalogTimeout bounds one load-or-create; requests that wait for it are held no longer.
	CatalogTimeout time.Duration

	Logger *slog.Logger
	Now    func() time.Time
}

// The bounds of a default registry, and of waiting on the catalog.
const (
	defaultMaxTables      = 4096
	defaultCatalogTimeout = 20 * time.Second // below the 30 s after which HTTP clients commonly give up

	// maxLookups bounds the catalog calls under way at once: beyond it requests for unknown tables are refused
	// as "catalog unreachable", so that a client inventing names costs itself.
	maxLookups = 64

	// A refusal is remembered for refusalAge, so that a producer that retries does not reach the catalog each time, and
	// an operator who mends the cause waits no longer than that. At most maxRefusals are remembered.
	refusalAge  = 2 * time.Second
	maxRefusals = 1024
)

// DefaultConfig returns the configuration that ingestd starts from.
func DefaultConfig() Config {
	return Config{
		Namespace:      "default",
		AutoCreate:     true,
		Defaults:       DefaultSettings(),
		MaxTables:      defaultMaxTables,
		CatalogTimeout: defaultCatalogTimeout,
		Logger:         slog.Default(),
		Now:            time.Now,
	}
}

// Registry is the set of known tables. Safe for concurrent use.
type Registry struct {
	cat  catalog.Catalog
	meta Meta
	cfg  Config

	tables atomic.Pointer[map[string]*Table] // replaced whole under writing, never changed in place

	mu       sync.Mutex            // protects the four that follow
	lookups  map[lookupKey]*lookup // under way
	refusals map[lookupKey]refusal // recent answers that were errors
	away     string                // the table of which it was logged that the catalog does not answer; empty: it does
	awayAt   time.Time             // when that was
	writing  sync.Mutex            // one change of a record, and of tables, at a time; held over PutMeta
}

type lookup struct {
	done  chan struct{}
	table *Table
	err   error
}

type refusal struct {
	err   error
	until time.Time
}

// Open reads the tables known from earlier runs. It does not reach the catalog.
func Open(cat catalog.Catalog, meta Meta, cfg Config) (*Registry, error) {
	if err := cfg.Defaults.Validate(); err != nil {
		return nil, fmt.Errorf("default table settings: %w", err)
	}
	if cfg.Namespace == "" || cfg.MaxTables <= 0 || cfg.CatalogTimeout <= 0 || cfg.Logger == nil || cfg.Now == nil {
		return nil, errors.New("registry configuration is incomplete: start from DefaultConfig")
	}
	r := &Registry{cat: cat, meta: meta, cfg: cfg, lookups: map[lookupKey]*lookup{}, refusals: map[lookupKey]refusal{}}
	tables, err := readRecords(meta, cfg)
	if err != nil {
		return nil, err
	}
	r.tables.Store(&tables)
	return r, nil
}

// Defaults are the settings of a table that no Put described, and what a Put that makes a table changes.
func (r *Registry) Defaults() Settings { return r.cfg.Defaults.clone() }

// Get returns what is known of a table, one whose ingest was stopped included.
func (r *Registry) Get(name string) (*Table, bool) {
	t, ok := (*r.tables.Load())[name]
	return t, ok
}

// List returns the known tables by name, those whose ingest was stopped included.
func (r *Registry) List() []*Table {
	all := slices.Collect(maps.Values(*r.tables.Load()))
	slices.SortFunc(all, func(a, b *Table) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}

// Ensure returns the table that an event for name goes to. An unknown one is loaded through the catalog, or made
// where that is allowed; concurrent callers share one look-up, and each waits no longer than its ctx.
//
// Errors: *NameError, ErrUnknownTable, ErrStopped, ErrTooManyTables, *RejectedError, ErrUnavailable.
func (r *Registry) Ensure(ctx context.Context, name string) (*Table, error) {
	return r.find(ctx, name, lookupKey{name, r.cfg.AutoCreate})
}

// Find is Ensure for an event that must not make a table: it loads one that another daemon made, and makes none.
func (r *Registry) Find(ctx context.Context, name string) (*Table, error) {
	return r.find(ctx, name, lookupKey{name, false})
}

// lookupKey tells look-ups that may make the table from those that may not: they do not share answers.
type lookupKey struct {
	name string
	make bool
}

func (r *Registry) find(ctx context.Context, name string, key lookupKey) (*Table, error) {
	if t, ok := r.Get(name); ok { // a known name is a good one
		if t.Stopped {
			return nil, stoppedError(name)
		}
		return t, nil
	}
	if err := CheckName(name); err != nil {
		return nil, err
	}
	r.mu.Lock()
	if ref, ok := r.refusals[key]; ok {
		if r.cfg.Now().Before(ref.until) {
			r.mu.Unlock()
			return nil, ref.err
		}
		delete(r.refusals, key)
	}
	l, ok := r.lookups[key]
	if !ok {
		if len(r.lookups) >= maxLookups {
			r.mu.Unlock()
			return nil, fmt.Errorf("%w: %d tables are being looked up already; try again", ErrUnavailable, maxLookups)
		}
		l = &lookup{done: make(chan struct{})}
		r.lookups[key] = l
		go r.lookUp(context.WithoutCancel(ctx), key, l)
	}
	r.mu.Unlock()

	select {
	case <-l.done:
		return l.table, l.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for table %s: %w", ErrUnavailable, name, context.Cause(ctx))
	}
}

// lookUp is detached from the request that began it, since others wait for the same answer.
func (r *Registry) lookUp(ctx context.Context, key lookupKey, l *lookup) {
	l.table, l.err = r.adopt(ctx, key.name, want{make: key.make})

	r.mu.Lock()
	delete(r.lookups, key)
	if l.err != nil && len(r.refusals) < maxRefusals {
		r.refusals[key] = refusal{l.err, r.cfg.Now().Add(refusalAge)}
	} else if l.err != nil {
		r.forgetOldRefusalsLocked()
	}
	r.mu.Unlock()
	close(l.done)
}

func (r *Registry) forgetOldRefusalsLocked() {
	now := r.cfg.Now()
	maps.DeleteFunc(r.refusals, func(_ lookupKey, ref refusal) bool { return !now.Before(ref.until) })
}

// Put makes a table, or changes a known one; it is idempotent. It always asks the catalog, so it also adopts a table
// that was made anew, and it takes up ingest again after Delete. created says whether this call made the table.
//
// change edits the table's settings, or the daemon's defaults where it is not known here: what it leaves alone stays as
// it is. Changeable later: cut interval, hot retention, event-time window, target file size. Payload kind and
// partitioning are the table's own: *ContradictionError where change wants others. Other errors: as Ensure's,
// ErrBadSettings, and change's own. change may run more than once.
func (r *Registry) Put(ctx context.Context, name string, change Change) (t *Table, created bool, err error) {
	if err := CheckName(name); err != nil {
		return nil, false, err
	}
	base := r.Defaults()
	if known, ok := r.Get(name); ok {
		base = known.Settings
	}
	if _, err := change.apply(base); err != nil { // before the catalog is asked
		return nil, false, err
	}
	t, err = r.adopt(ctx, name, want{make: true, change: change, created: &created, anew: true})
	r.mu.Lock()
	maps.DeleteFunc(r.refusals, func(key lookupKey, _ refusal) bool { return key.name == name })
	r.mu.Unlock()
	return t, created, err
}

// Reload adopts the table as the catalog has it now, also where it was made anew with another UUID. It makes none.
func (r *Registry) Reload(ctx context.Context, name string) (*Table, error) {
	if _, ok := r.Get(name); !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownTable, name)
	}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.CatalogTimeout)
	defer cancel()
	ct, err := r.cat.Load(ctx, r.Ident(name))
	if err != nil {
		return nil, r.catalogError(name, err)
	}
	r.logBack(name)
	return r.publish(name, ct, want{anew: true})
}

// Delete stops ingest for a table: new events are refused with ErrStopped, what was acked is still committed, and the
// table's data stays. A later Put takes ingest up again; an event never does, so that a forgotten producer cannot.
func (r *Registry) Delete(_ context.Context, name string) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	old, ok := r.Get(name)
	if !ok {
		return fmt.Errorf("%w: %s", ErrUnknownTable, name)
	}
	if old.Stopped {
		return nil
	}
	t := *old
	t.Stopped = true
	return r.store(&t)
}

// Ident is the catalog's name for a table of this daemon.
func (r *Registry) Ident(name string) catalog.Ident {
	return catalog.Ident{Namespace: r.cfg.Namespace, Name: name}
}
