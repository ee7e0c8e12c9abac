// Package objectstore is the catalog that needs nothing but an object store: a table's versions are its metadata files,
// and the compare-and-swap is the exclusive creation of the next one.
//
//	<namespace>/<table>/metadata/v<N>.metadata.json   version N, uncompressed; created exclusively, never changed
//	<namespace>/<table>/metadata/version-hint.text    digits of a version at or below the newest, and nothing else
//
// Invariants: version N+1 is made from version N alone, so that the versions are one line of history;
// the newest version is never deleted; an older one is deleted only when a newer one replaced it longer than
// Config.Retention ago; the hint is only raised, and the version that it names is kept.
//
// Readers of other engines (DuckDB, PyIceberg) open exactly the version that the hint names; this package
// takes the hint as a place to begin looking. Committers and ingestd use it, from any number of processes at
// once; all who write to a table must use it, since Hadoop-style writers of other engines do not create
// exclusively on every store.
package objectstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// DefaultRetention is how long a metadata file is kept at least after a newer one replaced it. A deleted version's name can
// be created again, so it must be far longer than anybody may plan on a version that he saw: a commit's parent is at most
// 10 minutes old (commitlib.MaxParentAge) and a function runs 15 minutes at the longest. Who sleeps longer is caught by
// the clock: half of it bounds the age of a swap's base, and all of it the time until its answer. What is kept longer is
// only in the way: at a commit a second three hours are 11,000 files. The newest 100 stay whatever their age.
const DefaultRetention = 3 * time.Hour

// MaxMetadataBytes bounds a metadata file, read and written. Reading one allocates about four times its
// size (2.4 MB with 4,000 snapshots: itself, and 6.2 MB in the parser), and a swap holds the old, the new
// and its encoding, in a committer that has 256 MB. At 600 bytes a snapshot the bound is 28,000 retained
// snapshots; expire some to get below it.
const MaxMetadataBytes = 16 << 20

// hintGrace is how long a version may be the newest before Refresh checks that the hint names it: normally its writer
// does so within a round trip, and readers need not pay for it.
const hintGrace = 10 * time.Second

// hintRetry is how long after an error Refresh leaves the hint alone: a process that may
// not write must not log it all the time.
const hintRetry = 10 * time.Minute

// Config is what a Catalog needs to know; the zero value is the default.
type Config struct {
	Logger    *slog.Logger     // nil: slog.Default
	Now       func() time.Time // nil: time.Now
	Retention time.Duration    // 0: DefaultRetention; the same for all who use the store, and never lowered while they run

	NewUUID func() (uuid.UUID, error) // of new tables; nil: uuid.NewRandom. Only a seeded simulation sets it
}

// Catalog implements catalog.Catalog. Its methods may be called concurrently. It remembers a few words for each table,
// nothing that a restart would miss.
//
// # How a swap happens
//
//  1. The caller has written, durably, everything that the new metadata names.
//  2. v<N+1> is created exclusively. This is the commit point: from here on every reader of this package sees it.
//     The store's refusal is a conflict; no answer, or one that leaves doubt, is unknown.
//  3. version-hint.text is raised to N+1 (If-Match) and awaited. Its error is logged and is
//     not the swap's: the commit stands.
//
// A crash between 2 and 3 leaves the hint behind, by as many versions as writers crashed in a row. Whoever loads the
// table, or finds the version unchanged for a while, raises it.
//
// # How the newest version is found
//
// The version that the hint names, then forward by one until there is none. That the next one does not exist proves
// that the last found is the newest only if the next one cannot have been created and deleted again. Versions are
// created in order, so the next one is younger than the last found: while that one is younger than half the
// retention (the other half is for clocks that disagree), the proof holds. Otherwise, or when the hint is missing
// or names nothing, the versions are listed.
//
// The same holds for a swap's base: one that was not seen to be the newest within half the retention is refused as a
// conflict, so that no sleeper creates a version whose name has become free again.
type Catalog struct {
	store     objstore.Store
	log       *slog.Logger
	now       func() time.Time
	retention time.Duration
	newUUID   func() (uuid.UUID, error)
	seen      sightings
}

// New makes a catalog over a store.
func New(store objstore.Store, cfg Config) *Catalog {
	c := &Catalog{
		store: store, log: cfg.Logger, now: cfg.Now, newUUID: cfg.NewUUID,
		retention: cmp.Or(cfg.Retention, DefaultRetention),
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.newUUID == nil {
		c.newUUID = uuid.NewRandom
	}
	return c
}

// Load implements catalog.Catalog. It repairs the hint where that does not name the newest version.
func (c *Catalog) Load(ctx context.Context, id catalog.Ident) (*catalog.Table, error) {
	t, err := c.load(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load table %s: %w", id, err)
	}
	return t, nil
}

func (c *Catalog) load(ctx context.Context, id catalog.Ident) (*catalog.Table, error) {
	if err := catalog.CheckIdent(id); err != nil {
		return nil, err
	}
	began, dir := c.wallClock(), dirOf(id)
	f, err := c.newest(ctx, dir)
	if err != nil {
		return nil, err
	}
	if f.version == 0 {
		return nil, catalog.ErrNoTable
	}
	t, err := c.read(ctx, id, f.version, f.size, began, nil)
	if err != nil {
		return nil, err
	}
	c.seen.newest(dir, f.version, began)
	c.seen.setHint(dir, f.hint)
	if f.hint.version != f.version || !f.hint.exact {
		c.repairHint(ctx, dir, f.version, f.hint)
	}
	return t, nil
}

// Refresh implements catalog.Catalog: one HEAD when nothing changed; at most three, the hint and the new version when
// something did, however much, unless writers died before they raised the hint. A table that was removed is noticed only once t
// has not been loaded for half the retention; nothing in Firn removes tables under a running process.
func (c *Catalog) Refresh(ctx context.Context, t *catalog.Table) (*catalog.Table, error) {
	newer, err := c.refresh(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("refresh table %s: %w", t.Ident, err)
	}
	return newer, nil
}

func (c *Catalog) refresh(ctx context.Context, t *catalog.Table) (*catalog.Table, error) {
	version, err := versionOf(t)
	if err != nil {
		return nil, err
	}
	began, dir := c.wallClock(), dirOf(t.Ident)
	if c.stale(began, t, version) {
		now, err := c.load(ctx, t.Ident)
		if err == nil && now.Token == t.Token && now.Metadata.TableUUID == t.Metadata.TableUUID {
			return t, nil
		}
		return now, err
	}
	last, err := c.newer(ctx, dir, version)
	if err != nil {
		return nil, err
	}
	c.seen.newest(dir, last.version, began)
	if c.seen.resolves(dir, last.version) || last.version == version && c.seen.hintDue(dir, version, began) {
		c.checkHint(ctx, dir, last.version)
	}
	if last.version == version {
		return t, nil
	}
	return c.read(ctx, t.Ident, last.version, last.info.Size, began, t.Metadata)
}

// Create implements catalog.Catalog. The table gets a new UUID and version 1.
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
	dir := dirOf(id)
	f, err := c.newest(ctx, dir) // v1 may have been deleted long ago: its absence alone proves nothing
	if err != nil {
		return nil, err
	}
	if f.version != 0 {
		return nil, catalog.ErrTableExists
	}
	tableUUID, err := c.newUUID()
	if err != nil {
		return nil, fmt.Errorf("make a table UUID: %w", err)
	}
	m := iceberg.NewMetadata(tableUUID, objstore.Location(c.store, dir), spec.Schema, spec.Partition, spec.Properties, c.now())
	if m, err = valid(m); err != nil {
		return nil, err
	}
	t, err := c.publish(ctx, id, 1, m, c.wallClock())
	if errors.Is(err, catalog.ErrConflict) {
		return nil, catalog.ErrTableExists
	}
	if err != nil {
		return nil, err
	}
	c.repairHint(ctx, dir, 1, f.hint)
	return t, nil
}

// valid returns metadata as a reader would parse it, or says why none could.
func valid(m *iceberg.Metadata) (*iceberg.Metadata, error) {
	body, err := m.Encode()
	if err == nil {
		m, err = iceberg.ParseMetadata(body)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: schema or partition spec: %w", catalog.ErrRejected, err)
	}
	return m, nil
}

// List implements catalog.Catalog: one list for the folders of the namespace, and one for each of them.
func (c *Catalog) List(ctx context.Context, namespace string) ([]string, error) {
	if err := catalog.CheckNamespace(namespace); err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var names []string
	err := objstore.Folders(ctx, c.store, namespace+"/", func(name string) error {
		id := catalog.Ident{Namespace: namespace, Name: name}
		if catalog.CheckIdent(id) != nil {
			return nil
		}
		found, err := c.exists(ctx, dirOf(id))
		if found {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list tables of %s: %w", namespace, err)
	}
	return names, nil
}

// read gets and parses one version. before is an earlier one, or nil.
func (c *Catalog) read(ctx context.Context, id catalog.Ident, version, size int64, began time.Time, before *iceberg.Metadata) (*catalog.Table, error) {
	key := versionKey(dirOf(id), version)
	if size > MaxMetadataBytes {
		return nil, fmt.Errorf("%w: %s has %d bytes, more than %d; expire snapshots with the engine that wrote it",
			catalog.ErrRejected, key, size, MaxMetadataBytes)
	}
	body, _, err := c.store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	m, err := iceberg.ParseMetadataAfter(body, before)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", key, err)
	}
	location := objstore.Location(c.store, dirOf(id))
	if strings.TrimRight(m.Location, "/") != location {
		return nil, fmt.Errorf("%w: its metadata says that it lies at %s, but it was found at %s: it was moved or copied, "+
			"and its files are still named by the old place; open the warehouse by the path that it was made with",
			catalog.ErrRejected, m.Location, location)
	}
	return c.table(id, version, m, began), nil
}

func (c *Catalog) table(id catalog.Ident, version int64, m *iceberg.Metadata, began time.Time) *catalog.Table {
	return &catalog.Table{
		Ident: id, Location: m.Location, Metadata: m, LoadedAt: began, Token: token(version),
		MetadataLocation: objstore.Location(c.store, versionKey(dirOf(id), version)),
	}
}

// wallClock is now without the monotonic reading, which stands still while a machine sleeps: ages are told from it.
func (c *Catalog) wallClock() time.Time { return c.now().Round(0) }
