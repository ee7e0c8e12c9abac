package catalogtest

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// tag names a snapshot of a table's current state, as another engine's CREATE TAG does.
func (env Env) tag(t *testing.T, table *catalog.Table, name string, snapshotID int64) {
	t.Helper()
	if env.Tag != nil {
		env.Tag(t, table, name, snapshotID)
		return
	}
	raw := env.Rival.(interface {
		SwapMetadata(context.Context, *catalog.Table, func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error)
	})
	_, err := raw.SwapMetadata(t.Context(), table, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		m, err := m.WithProperties(nil, nil, table.MetadataLocation, time.Now())
		if err == nil {
			m.Refs = maps.Clone(m.Refs)
			m.Refs[name] = iceberg.Ref{SnapshotID: snapshotID, Type: iceberg.RefTag}
		}
		return m, err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// aged is a table with five commits, whose snapshots are returned from the oldest on, of which the first has a tag.
func aged(t *testing.T, env Env) (*catalog.Table, []int64) {
	t.Helper()
	table := made(t, env.Catalog)
	for range 5 {
		table = swapped(t, env.Catalog, table, next(table))
	}
	ids := history(t, table)
	env.tag(t, table, "first", ids[0])
	return loaded(t, env.Catalog), ids
}

// removing is a change that also removes snapshots.
func removing(base *catalog.Table, ids ...int64) catalog.Change {
	ch := next(base)
	ch.RemoveSnapshots = ids
	return ch
}

// holds fails unless the table has exactly these snapshots, main at the last of them, and the tag.
func holds(t *testing.T, table *catalog.Table, ids ...int64) {
	t.Helper()
	m := table.Metadata
	var have []int64
	for _, s := range m.Snapshots {
		have = append(have, s.ID)
	}
	slices.Sort(have) // they are counted up; a service may order them otherwise
	if !slices.Equal(have, ids) || m.CurrentSnapshotID != ids[len(ids)-1] {
		t.Errorf("it has snapshots %d with main at %d, want %d", have, m.CurrentSnapshotID, ids)
	}
	if tag := m.Refs["first"]; tag.SnapshotID != ids[0] || tag.Type != iceberg.RefTag {
		t.Errorf("the tag is %+v, want snapshot %d", tag, ids[0])
	}
}

// removal: what a change removes is gone in the state that has its snapshot; tags and all else stay.
func removal(t *testing.T, env Env) {
	base, ids := aged(t, env)
	ch := removing(base, ids[1], ids[3], 1<<40) // the last is unknown
	now := swapped(t, env.Catalog, base, ch)
	want := []int64{ids[0], ids[2], ids[4], ch.Snapshot.ID}
	holds(t, now, want...)
	same(t, "load after", loaded(t, env.Rival), now)
	for _, e := range now.Metadata.SnapshotLog {
		if e.SnapshotID == ids[1] || e.SnapshotID == ids[3] {
			t.Errorf("the snapshot log names %d", e.SnapshotID)
		}
	}
	if now.Metadata.Properties["last"] != ch.SetProperties["last"] {
		t.Errorf("properties are %v", now.Metadata.Properties)
	}
	again := removing(now, ids[4]) // the parent of the new head's parent, and a swap's result serves as a base
	holds(t, swapped(t, env.Catalog, now, again), ids[0], ids[2], ch.Snapshot.ID, again.Snapshot.ID)
}

// removalRefused: a change that removes what a ref names is rejected, and leaves the table alone.
func removalRefused(t *testing.T, env Env) {
	base, ids := aged(t, env)
	_, err := env.Catalog.Swap(t.Context(), base, removing(base, ids[1], ids[0]))
	wantError(t, "removal of a tag's snapshot", err, catalog.ErrRejected)
	own := next(base)
	own.RemoveSnapshots = []int64{own.Snapshot.ID}
	_, err = env.Catalog.Swap(t.Context(), base, own)
	wantError(t, "removal of the new head", err, catalog.ErrRejected)
	same(t, "load after", loaded(t, env.Catalog), base)
}

// removalOnStaleBase: a swap that is refused removes nothing.
func removalOnStaleBase(t *testing.T, env Env) {
	base, ids := aged(t, env)
	won := next(base)
	swapped(t, env.Rival, base, won)
	_, err := env.Catalog.Swap(t.Context(), base, removing(base, ids[1]))
	wantError(t, "swap on a stale base", err, catalog.ErrConflict)
	holds(t, loaded(t, env.Catalog), append(ids, won.Snapshot.ID)...)
}

// removalOfNewTag: a tag that was made after the base was loaded keeps its snapshot.
func removalOfNewTag(t *testing.T, env Env) {
	base, ids := aged(t, env)
	env.tag(t, base, "late", ids[2])
	_, err := env.Catalog.Swap(t.Context(), base, removing(base, ids[2]))
	wantError(t, "removal of what was tagged since", err, catalog.ErrConflict)
	now := loaded(t, env.Catalog)
	holds(t, now, ids...)
	if late := now.Metadata.Refs["late"]; late.SnapshotID != ids[2] {
		t.Errorf("the new tag is %+v, want snapshot %d", late, ids[2])
	}
}

// removalLostRequest and removalLostResponse: of a swap whose outcome is unknown nothing is applied, or all of it.
func removalLostRequest(t *testing.T, env Env) {
	ids, _ := removalUnknown(t, env, LostRequest)
	holds(t, loaded(t, env.Catalog), ids...)
}

func removalLostResponse(t *testing.T, env Env) {
	ids, ch := removalUnknown(t, env, LostResponse)
	holds(t, loaded(t, env.Catalog), ids[0], ids[2], ids[3], ids[4], ch.Snapshot.ID)
}

func removalUnknown(t *testing.T, env Env, f Fault) ([]int64, catalog.Change) {
	t.Helper()
	if env.Fault == nil {
		t.Skip("this catalog's requests cannot be made to go wrong")
	}
	base, ids := aged(t, env)
	ch := removing(base, ids[1])
	env.Fault(f)
	_, err := env.Catalog.Swap(t.Context(), base, ch)
	wantError(t, "a lost request or response", err, catalog.ErrUnknown)
	return ids, ch
}
