package twin_test

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

var (
	clicks = catalog.Ident{Namespace: "default", Name: "clicks"}
	spec   = catalog.Spec{Schema: iceberg.EventSchema(iceberg.String), Properties: map[string]string{"firn.protocol": "1"}}
)

// world is one catalog, a store, and another engine's user.
type world struct {
	*testing.T
	store   *objstore.Mem
	cat     twin.Backend
	foreign *twin.Foreign
	ids     int64
}

func newWorld(t *testing.T, mode twin.Mode) *world {
	w := &world{T: t, store: objstore.NewMem("mem://warehouse")}
	if mode == 0 {
		w.cat = objectstore.New(w.store, objectstore.Config{Logger: slog.New(slog.DiscardHandler)})
	} else {
		w.cat = twin.New(mode, w.store)
	}
	w.foreign = &twin.Foreign{Catalog: w.cat, Store: w.store, Now: time.Now, NewID: w.newID}
	if _, err := w.cat.Create(t.Context(), clicks, spec); err != nil {
		t.Fatal(err)
	}
	return w
}

// everywhere runs a test over the object-store catalog and both twins.
func everywhere(t *testing.T, run func(t *testing.T, w *world)) {
	for mode, name := range map[twin.Mode]string{0: "objectstore", twin.Glue: "glue", twin.REST: "rest"} {
		t.Run(name, func(t *testing.T) { run(t, newWorld(t, mode)) })
	}
}

func (w *world) newID() int64 {
	w.ids++
	return w.ids
}

func (w *world) load() *catalog.Table {
	w.Helper()
	return w.must(w.cat.Load(w.Context(), clicks))
}

func (w *world) must(t *catalog.Table, err error) *catalog.Table {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	return t
}

// commit is a change as Firn makes it: a snapshot and a property.
func (w *world) commit(base *catalog.Table, watermark string) (*catalog.Table, error) {
	m := base.Metadata
	return w.cat.Swap(w.Context(), base, catalog.Change{
		Snapshot: &iceberg.Snapshot{
			ID: w.newID(), ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1,
			ManifestList: "mem://warehouse/none.avro", Summary: map[string]string{"operation": iceberg.OpAppend},
		},
		SetProperties: map[string]string{"watermark": watermark},
	})
}

func snapshots(t *catalog.Table) []int64 {
	var ids []int64
	for _, s := range t.Metadata.Snapshots {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestForeignAppend(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		first := w.must(w.foreign.Append(t.Context(), clicks))
		second := w.must(w.foreign.Append(t.Context(), clicks, iceberg.DataFile{Path: "mem://warehouse/x.parquet", RecordCount: 7, FileSizeInBytes: 100}))
		third := w.must(w.foreign.Append(t.Context(), clicks))
		if got := snapshots(third); !slices.Equal(got, []int64{1, 2, 3}) {
			t.Errorf("snapshots %v", got)
		}
		for _, s := range []*catalog.Table{first, second, third} {
			head := s.Metadata.CurrentSnapshot()
			if head.ID != s.Metadata.CurrentSnapshotID || head.Summary["operation"] != iceberg.OpAppend {
				t.Errorf("head %+v", head)
			}
		}
		key, _ := objstore.Key(w.store, third.Metadata.CurrentSnapshot().ManifestList)
		body, _, err := w.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		list, err := manifest.ReadList(body)
		if err != nil || len(list) != 1 || list[0].AddedRows != 7 || list[0].AddedSnapshotID != 2 || list[0].SequenceNumber != 2 {
			t.Errorf("the third snapshot's list is %+v, %v; want the second's manifest", list, err)
		}
	})
}

func TestForeignProperties(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.must(w.foreign.SetProperties(t.Context(), clicks, map[string]string{"a": "1", "b": "2"}))
		now := w.must(w.foreign.RemoveProperties(t.Context(), clicks, "a", "never"))
		p := now.Metadata.Properties
		if len(p) != 2 || p["b"] != "2" || p["firn.protocol"] != "1" {
			t.Errorf("properties %v", p)
		}
	})
}

// TestPropertiesBesideCommit: what the real checks let through. REST merges a change of properties with a commit from
// the same base, whichever comes first; the others refuse the second.
func TestPropertiesBesideCommit(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		base := w.load()
		w.must(w.foreign.SetProperties(t.Context(), clicks, map[string]string{"theirs": "x", "watermark": "clobbered"}))
		now, err := w.commit(base, "10")
		c, isTwin := w.cat.(*twin.Catalog)
		if rest := isTwin && c.Mode() == twin.REST; !rest {
			if !errors.Is(err, catalog.ErrConflict) {
				t.Fatalf("commit beside a change of properties: %v", err)
			}
			return
		}
		if w.must(now, err).Metadata.Properties["theirs"] != "x" || now.Metadata.Properties["watermark"] != "10" {
			t.Errorf("properties %v", now.Metadata.Properties)
		}
		// The other way round, a rival overwrites a watermark from a base that did not have it.
		late := w.must(w.cat.SwapMetadata(t.Context(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			return m.WithProperties(map[string]string{"watermark": "0"}, nil, "", time.Now())
		}))
		if late.Metadata.Properties["watermark"] != "0" || late.Metadata.CurrentSnapshotID != now.Metadata.CurrentSnapshotID {
			t.Errorf("after a property-only commit on an old base: %v, main at %d", late.Metadata.Properties, late.Metadata.CurrentSnapshotID)
		}
	})
}

func TestForeignExpireAndRollback(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		table := w.load()
		for range 6 {
			table = w.must(w.commit(table, "x"))
		}
		kept := w.must(w.foreign.ExpireSnapshots(t.Context(), clicks, 4))
		if got := snapshots(kept); !slices.Equal(got, []int64{3, 4, 5, 6}) || kept.Metadata.CurrentSnapshotID != 6 {
			t.Errorf("after expiry: %v, main at %d", got, kept.Metadata.CurrentSnapshotID)
		}
		back := w.must(w.foreign.Rollback(t.Context(), clicks, 2))
		if back.Metadata.CurrentSnapshotID != 4 || len(back.Metadata.Snapshots) != 4 || back.Metadata.LastSequenceNumber != 6 {
			t.Errorf("after roll-back: main at %d, %v", back.Metadata.CurrentSnapshotID, snapshots(back))
		}
		if _, err := w.commit(table, "x"); !errors.Is(err, catalog.ErrConflict) {
			t.Errorf("commit on what was rolled back: %v", err)
		}
		oldest := w.must(w.foreign.Rollback(t.Context(), clicks, 99))
		if oldest.Metadata.CurrentSnapshotID != 3 {
			t.Errorf("rolled back past the oldest: main at %d", oldest.Metadata.CurrentSnapshotID)
		}
		w.must(w.commit(oldest, "x"))
	})
}

// TestSequenceAfterRollback: a rival's snapshot came and was rolled back, so that main is where the base saw it, but
// the base's next sequence number is taken.
func TestSequenceAfterRollback(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		base := w.must(w.commit(w.load(), "1"))
		w.must(w.commit(base, "2"))
		back := w.must(w.foreign.Rollback(t.Context(), clicks, 1))
		if back.Metadata.CurrentSnapshotID != base.Metadata.CurrentSnapshotID {
			t.Fatalf("main at %d", back.Metadata.CurrentSnapshotID)
		}
		if _, err := w.commit(base, "3"); !errors.Is(err, catalog.ErrConflict) || errors.Is(err, catalog.ErrRejected) {
			t.Errorf("commit on the base: %v", err)
		}
		w.must(w.commit(back, "3"))
	})
}

func TestForeignReplace(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		old := w.must(w.commit(w.load(), "5"))
		schema := &iceberg.Schema{Fields: []iceberg.Field{{ID: 90, Name: "other", Type: iceberg.Long}}}
		now := w.must(w.foreign.Replace(t.Context(), clicks, schema, map[string]string{"new": "1"}))
		m := now.Metadata
		if m.TableUUID != old.Metadata.TableUUID || m.Properties["watermark"] != "5" || m.Properties["new"] != "1" {
			t.Errorf("UUID %v, properties %v", m.TableUUID, m.Properties)
		}
		if m.CurrentSnapshotID != 0 || len(m.Snapshots) != 1 || m.CurrentSchema().Fields[0].Name != "other" {
			t.Errorf("main at %d, %d snapshots, schema %+v", m.CurrentSnapshotID, len(m.Snapshots), m.CurrentSchema())
		}
		if _, err := w.commit(old, "6"); !errors.Is(err, catalog.ErrConflict) {
			t.Errorf("commit on what was replaced: %v", err)
		}
		w.must(w.foreign.Append(t.Context(), clicks))
	})
}

func TestForeignDropAndRecreate(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		old := w.must(w.commit(w.load(), "5"))
		now := w.must(w.foreign.DropAndRecreate(t.Context(), clicks, spec))
		if now.Metadata.TableUUID == old.Metadata.TableUUID || len(now.Metadata.Snapshots) != 0 || now.Metadata.Properties["watermark"] != "" {
			t.Errorf("made anew: %+v", now.Metadata)
		}
		seen, err := w.cat.Refresh(t.Context(), old)
		if err != nil || seen.Metadata.TableUUID != now.Metadata.TableUUID {
			t.Errorf("refresh: %v", err)
		}
		if _, err := w.commit(old, "6"); !errors.Is(err, catalog.ErrConflict) {
			t.Errorf("commit to the dropped table: %v", err)
		}
		w.must(w.commit(now, "1"))
	})
}

// TestForeignRetries: a conflict is what other engines try again after, and only so often.
func TestForeignRetries(t *testing.T) {
	for refusals, want := range map[int]error{4: nil, 5: catalog.ErrConflict} {
		w := newWorld(t, twin.REST)
		w.cat.(*twin.Catalog).SetFault(func(c twin.Call) twin.Fault {
			if c.Op == twin.OpSwap && c.N <= refusals {
				return twin.Fault{Err: catalog.ErrConflict}
			}
			return twin.Fault{}
		})
		if _, err := w.foreign.Append(t.Context(), clicks); !errors.Is(err, want) {
			t.Errorf("after %d refusals: %v", refusals, err)
		}
	}
}

// TestReplays: the same calls make the same names.
func TestReplays(t *testing.T) {
	at := time.Unix(1_800_000_000, 0)
	run := func(mode twin.Mode) (locations []string) {
		w := newWorld(t, mode)
		w.foreign.Now = func() time.Time { return at }
		for range 3 {
			w.must(w.foreign.Append(t.Context(), clicks))
			table := w.must(w.foreign.SetProperties(t.Context(), clicks, map[string]string{"a": "b"}))
			locations = append(locations, table.MetadataLocation, table.Metadata.TableUUID.String())
		}
		return locations
	}
	for _, mode := range []twin.Mode{twin.Glue, twin.REST} {
		if a, b := run(mode), run(mode); !slices.Equal(a, b) {
			t.Errorf("%v: %q and %q", mode, a, b)
		}
	}
}
