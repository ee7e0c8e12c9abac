// Package glue is the catalog that AWS's Glue Data Catalog keeps: a table's pointer is the metadata_location in its
// entry, and the compare-and-swap is UpdateTable with the version id that GetTable stated.
//
//	<table>/metadata/<version>-<uuid>.metadata.json   created exclusively under a random name, never changed
//
// Invariants: an entry only ever names a metadata file that is durable; a file's name is never used twice, so that
// equal metadata locations are equal states; what others keep in an entry (owner, description, retention, parameters)
// survives our swaps; nothing that was written is deleted, whatever the answer.
//
// What is written to an entry is what Iceberg's own Glue catalogs (Java, PyIceberg) write for the same metadata,
// so that Athena, Spark and the rest read it and may commit beside us. They hold to the same version id.
//
// Permissions: glue:GetDatabase, glue:GetTable, glue:CreateTable and glue:UpdateTable, glue:CreateDatabase where
// databases are to be made, and glue:GetTables for lists; each on the catalog, the database and its tables.
//
// Committers and ingestd use it, from any number of processes at once. The service is spoken to by a small client of
// this package's own (client.go says why).
package glue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// Config is what a Catalog needs to know.
type Config struct {
	AWS       aws.Config // region, credentials, HTTP client; BaseEndpoint where the service is not AWS's own
	Endpoint  string     // overrides AWS.BaseEndpoint; empty: the region's
	CatalogID string     // the account or catalog that holds the databases; empty: the caller's account

	Store objstore.Store // holds all tables' files; new tables are made under its root

	Logger  *slog.Logger              // nil: slog.Default
	Now     func() time.Time          // nil: time.Now
	NewUUID func() (uuid.UUID, error) // of tables and metadata files; nil: uuid.NewRandom
}

// Catalog implements catalog.Catalog. Its methods may be called concurrently. It remembers nothing of any table.
//
// # How a swap happens
//
//  1. The caller has written, durably, everything that the new metadata names.
//  2. The metadata file is created exclusively under a new random name, and beside that GetTable reads the entry: its
//     version id, and whether it still names the base's metadata file. If it does not: conflict.
//  3. UpdateTable makes the entry name the new file, with that version id: the service refuses it if the entry was
//     changed since 2. This is the commit point. A refusal is a conflict, if the request was sent once; no answer, a
//     5xx, or a refusal of what was sent twice is unknown.
//
// A crash between 2 and 3 leaves a metadata file that nothing names. UpdateTable is sent again only where it was surely
// not carried out: when no connection could be made, or the service answered that it throttles.
//
// A swap that lingers after an unknown answer is harmless: it carries the version id of the very entry that its base
// was read from, and the first change of the entry, whoever makes it, takes that id away for good.
type Catalog struct {
	client    *client
	catalogID string
	store     objstore.Store
	log       *slog.Logger
	now       func() time.Time
	newUUID   func() (uuid.UUID, error)
}

// New makes a catalog. It sends nothing.
func New(cfg Config) (*Catalog, error) {
	c := &Catalog{catalogID: cfg.CatalogID, store: cfg.Store, log: cfg.Logger, now: cfg.Now, newUUID: cfg.NewUUID}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.newUUID == nil {
		c.newUUID = uuid.NewRandom
	}
	var err error
	if cfg.Store == nil {
		err = errors.New("no object store is given")
	} else {
		c.client, err = newClient(cfg.AWS, cfg.Endpoint, c.now)
	}
	if err != nil {
		return nil, fmt.Errorf("open Glue catalog: %w", err)
	}
	return c, nil
}

// Load implements catalog.Catalog: GetTable, then the metadata file that the entry names. A table that is not one of
// Iceberg's, or lies outside the store, is ErrRejected.
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
	began := c.wallClock()
	e, err := c.getTable(ctx, id)
	if err != nil {
		return nil, err
	}
	return c.open(ctx, id, e, began, nil)
}

// Refresh implements catalog.Catalog: GetTable alone when nothing changed.
func (c *Catalog) Refresh(ctx context.Context, t *catalog.Table) (*catalog.Table, error) {
	now, err := c.refresh(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("refresh table %s: %w", t.Ident, err)
	}
	return now, nil
}

func (c *Catalog) refresh(ctx context.Context, t *catalog.Table) (*catalog.Table, error) {
	began := c.wallClock()
	e, err := c.getTable(ctx, t.Ident)
	if err != nil {
		return nil, err
	}
	if location, err := e.metadataLocation(); err == nil && location == t.MetadataLocation {
		return t, nil
	}
	return c.open(ctx, t.Ident, e, began, t.Metadata)
}

// List implements catalog.Catalog. Entries that are not Iceberg tables are left out; a database that does not exist has
// no tables.
func (c *Catalog) List(ctx context.Context, namespace string) ([]string, error) {
	names, err := c.list(ctx, namespace)
	if err != nil {
		return nil, fmt.Errorf("list tables of %s: %w", namespace, err)
	}
	return names, nil
}

func (c *Catalog) list(ctx context.Context, namespace string) ([]string, error) {
	if err := catalog.CheckNamespace(namespace); err != nil {
		return nil, err
	}
	var names []string
	in := getTablesRequest{CatalogID: c.catalogID, DatabaseName: namespace}
	for {
		var out getTablesAnswer
		if err := c.client.read(ctx, "GetTables", in, &out); isKind(err, notFound) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		for _, t := range out.TableList {
			if strings.EqualFold(t.Parameters[paramTableType], tableTypeIceberg) {
				names = append(names, t.Name)
			}
		}
		if out.NextToken == "" {
			slices.Sort(names)
			return names, nil
		}
		in.NextToken = out.NextToken
	}
}

// getTable reads a table's entry. ErrNoTable where there is none; Glue answers the same where Lake Formation hides the
// table from the caller.
func (c *Catalog) getTable(ctx context.Context, id catalog.Ident) (*entry, error) {
	var out getTableAnswer
	err := c.client.read(ctx, "GetTable", getTableRequest{CatalogID: c.catalogID, DatabaseName: id.Namespace, Name: id.Name}, &out)
	if isKind(err, notFound) {
		return nil, fmt.Errorf("%w: %w", catalog.ErrNoTable, err)
	}
	if err != nil {
		return nil, err
	}
	return newEntry(out.Table)
}

// open makes a table of its entry. before is an earlier state's metadata, or nil.
func (c *Catalog) open(ctx context.Context, id catalog.Ident, e *entry, began time.Time, before *iceberg.Metadata) (*catalog.Table, error) {
	location, err := e.metadataLocation()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrRejected, err)
	}
	m, err := c.readMetadata(ctx, location, before)
	if err != nil {
		return nil, err
	}
	return table(id, location, m, began), nil
}

// table states no version id: UpdateTable does not answer which one it made, and the metadata location,
// which is never used twice, tells states apart as well.
func table(id catalog.Ident, location string, m *iceberg.Metadata, began time.Time) *catalog.Table {
	return &catalog.Table{Ident: id, Location: m.Location, Metadata: m, MetadataLocation: location, Token: location, LoadedAt: began}
}

// wallClock is now without the monotonic reading, which stands still while a machine sleeps: ages are told from it.
func (c *Catalog) wallClock() time.Time { return c.now().Round(0) }
