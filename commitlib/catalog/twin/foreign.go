package twin

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// RawSwapper is a catalog through which any change of the metadata can be made, with the catalog's own check. mutate
// must work on its argument alone, which is the base's metadata or, on REST, the service's; it may run under a lock.
type RawSwapper interface {
	SwapMetadata(ctx context.Context, base *catalog.Table, mutate func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error)
}

// Backend is what a Foreign needs of a catalog; package objectstore's and both twins are one.
type Backend interface {
	catalog.Catalog
	RawSwapper
}

// Foreign acts on tables as the users of other engines do: through the catalog, without knowing Firn's rules. Each
// method loads the table, changes it, and does so again after a conflict, as those engines do.
type Foreign struct {
	Catalog Backend
	Store   objstore.Store
	Now     func() time.Time
	NewID   func() int64 // snapshot ids: positive, each another
}

// foreignTries is how often other engines try a commit by default (commit.retry.num-retries = 4).
const foreignTries = 5

func (f *Foreign) update(ctx context.Context, id catalog.Ident, make change) (*catalog.Table, error) {
	for try := 1; ; try++ {
		base, err := f.Catalog.Load(ctx, id)
		if err != nil {
			return nil, err
		}
		t, err := f.Catalog.SwapMetadata(ctx, base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			return make(m, base.MetadataLocation, f.Now())
		})
		if err == nil || !errors.Is(err, catalog.ErrConflict) || try == foreignTries {
			return t, err
		}
	}
}

// SetProperties sets properties, and nothing else. On REST it passes beside any other change.
func (f *Foreign) SetProperties(ctx context.Context, id catalog.Ident, props map[string]string) (*catalog.Table, error) {
	return f.update(ctx, id, func(m *iceberg.Metadata, prev string, now time.Time) (*iceberg.Metadata, error) {
		return m.WithProperties(props, nil, prev, now)
	})
}

// RemoveProperties removes properties, and nothing else.
func (f *Foreign) RemoveProperties(ctx context.Context, id catalog.Ident, keys ...string) (*catalog.Table, error) {
	return f.update(ctx, id, func(m *iceberg.Metadata, prev string, now time.Time) (*iceberg.Metadata, error) {
		return m.WithProperties(nil, keys, prev, now)
	})
}

// ExpireSnapshots forgets all snapshots but the newest keep of main's history and those that another ref names.
func (f *Foreign) ExpireSnapshots(ctx context.Context, id catalog.Ident, keep int) (*catalog.Table, error) {
	return f.update(ctx, id, func(m *iceberg.Metadata, prev string, now time.Time) (*iceberg.Metadata, error) {
		kept := map[int64]bool{}
		for _, ref := range m.Refs {
			kept[ref.SnapshotID] = true
		}
		for s := m.CurrentSnapshot(); s != nil && keep > 0; s = m.Snapshot(s.ParentID) {
			kept[s.ID] = true
			keep--
		}
		var gone []int64
		for _, s := range m.Snapshots {
			if !kept[s.ID] {
				gone = append(gone, s.ID)
			}
		}
		return m.WithoutSnapshots(gone, prev, now)
	})
}

// Rollback points main at the snapshot that lies steps before its head, or at the oldest that is retained.
func (f *Foreign) Rollback(ctx context.Context, id catalog.Ident, steps int) (*catalog.Table, error) {
	return f.update(ctx, id, func(m *iceberg.Metadata, prev string, now time.Time) (*iceberg.Metadata, error) {
		s := m.CurrentSnapshot()
		if s == nil {
			return m, nil
		}
		for parent := m.Snapshot(s.ParentID); parent != nil && steps > 0; steps-- {
			s, parent = parent, m.Snapshot(parent.ParentID)
		}
		return m.WithMain(s.ID, prev, now)
	})
}

// Replace is CREATE OR REPLACE TABLE: the UUID stays, the schema is new, the properties are merged, old snapshots are
// kept, and main is empty.
func (f *Foreign) Replace(ctx context.Context, id catalog.Ident, schema *iceberg.Schema, props map[string]string) (*catalog.Table, error) {
	return f.update(ctx, id, func(m *iceberg.Metadata, prev string, now time.Time) (*iceberg.Metadata, error) {
		withSchema, err := m.WithSchema(schema, prev, now)
		if err != nil {
			return nil, err
		}
		replaced := *withSchema
		replaced.CurrentSnapshotID, replaced.SnapshotLog = 0, nil
		replaced.Refs = maps.Clone(m.Refs)
		delete(replaced.Refs, iceberg.MainBranch)
		replaced.Properties = maps.Clone(m.Properties)
		maps.Copy(replaced.Properties, props)
		return &replaced, nil
	})
}

// DropAndRecreate makes a table of the same name, with a new UUID and nothing of the old one. Where the catalog
// cannot drop (package objectstore), the new table's metadata follows the old one's in the same history.
func (f *Foreign) DropAndRecreate(ctx context.Context, id catalog.Ident, spec catalog.Spec) (*catalog.Table, error) {
	if service, ok := f.Catalog.(interface {
		Drop(context.Context, catalog.Ident) error
	}); ok {
		if err := service.Drop(ctx, id); err != nil {
			return nil, err
		}
		return f.Catalog.Create(ctx, id, spec)
	}
	return f.update(ctx, id, func(m *iceberg.Metadata, _ string, now time.Time) (*iceberg.Metadata, error) {
		var raw uuid.UUID
		for i, n := 0, f.NewID(); i < 8; i++ {
			raw[15-i] = byte(n >> (8 * i))
		}
		raw[6], raw[8] = 0x40, raw[8]|0x80
		return iceberg.NewMetadata(raw, m.Location, spec.Schema, spec.Partition, spec.Properties, now), nil
	})
}
