package twin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

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

// checkRemoval is what package rest does before it sends a commit that removes snapshots: the change is tried on the
// base, and the table must not have changed since.
func (c *Catalog) checkRemoval(ctx context.Context, base *catalog.Table, ch catalog.Change) error {
	if c.mode != REST || len(ch.RemoveSnapshots) == 0 {
		return nil
	}
	if _, err := base.Metadata.WithCommit(ch.Snapshot, nil, ch.RemoveSnapshots, "", c.now()); err != nil {
		return fmt.Errorf("%w: %w", catalog.ErrRejected, err)
	}
	_, seen, err := c.look(ctx, OpRefresh, base.Ident)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("%w: the commit was not sent: %w", catalog.ErrConflict, err)
	case seen.location != base.MetadataLocation:
		return fmt.Errorf("%w: the table is at %s", catalog.ErrConflict, seen.location)
	}
	return nil
}

// commitREST is what the service makes of a commit: its updates, applied to the current metadata. Where snapshots are
// removed the refs of the base are asserted; one that was made since is dropped with its snapshot.
func commitREST(base, now *iceberg.Metadata, ch catalog.Change, prev string, at time.Time) (*iceberg.Metadata, error) {
	if ch.Snapshot.SequenceNumber <= now.LastSequenceNumber {
		// The service's 400 "sequence number older than last": a rival's snapshot came and was rolled back.
		return nil, fmt.Errorf("%w: sequence number %d is not above the last, %d", catalog.ErrConflict, ch.Snapshot.SequenceNumber, now.LastSequenceNumber)
	}
	if len(ch.RemoveSnapshots) == 0 {
		return now.WithSnapshot(ch.Snapshot, ch.SetProperties, prev, at)
	}
	for name, ref := range base.Refs {
		if name != iceberg.MainBranch && now.Refs[name].SnapshotID != ref.SnapshotID {
			return nil, fmt.Errorf("%w: ref %q moved", catalog.ErrConflict, name)
		}
	}
	own := *now
	own.Refs = maps.Clone(now.Refs)
	maps.DeleteFunc(own.Refs, func(name string, ref iceberg.Ref) bool {
		return name != iceberg.MainBranch && slices.Contains(ch.RemoveSnapshots, ref.SnapshotID)
	})
	return own.WithCommit(ch.Snapshot, ch.SetProperties, ch.RemoveSnapshots, prev, at)
}
