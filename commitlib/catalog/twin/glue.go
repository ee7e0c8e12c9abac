package twin

import (
	"context"
	"fmt"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// swapGlue is what a Glue client does:
//
//  1. Make the whole new metadata from the base, and write it under a name of its own.
//  2. GetTable: the entry's version id, and whether it still names the base's metadata.
//  3. UpdateTable with that version id, which the service refuses if the entry was changed
//     since 2. This is the commit point.
func (c *Catalog) swapGlue(ctx context.Context, base *catalog.Table, make change) (*catalog.Table, error) {
	began := c.now()
	m, err := make(base.Metadata, base.MetadataLocation, began)
	if err != nil {
		return nil, rejected(err)
	}
	if m, err = reparsed(m); err != nil {
		return nil, err
	}
	file, err := c.writeFile(ctx, base.Ident, m)
	if err != nil {
		return nil, err
	}
	_, seen, err := c.look(ctx, OpGetTable, base.Ident)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrConflict, err) // nothing was sent that could change the entry
	}
	if seen.location != base.MetadataLocation {
		return nil, fmt.Errorf("%w: the entry names %s", catalog.ErrConflict, seen.location)
	}
	var made entry
	err = c.write(ctx, OpSwap, base.Ident, func() error {
		if now, ok := c.tables[base.Ident]; !ok || now.version != seen.version {
			return catalog.ErrConflict
		}
		made = c.setLocked(base.Ident, file, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made.table(base.Ident, began), nil
}

// writeFile writes metadata where a client of the service does, and returns its
// location; the REST service keeps its own.
func (c *Catalog) writeFile(ctx context.Context, id catalog.Ident, m *iceberg.Metadata) (string, error) {
	key := c.fileKey(id)
	if c.mode == REST {
		return objstore.Location(c.store, key), nil
	}
	body, err := m.Encode()
	if err != nil {
		return "", fmt.Errorf("%w: %w", catalog.ErrRejected, err)
	}
	if _, err := c.store.Put(ctx, key, body, objstore.Condition{Absent: true}); err != nil {
		// The entry was not touched, so nothing is in doubt; but the port has no word for it that is safer than this.
		return "", fmt.Errorf("%w: %w", catalog.ErrUnknown, err)
	}
	return objstore.Location(c.store, key), nil
}
