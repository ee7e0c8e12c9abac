package objectstore_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

const (
	metadataFolder = "default/clicks/metadata/"
	hintKey        = metadataFolder + "version-hint.text"
)

var (
	clicks = catalog.Ident{Namespace: "default", Name: "clicks"}
	spec   = catalog.Spec{Schema: iceberg.EventSchema(iceberg.String)}
)

func versionKey(n int) string { return fmt.Sprintf("%sv%d.metadata.json", metadataFolder, n) }

// world is a store, a catalog on it, and a clock that both go by.
type world struct {
	*testing.T
	store *objstore.Mem
	cat   *objectstore.Catalog
	at    time.Time
	ids   int64
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, store: objstore.NewMem("mem://warehouse"), at: time.Unix(1_800_000_000, 0)}
	w.store.SetClock(func() time.Time { return w.at }, nil)
	w.cat = w.another()
	return w
}

// another is the catalog of another process: it remembers nothing.
func (w *world) another() *objectstore.Catalog {
	return objectstore.New(w.store, objectstore.Config{Logger: quiet, Now: func() time.Time { return w.at }})
}

func (w *world) create() *catalog.Table {
	w.Helper()
	table, err := w.cat.Create(w.Context(), clicks, spec)
	if err != nil {
		w.Fatal(err)
	}
	return table
}

func (w *world) change(base *catalog.Table) catalog.Change {
	w.ids++
	m := base.Metadata
	return catalog.Change{Snapshot: &iceberg.Snapshot{
		ID: w.ids, ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1,
		ManifestList: "mem://warehouse/x.avro", Summary: map[string]string{"operation": iceberg.OpAppend},
	}}
}

func (w *world) swap(base *catalog.Table) *catalog.Table {
	w.Helper()
	table, err := w.cat.Swap(w.Context(), base, w.change(base))
	if err != nil {
		w.Fatal(err)
	}
	return table
}

// grow makes the table with so many versions.
func (w *world) grow(versions int) *catalog.Table {
	w.Helper()
	table := w.create()
	for range versions - 1 {
		w.at = w.at.Add(time.Second)
		table = w.swap(table)
	}
	return table
}

func (w *world) load(c *objectstore.Catalog) *catalog.Table {
	w.Helper()
	table, err := c.Load(w.Context(), clicks)
	if err != nil {
		w.Fatal(err)
	}
	return table
}

func (w *world) put(key, body string) {
	w.Helper()
	if _, err := w.store.Put(w.Context(), key, []byte(body), objstore.Condition{}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) get(key string) string {
	w.Helper()
	body, _, err := w.store.Get(w.Context(), key)
	if err != nil {
		w.Fatal(err)
	}
	return string(body)
}

func (w *world) wantHint(want string) {
	w.Helper()
	if got := w.get(hintKey); got != want {
		w.Errorf("the hint is %q, want %q", got, want)
	}
}

func (w *world) wantRequests(what string, want map[objstore.Op]int) {
	w.Helper()
	counts, got := w.store.Counts(), map[objstore.Op]int{}
	for op := objstore.OpPut; op <= objstore.OpDelete; op++ {
		if n := counts.Of(op).Calls; n > 0 {
			got[op] = n
		}
	}
	if !maps.Equal(got, want) {
		w.Errorf("%s made the requests %v, want %v", what, got, want)
	}
	w.store.ResetCounts()
}
