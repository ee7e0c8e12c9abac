package objectstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
)

// TestRequests holds the cost of each operation, which is what one pays for on S3.
func TestRequests(t *testing.T) {
	w := newWorld(t)
	table := w.create()
	w.wantRequests("create", map[objstore.Op]int{objstore.OpGet: 1, objstore.OpList: 2, objstore.OpPut: 2})
	for range 10 {
		w.at = w.at.Add(time.Minute)
		table = w.swap(table)
		w.wantRequests("a warm swap", map[objstore.Op]int{objstore.OpPut: 2})
	}
	if _, err := w.cat.Refresh(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	w.wantRequests("a refresh without news", map[objstore.Op]int{objstore.OpHead: 1})

	other := w.another()
	theirs := w.load(other)
	w.wantRequests("a cold load", map[objstore.Op]int{objstore.OpGet: 2, objstore.OpHead: 2})
	theirs, err := other.Swap(t.Context(), theirs, w.change(theirs))
	if err != nil {
		t.Fatal(err)
	}
	w.wantRequests("the first swap after a load", map[objstore.Op]int{objstore.OpPut: 2})

	if table, err = w.cat.Refresh(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	w.wantRequests("a refresh with one newer version", map[objstore.Op]int{objstore.OpHead: 2, objstore.OpGet: 2})
	table = w.swap(table)
	w.wantRequests("a swap after a rival's", map[objstore.Op]int{objstore.OpPut: 2}) // the refresh has learnt the hint's ETag
	if _, err = other.Swap(t.Context(), theirs, w.change(theirs)); !errors.Is(err, catalog.ErrConflict) {
		t.Fatal(err)
	}
	w.wantRequests("a conflict", map[objstore.Op]int{objstore.OpPut: 1})

	for range 50 {
		table = w.swap(table)
	}
	w.store.ResetCounts()
	if theirs, err = other.Refresh(t.Context(), theirs); err != nil || theirs.Token != table.Token {
		t.Fatal(theirs, err)
	}
	w.wantRequests("a refresh with fifty newer versions", map[objstore.Op]int{objstore.OpHead: 3, objstore.OpGet: 2})
}

// TestFormat: names and hint are byte for byte what other engines open.
func TestFormat(t *testing.T) {
	w := newWorld(t)
	table := w.grow(3)
	w.wantHint("3")
	if body := w.get(versionKey(3)); body[0] != '{' {
		t.Errorf("metadata begins with %q, want plain JSON", body[0])
	}
	if table.Token != "3" || table.MetadataLocation != "mem://warehouse/"+versionKey(3) {
		t.Errorf("token %s, metadata %s", table.Token, table.MetadataLocation)
	}
	if log := table.Metadata.MetadataLog; len(log) != 2 || log[1].MetadataFile != "mem://warehouse/"+versionKey(2) {
		t.Errorf("metadata log %+v", log)
	}
}

// TestForeignMetadata: what another writer keeps in another form is refused, not misread.
func TestForeignMetadata(t *testing.T) {
	f := func(want string, hint string, files ...string) {
		t.Helper()
		w := newWorld(t)
		w.grow(2)
		w.put(hintKey, hint)
		for _, name := range files {
			w.put(metadataFolder+name, "\x1f\x8b")
		}
		for name, c := range map[string]*objectstore.Catalog{"the same process": w.cat, "another": w.another()} {
			_, err := c.Load(t.Context(), clicks)
			if !errors.Is(err, catalog.ErrRejected) || !strings.Contains(err.Error(), want) {
				t.Errorf("hint %s with %q: %s: %v, want %q in it", hint, files, name, err, want)
			}
		}
	}
	f("compressed", "3", "v3.gz.metadata.json")
	f("compressed", "garbage", "v3.metadata.json.gz")

	w := newWorld(t)
	for _, name := range []string{"snap-1.avro", "00007-0a1b2c3d-0000-4000-8000-000000000000.metadata.json"} {
		w.put(metadataFolder+name, "{}")
	}
	_, err := w.cat.Load(t.Context(), clicks)
	if !errors.Is(err, catalog.ErrRejected) || !strings.Contains(err.Error(), "catalog service") {
		t.Errorf("UUID-named metadata: load: %v", err)
	}
	if _, err = w.cat.Create(t.Context(), clicks, spec); !errors.Is(err, catalog.ErrRejected) {
		t.Errorf("UUID-named metadata: create: %v", err)
	}
}

func TestBadMetadata(t *testing.T) {
	w := newWorld(t)
	w.create()
	w.put(versionKey(2), `{"format-version":2`)
	if _, err := w.another().Load(t.Context(), clicks); err == nil || !strings.Contains(err.Error(), versionKey(2)) {
		t.Errorf("metadata that was cut short: %v", err)
	}
	w.put(versionKey(2), strings.Replace(w.get(versionKey(1)), "mem://warehouse/default/clicks", "mem://elsewhere/default/clicks", 1))
	if _, err := w.another().Load(t.Context(), clicks); !errors.Is(err, catalog.ErrRejected) || !strings.Contains(err.Error(), "moved") {
		t.Errorf("metadata of another place: %v", err)
	}
	w.put(versionKey(2), strings.Repeat(" ", objectstore.MaxMetadataBytes+1))
	w.store.ResetCounts()
	if _, err := w.another().Load(t.Context(), clicks); !errors.Is(err, catalog.ErrRejected) {
		t.Errorf("huge metadata: %v", err)
	}
	if n := w.store.Counts().Of(objstore.OpGet).Bytes; n > 100 {
		t.Errorf("read %d bytes of it", n)
	}
}

// TestCreateOverRemains: v1 may be long gone from a living table, and a stale hint
// may be all that is left of a dead one.
func TestCreateOverRemains(t *testing.T) {
	w := newWorld(t)
	w.grow(5)
	for _, key := range []string{versionKey(1), versionKey(2), hintKey} {
		if err := w.store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.another().Create(t.Context(), clicks, spec); !errors.Is(err, catalog.ErrTableExists) {
		t.Errorf("create over a table whose first versions are deleted: %v", err)
	}
	for n := 3; n <= 5; n++ {
		if err := w.store.Delete(t.Context(), versionKey(n)); err != nil {
			t.Fatal(err)
		}
	}
	w.put(hintKey, "5")
	if _, err := w.another().Load(t.Context(), clicks); !errors.Is(err, catalog.ErrNoTable) {
		t.Errorf("load where only a hint is left: %v", err)
	}
	w.create()
	w.wantHint("1")
}

func TestUnreadableToken(t *testing.T) {
	w := newWorld(t)
	table := *w.create()
	table.Token = "00001-uuid"
	if _, err := w.cat.Swap(t.Context(), &table, w.change(&table)); err == nil {
		t.Error("swapped on a table of another catalog")
	}
	if _, err := w.cat.Refresh(t.Context(), &table); err == nil {
		t.Error("refreshed a table of another catalog")
	}
}

// TestCreateBesideRival: a rival's first version appears between the two lists that look for a table.
func TestCreateBesideRival(t *testing.T) {
	w := newWorld(t)
	rival := w.another()
	lists := 0
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpList {
			if lists++; lists == 2 {
				return objstore.Fault{Latency: time.Second}
			}
		}
		return objstore.Fault{}
	})
	var failed error
	w.store.SetClock(func() time.Time { return w.at }, func(context.Context, time.Duration) error {
		_, failed = rival.Create(t.Context(), clicks, spec)
		return nil
	})
	_, err := w.cat.Create(t.Context(), clicks, spec)
	if failed != nil || !errors.Is(err, catalog.ErrTableExists) {
		t.Errorf("create: %v, the rival's: %v", err, failed)
	}
}
