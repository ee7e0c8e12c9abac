package glue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// Create implements catalog.Catalog:
//
//  1. GetDatabase; where there is none CreateDatabase, with <warehouse>/<namespace> as its location, so that other
//     engines put their tables beside ours.
//  2. The first metadata file, 00000-<uuid>.metadata.json, is created exclusively.
//  3. CreateTable makes the entry. The service refuses it if the name is taken. This is the commit point.
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
	began := c.wallClock()
	root, err := c.tableLocation(ctx, id)
	if err != nil {
		return nil, err
	}
	tableUUID, err := c.newUUID()
	if err != nil {
		return nil, fmt.Errorf("make a table UUID: %w", err)
	}
	m := iceberg.NewMetadata(tableUUID, root, spec.Schema, spec.Partition, spec.Properties, c.now())
	body, err := encode(m)
	if err != nil {
		return nil, err
	}
	if m, err = iceberg.ParseMetadata(body); err != nil {
		return nil, fmt.Errorf("%w: schema or partition spec: %w", catalog.ErrRejected, err)
	}
	location, err := c.newMetadataLocation(m, "")
	if err != nil {
		return nil, err
	}
	if err := c.writeMetadata(ctx, location, body); err != nil {
		return nil, err
	}
	sends, err := c.client.write(ctx, "CreateTable", createTableRequest{
		CatalogID: c.catalogID, DatabaseName: id.Namespace, TableInput: newTableInput(id, location, m),
	})
	if err != nil {
		return nil, createAnswer(sends, err)
	}
	return table(id, location, m, began), nil
}

// createAnswer is what CreateTable's error means. What surely made nothing, and is neither the table's fault nor
// another's table, stays as it is.
func createAnswer(sends int, err error) error {
	a, answered := errors.AsType[*answer](err)
	switch {
	case sends == 0:
		return err
	case sends > 1 || !answered || a.kind == unclear:
		return fmt.Errorf("%w: %w", catalog.ErrUnknown, err)
	case a.kind == exists:
		return fmt.Errorf("%w: %w", catalog.ErrTableExists, err)
	case a.kind == invalid:
		return fmt.Errorf("%w: %w", catalog.ErrRejected, err)
	}
	return err
}

// s3Tables is the connection type of databases that are S3 Tables' own.
const s3Tables = "aws:s3tables"

// tableLocation is where a new table is to lie, by the rule of Iceberg's own Glue catalogs: in its database's location,
// or in <warehouse>/<database>.db if that has none. If the database lies outside the store, where we may not write, the
// latter too. It makes the database where there is none.
func (c *Catalog) tableLocation(ctx context.Context, id catalog.Ident) (string, error) {
	db, err := c.ensureDatabase(ctx, id.Namespace)
	if err != nil {
		return "", err
	}
	switch {
	case db.FederatedDatabase != nil && db.FederatedDatabase.ConnectionType == s3Tables:
		return "", fmt.Errorf("%w: database %s belongs to S3 Tables, which makes its tables itself: set FIRN_CATALOG=rest and FIRN_CATALOG_SIGV4=s3tables for it",
			catalog.ErrRejected, id.Namespace)
	case db.TargetDatabase != nil:
		return "", fmt.Errorf("%w: database %s is a resource link: use database %s, and set FIRN_CATALOG_WAREHOUSE=%s",
			catalog.ErrRejected, id.Namespace, db.TargetDatabase.DatabaseName, db.TargetDatabase.CatalogID)
	}
	folder := strings.TrimRight(db.LocationURI, "/")
	if _, inside := objstore.Key(c.store, folder); !inside && folder != c.store.Root() {
		if folder != "" {
			c.log.Info("the database's location lies outside the warehouse; the table is made inside the warehouse",
				"table", id.String(), "database_location", db.LocationURI, "warehouse", c.store.Root())
		}
		folder = objstore.Location(c.store, id.Namespace+".db")
	}
	return folder + "/" + id.Name, nil
}

// ensureDatabase returns a database, made if need be. Of those who make one at once, one does, and all go on.
func (c *Catalog) ensureDatabase(ctx context.Context, namespace string) (database, error) {
	db, err := c.getDatabase(ctx, namespace)
	if !isKind(err, notFound) {
		return db, err
	}
	in := databaseInput{Name: namespace, LocationURI: objstore.Location(c.store, namespace), Parameters: map[string]string{}}
	_, err = c.client.write(ctx, "CreateDatabase", createDatabaseRequest{CatalogID: c.catalogID, DatabaseInput: in})
	if err != nil && !isKind(err, exists) {
		return database{}, fmt.Errorf("make database %s: %w", namespace, err)
	}
	return c.getDatabase(ctx, namespace)
}

func (c *Catalog) getDatabase(ctx context.Context, namespace string) (database, error) {
	var out getDatabaseAnswer
	err := c.client.read(ctx, "GetDatabase", getDatabaseRequest{CatalogID: c.catalogID, Name: namespace}, &out)
	return out.Database, err
}
