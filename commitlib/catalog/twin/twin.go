// Package twin holds in-memory twins of the catalog services, each with that service's real check and nothing more, so
// that tests and the simulation meet the races that the real ones allow:
//
//   - Glue compares the version of the table's entry: any change since the base is a conflict. The client writes the
//     whole metadata, so a swap that passes replaces everything.
//   - REST applies the updates of a commit to its current metadata if the table's UUID is the expected
//     one and main is at the base's snapshot. Nothing protects properties: a change of them passes beside
//     every other change, and is merged.
//
// The third, the object-store catalog, needs no twin: run package objectstore over objstore.Mem.
//
// A twin is client and service in one: whoever shares the *Catalog shares the service. It starts no goroutine and makes
// its own names from a counter, so that a seeded run replays. For tests alone.
package twin

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// Mode says which service's check a Catalog has.
type Mode int

// The services.
const (
	Glue Mode = iota + 1
	REST
)

func (m Mode) String() string { return map[Mode]string{Glue: "glue", REST: "rest"}[m] }

// Catalog implements catalog.Catalog and RawSwapper with the check of its Mode. Its methods may be called concurrently.
type Catalog struct {
	mode  Mode
	store objstore.Store

	mu     sync.Mutex // protects all below; held for each decision of the service
	tables map[catalog.Ident]entry
	edits  int // changes of any table: Glue's version ids and all names are made of it
	names  uint64
	faults faults
}

// entry is what the service knows of a table. Its parts are replaced, never changed.
type entry struct {
	version  int    // Glue's version id
	location string // of the metadata
	metadata *iceberg.Metadata
}

// New makes a catalog without tables. The store gives locations their root; Glue's
// client also writes metadata files to it.
func New(mode Mode, store objstore.Store) *Catalog {
	return &Catalog{mode: mode, store: store, tables: map[catalog.Ident]entry{}, faults: newFaults()}
}

// Mode says which service's check the catalog has.
func (c *Catalog) Mode() Mode { return c.mode }

// Load implements catalog.Catalog.
func (c *Catalog) Load(ctx context.Context, id catalog.Ident) (*catalog.Table, error) {
	began, e, err := c.look(ctx, OpLoad, id)
	if err == nil {
		return c.open(ctx, id, e, began)
	}
	return nil, fmt.Errorf("load table %s: %w", id, err)
}

// Refresh implements catalog.Catalog.
func (c *Catalog) Refresh(ctx context.Context, t *catalog.Table) (*catalog.Table, error) {
	began, e, err := c.look(ctx, OpRefresh, t.Ident)
	switch {
	case err != nil:
		return nil, fmt.Errorf("refresh table %s: %w", t.Ident, err)
	case e.location == t.MetadataLocation:
		return t, nil
	}
	return c.open(ctx, t.Ident, e, began)
}

// look reads the service's entry of a table.
func (c *Catalog) look(ctx context.Context, op Op, id catalog.Ident) (time.Time, entry, error) {
	began := c.now()
	if err := c.read(ctx, op, id); err != nil {
		return began, entry{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.tables[id]
	if !ok {
		return began, entry{}, catalog.ErrNoTable
	}
	return began, e, nil
}

// open turns an entry into a table: Glue's client reads the metadata file that the entry names.
func (c *Catalog) open(ctx context.Context, id catalog.Ident, e entry, began time.Time) (*catalog.Table, error) {
	if c.mode == Glue {
		key, _ := objstore.Key(c.store, e.location)
		body, _, err := c.store.Get(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("load table %s: %w", id, err)
		}
		if e.metadata, err = iceberg.ParseMetadata(body); err != nil {
			return nil, fmt.Errorf("load table %s: %s: %w", id, e.location, err)
		}
	}
	return e.table(id, began), nil
}

func (e entry) table(id catalog.Ident, began time.Time) *catalog.Table {
	return &catalog.Table{
		Ident: id, Location: e.metadata.Location, Metadata: e.metadata, MetadataLocation: e.location,
		Token: fmt.Sprint(e.version), LoadedAt: began,
	}
}

// Create implements catalog.Catalog.
func (c *Catalog) Create(ctx context.Context, id catalog.Ident, spec catalog.Spec) (*catalog.Table, error) {
	t, err := c.create(ctx, id, spec)
	if err != nil {
		return nil, fmt.Errorf("create table %s: %w", id, err)
	}
	return t, nil
}

func (c *Catalog) create(ctx context.Context, id catalog.Ident, spec catalog.Spec) (*catalog.Table, error) {
	if err := catalog.CheckIdent(id); err != nil {
		return nil, err
	}
	began := c.now()
	location := objstore.Location(c.store, id.Namespace+"/"+id.Name)
	m, err := reparsed(iceberg.NewMetadata(c.newUUID(), location, spec.Schema, spec.Partition, spec.Properties, began))
	if err != nil {
		return nil, err
	}
	file, err := c.writeFile(ctx, id, m)
	if err != nil {
		return nil, err
	}
	var made entry
	err = c.write(ctx, OpCreate, id, func() error {
		if _, exists := c.tables[id]; exists {
			return catalog.ErrTableExists
		}
		made = c.setLocked(id, file, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made.table(id, began), nil
}

// Drop removes a table's entry, as another engine's DROP TABLE does. Its files stay.
func (c *Catalog) Drop(ctx context.Context, id catalog.Ident) error {
	err := c.write(ctx, OpDrop, id, func() error {
		if _, exists := c.tables[id]; !exists {
			return catalog.ErrNoTable
		}
		delete(c.tables, id)
		return nil
	})
	if err != nil {
		return fmt.Errorf("drop table %s: %w", id, err)
	}
	return nil
}

// Swap implements catalog.Catalog.
func (c *Catalog) Swap(ctx context.Context, base *catalog.Table, ch catalog.Change) (*catalog.Table, error) {
	if err := c.checkRemoval(ctx, base, ch); err != nil {
		return nil, fmt.Errorf("swap table %s: %w", base.Ident, err)
	}
	t, err := c.swap(ctx, base, func(m *iceberg.Metadata, prev string, now time.Time) (*iceberg.Metadata, error) {
		if c.mode == REST {
			return commitREST(base.Metadata, m, ch, prev, now)
		}
		return m.WithCommit(ch.Snapshot, ch.SetProperties, ch.RemoveSnapshots, prev, now)
	})
	if err != nil {
		return nil, fmt.Errorf("swap table %s: %w", base.Ident, err)
	}
	return t, nil
}

// SwapMetadata implements RawSwapper.
func (c *Catalog) SwapMetadata(ctx context.Context, base *catalog.Table, mutate func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error) {
	t, err := c.swap(ctx, base, func(m *iceberg.Metadata, _ string, _ time.Time) (*iceberg.Metadata, error) { return mutate(m) })
	if err != nil {
		return nil, fmt.Errorf("swap metadata of table %s: %w", base.Ident, err)
	}
	return t, nil
}

// change makes new metadata of old; prev is where the old lies. It may run under the catalog's lock.
type change func(old *iceberg.Metadata, prev string, now time.Time) (*iceberg.Metadata, error)

func (c *Catalog) swap(ctx context.Context, base *catalog.Table, make change) (*catalog.Table, error) {
	if c.mode == Glue {
		return c.swapGlue(ctx, base, make)
	}
	return c.swapREST(ctx, base, make)
}

// List implements catalog.Catalog.
func (c *Catalog) List(ctx context.Context, namespace string) ([]string, error) {
	id := catalog.Ident{Namespace: namespace}
	err := catalog.CheckNamespace(namespace)
	if err == nil {
		err = c.read(ctx, OpList, id)
	}
	if err != nil {
		return nil, fmt.Errorf("list tables of %s: %w", namespace, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, id := range slices.SortedFunc(maps.Keys(c.tables), func(a, b catalog.Ident) int { return cmp.Compare(a.Name, b.Name) }) {
		if id.Namespace == namespace {
			names = append(names, id.Name)
		}
	}
	return names, nil
}

// setLocked makes m the table's current metadata.
func (c *Catalog) setLocked(id catalog.Ident, location string, m *iceberg.Metadata) entry {
	c.edits++
	e := entry{version: c.edits, location: location, metadata: m}
	c.tables[id] = e
	return e
}

// fileKey names a new metadata file as the services do.
func (c *Catalog) fileKey(id catalog.Ident) string {
	name := c.newUUID()
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("%s/%s/metadata/%05d-%s.metadata.json", id.Namespace, id.Name, c.edits, name)
}

// newUUID counts instead of drawing: names differ, and a seeded run replays.
func (c *Catalog) newUUID() uuid.UUID {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names++
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], c.names)
	id[6], id[8] = 0x40, id[8]|0x80 // version 4, RFC 9562 variant
	return id
}

// reparsed returns metadata as it comes out of the service's JSON, or says why it cannot.
func reparsed(m *iceberg.Metadata) (*iceberg.Metadata, error) {
	body, err := m.Encode()
	if err == nil {
		m, err = iceberg.ParseMetadata(body)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrRejected, err)
	}
	return m, nil
}

// rejected classes an error of making new metadata: a conflict stays one, anything else can never succeed.
func rejected(err error) error {
	if errors.Is(err, catalog.ErrConflict) {
		return err
	}
	return fmt.Errorf("%w: %w", catalog.ErrRejected, err)
}
