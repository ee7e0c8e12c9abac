package glue

import (
	"context"
	"errors"
	"fmt"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Swap implements catalog.Catalog, by the steps that Catalog's comment numbers: one PUT, GetTable and UpdateTable.
func (c *Catalog) Swap(ctx context.Context, base *catalog.Table, ch catalog.Change) (*catalog.Table, error) {
	return c.SwapMetadata(ctx, base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return m.WithCommit(ch.Snapshot, ch.SetProperties, ch.RemoveSnapshots, base.MetadataLocation, c.now())
	})
}

// SwapMetadata makes mutate's result the state after base, with Swap's answers. It is for maintenance and for tests
// that act as other engines; commits go through Swap. An error of mutate is answered as ErrRejected.
func (c *Catalog) SwapMetadata(ctx context.Context, base *catalog.Table, mutate func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error) {
	t, err := c.swap(ctx, base, mutate)
	if err != nil {
		return nil, fmt.Errorf("swap table %s: %w", base.Ident, err)
	}
	return t, nil
}

func (c *Catalog) swap(ctx context.Context, base *catalog.Table, mutate func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	began := c.wallClock()
	next, err := mutate(base.Metadata)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrRejected, err)
	}
	body, err := encode(next)
	if err != nil {
		return nil, err
	}
	location, err := c.newMetadataLocation(next, base.MetadataLocation)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrUnknown, err)
	}
	e, err := c.prepare(ctx, base, location, body)
	if err != nil {
		return nil, err
	}
	sends, err := c.client.write(ctx, "UpdateTable", updateTableRequest{
		CatalogID: c.catalogID, DatabaseName: base.Ident.Namespace, VersionID: e.versionID, SkipArchive: true,
		TableInput: e.tableInput(base.Ident, location, base.MetadataLocation, base.Metadata, next),
	})
	if err != nil {
		return nil, swapAnswer(sends, err)
	}
	return table(base.Ident, location, next, began), nil
}

// prepare is step 2: the metadata file is durable and the entry names base when it returns an entry. The two requests
// run side by side: a file written in vain harms nobody, and a round trip is what a commit's time is made of.
func (c *Catalog) prepare(ctx context.Context, base *catalog.Table, location string, body []byte) (*entry, error) {
	written := make(chan error, 1)
	go func() { written <- c.writeMetadata(ctx, location, body) }()
	e, err := c.getTable(ctx, base.Ident)
	werr := <-written
	switch {
	case errors.Is(err, catalog.ErrNoTable):
		return nil, fmt.Errorf("%w: the table is gone from the catalog", catalog.ErrConflict)
	case err == nil && e.parameters[paramMetadataLocation] != base.MetadataLocation:
		return nil, fmt.Errorf("%w: the entry names %s", catalog.ErrConflict, e.parameters[paramMetadataLocation])
	case errors.Is(werr, catalog.ErrRejected):
		return nil, werr
	case err != nil || werr != nil:
		// The entry was not touched; but the port has no word for that which is safer than this.
		return nil, fmt.Errorf("%w: the swap was not sent: %w", catalog.ErrUnknown, errors.Join(err, werr))
	case e.versionID == "":
		// Without it UpdateTable would overwrite whatever is there.
		return nil, fmt.Errorf("%w: GetTable stated no version id: the service behind this endpoint offers no compare-and-swap; use AWS Glue itself, or another catalog", catalog.ErrRejected)
	}
	return e, nil
}

// swapAnswer is what UpdateTable's error means for the swap, which may have reached the service so many times. Only
// the answer to a single sending proves anything: a second one may be refused because the first one was carried out.
func swapAnswer(sends int, err error) error {
	answer := catalog.ErrUnknown
	switch {
	case sends != 1:
	case isKind(err, changed), isKind(err, notFound):
		answer = catalog.ErrConflict
	case isKind(err, invalid):
		answer = catalog.ErrRejected
	}
	return fmt.Errorf("%w: %w", answer, err)
}
