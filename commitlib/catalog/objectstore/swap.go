package objectstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/commitlib/safeguard"
)

// Swap implements catalog.Catalog, by the steps that Catalog's comment numbers: one PUT, and one for the hint.
func (c *Catalog) Swap(ctx context.Context, base *catalog.Table, ch catalog.Change) (*catalog.Table, error) {
	return c.SwapMetadata(ctx, base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return m.WithCommit(ch.Snapshot, ch.SetProperties, ch.RemoveSnapshots, base.MetadataLocation, c.now())
	})
}

// SwapMetadata makes mutate's result the version after base, with Swap's answers. It is for maintenance and for tests
// that act as other engines; commits go through Swap. An error of mutate is answered as ErrRejected.
func (c *Catalog) SwapMetadata(ctx context.Context, base *catalog.Table, mutate func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error) {
	t, err := c.swap(ctx, base, mutate)
	if err != nil {
		return nil, fmt.Errorf("swap table %s: %w", base.Ident, err)
	}
	return t, nil
}

func (c *Catalog) swap(ctx context.Context, base *catalog.Table, mutate func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error) {
	version, err := versionOf(base)
	if err != nil {
		return nil, err
	}
	began := c.wallClock()
	if c.stale(began, base, version) {
		return nil, fmt.Errorf("%w: or may be, as its base was not seen to be current for more than %v; reload it", catalog.ErrConflict, c.retention/2)
	}
	proven := c.seen.proven(base, version)
	next, err := mutate(base.Metadata)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrRejected, err)
	}
	t, err := c.publish(ctx, base.Ident, version+1, next, began)
	if err != nil {
		return nil, err
	}
	if asleep := c.wallClock().Sub(proven); asleep > c.retention {
		// We slept between the check above and the creation: the name may have been free because its version was
		// deleted, and then nobody will ever read what we made.
		return nil, fmt.Errorf("%w: created version %d on a base of %v ago, more than old versions are kept", catalog.ErrUnknown, version+1, asleep)
	}
	c.raiseAfterSwap(ctx, dirOf(base.Ident), version+1)
	return t, nil
}

// publish creates one version. Every error that does not prove that nothing was created is ErrUnknown.
func (c *Catalog) publish(ctx context.Context, id catalog.Ident, version int64, m *iceberg.Metadata, began time.Time) (*catalog.Table, error) {
	body, err := m.Encode()
	if err != nil {
		return nil, fmt.Errorf("%w: encode metadata: %w", catalog.ErrRejected, err)
	}
	if len(body) > MaxMetadataBytes {
		return nil, fmt.Errorf("%w: its metadata would have %d bytes, more than %d; expire snapshots first", catalog.ErrRejected, len(body), MaxMetadataBytes)
	}
	dir := dirOf(id)
	cond := objstore.Condition{Absent: true}
	if safeguard.Off(safeguard.ExclusiveCreate) {
		cond = objstore.Condition{}
	}
	_, err = c.store.Put(ctx, versionKey(dir, version), body, cond)
	switch {
	case errors.Is(err, objstore.ErrPrecondition):
		return nil, fmt.Errorf("%w: version %d exists", catalog.ErrConflict, version)
	case err != nil:
		c.seen.doubts(dir, version) // whoever finds it made, this process most likely, raises the hint then
		return nil, fmt.Errorf("%w: %w", catalog.ErrUnknown, err)
	}
	c.seen.newest(dir, version, began)
	return c.table(id, version, m, began), nil
}

// stale says that t can no longer be taken for a state that was current within half the retention.
func (c *Catalog) stale(now time.Time, t *catalog.Table, version int64) bool {
	return now.Sub(c.seen.proven(t, version)) > c.retention/2
}
