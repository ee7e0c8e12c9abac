package twin

import (
	"context"
	"fmt"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// swapREST is what an Iceberg REST service does with a commit whose requirements are assert-table-uuid and, if the
// commit moves main, assert-ref-snapshot-id(main): it applies the updates to its current metadata, whatever became of
// the rest of the table since the client's base.
func (c *Catalog) swapREST(ctx context.Context, base *catalog.Table, make change) (*catalog.Table, error) {
	began := c.now()
	file, err := c.writeFile(ctx, base.Ident, nil)
	if err != nil {
		return nil, err
	}
	var made entry
	err = c.write(ctx, OpSwap, base.Ident, func() error {
		now, ok := c.tables[base.Ident]
		if !ok {
			return catalog.ErrConflict
		}
		m, err := c.applyREST(now, base.Metadata, make)
		if err != nil {
			return err
		}
		made = c.setLocked(base.Ident, file, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return made.table(base.Ident, began), nil
}

// applyREST checks the requirements against the current entry and applies the updates to it. It runs under the lock.
func (c *Catalog) applyREST(now entry, base *iceberg.Metadata, make change) (*iceberg.Metadata, error) {
	if now.metadata.TableUUID != base.TableUUID {
		return nil, fmt.Errorf("%w: the table has UUID %s", catalog.ErrConflict, now.metadata.TableUUID)
	}
	// A commit that moves main says where it expects it; refusing to make the change on a moved main comes to the same.
	m, err := make(now.metadata, now.location, c.faults.now())
	mainIsBases := now.metadata.CurrentSnapshotID == base.CurrentSnapshotID
	switch {
	case err != nil && mainIsBases:
		return nil, rejected(err)
	case err != nil, m.CurrentSnapshotID != now.metadata.CurrentSnapshotID && !mainIsBases:
		return nil, fmt.Errorf("%w: main is at snapshot %d", catalog.ErrConflict, now.metadata.CurrentSnapshotID)
	}
	return reparsed(m)
}
