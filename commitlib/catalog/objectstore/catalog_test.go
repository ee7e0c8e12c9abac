package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
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
	absent = objstore.Condition{Absent: true}
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
	w.wantRequests("a refresh with one newer version", map[objstore.Op]int{objstore.OpHead: 2, objstore.OpGet: 1})
	w.swap(table)
	w.wantRequests("a swap after a rival's", map[objstore.Op]int{objstore.OpPut: 3, objstore.OpGet: 1}) // the hint's ETag is the rival's
	if _, err = other.Swap(t.Context(), theirs, w.change(theirs)); !errors.Is(err, catalog.ErrConflict) {
		t.Fatal(err)
	}
	w.wantRequests("a conflict", map[objstore.Op]int{objstore.OpPut: 1})
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

// TestHints: whatever the hint says, the newest version is found, and the hint names it afterwards.
func TestHints(t *testing.T) {
	for _, hint := range []string{"7", "1", "6", "7\n", "3\n", "abc", "", "8", "99", "0", "-1", "07", "999999999999999998", "999999999999999999"} {
		t.Run(fmt.Sprintf("%q", hint), func(t *testing.T) {
			w := newWorld(t)
			newest := w.grow(7)
			w.put(hintKey, hint)
			if got := w.load(w.another()); got.Token != "7" || got.Metadata.CurrentSnapshotID != newest.Metadata.CurrentSnapshotID {
				t.Errorf("loaded version %s", got.Token)
			}
			w.wantHint("7")
		})
	}
	t.Run("missing", func(t *testing.T) {
		w := newWorld(t)
		w.grow(12) // more than one digit: lists sort v10 before v2
		if err := w.store.Delete(t.Context(), hintKey); err != nil {
			t.Fatal(err)
		}
		if got := w.load(w.another()); got.Token != "12" {
			t.Errorf("loaded version %s", got.Token)
		}
		w.wantHint("12")
	})
}

// TestHintsOverDeletedVersions: old versions are gone, with gaps among those that are left.
func TestHintsOverDeletedVersions(t *testing.T) {
	for _, test := range []struct {
		hint    string
		deleted []int
		age     time.Duration
	}{
		{"2", []int{1, 2, 3}, 0},
		{"1", []int{1, 2, 3, 4, 5, 6, 7, 8}, 0},
		{"garbage", []int{1, 2, 5, 7}, 0},
		// The hint's version is left and its successor is gone: that there is no successor proves nothing, since it is old.
		{"3", []int{1, 2, 4, 5, 6}, objectstore.DefaultRetention},
		{"3", []int{4}, objectstore.DefaultRetention},
		{"9", []int{1, 2, 4}, 10 * objectstore.DefaultRetention},
	} {
		w := newWorld(t)
		w.grow(9)
		for _, n := range test.deleted {
			if err := w.store.Delete(t.Context(), versionKey(n)); err != nil {
				t.Fatal(err)
			}
		}
		w.put(hintKey, test.hint)
		w.at = w.at.Add(test.age)
		c := w.another()
		table := w.load(c)
		if table.Token != "9" {
			t.Errorf("hint %s without versions %v after %v: loaded version %s", test.hint, test.deleted, test.age, table.Token)
		}
		w.wantHint("9")
		if _, err := c.Swap(t.Context(), table, w.change(table)); err != nil {
			t.Errorf("swap: %v", err)
		}
		w.wantHint("10")
	}
}

// TestHintOnlyRaised: a committer whose hint arrives late does not take it back.
func TestHintOnlyRaised(t *testing.T) {
	w := newWorld(t)
	first := w.create()
	slow := w.another()
	theirs := w.load(slow)
	// The slow one's swap is version 2; before its hint arrives, others make versions 3 and 4.
	overtaken := false
	var failed error
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut && c.Key == hintKey && !overtaken {
			overtaken = true
			return objstore.Fault{Latency: time.Second}
		}
		return objstore.Fault{}
	})
	w.store.SetClock(func() time.Time { return w.at }, func(_ context.Context, _ time.Duration) error {
		table, err := w.cat.Refresh(t.Context(), first)
		for range 2 {
			if err == nil {
				table, err = w.cat.Swap(t.Context(), table, w.change(table))
			}
		}
		failed = err
		return nil
	})
	if _, err := slow.Swap(t.Context(), theirs, w.change(theirs)); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if !overtaken {
		t.Fatal("the hint was not written")
	}
	w.wantHint("4")
}

// TestHintFailure: an error in writing the hint is not the swap's, and the hint is repaired by whoever comes next.
func TestHintFailure(t *testing.T) {
	for name, fault := range map[string]objstore.Fault{
		"refused":       {Err: errors.New("access denied")},
		"lost request":  {Err: objstore.ErrUnknown},
		"lost response": {Applied: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			table := w.create()
			broken := true
			w.store.SetFault(func(c objstore.Call) objstore.Fault {
				if broken && c.Op == objstore.OpPut && c.Key == hintKey {
					return fault
				}
				return objstore.Fault{}
			})
			for range 3 {
				table = w.swap(table)
			}
			if table.Token != "4" {
				t.Fatalf("version %s", table.Token)
			}
			broken = false
			switch name {
			case "refused":
				w.wantHint("1")
				w.load(w.another())
				w.wantHint("4")
			case "lost request":
				w.wantHint("1")
				w.swap(table)
				w.wantHint("5")
			case "lost response":
				w.wantHint("4")
			}
		})
	}
}

// TestHintOfDeadWriter: a committer died between its swap and the hint. Nobody loads the table anew, but somebody polls it.
func TestHintOfDeadWriter(t *testing.T) {
	w := newWorld(t)
	table := w.create()
	poller := w.another()
	seen := w.load(poller)
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut && c.Key == hintKey {
			return objstore.Fault{Err: errors.New("died")}
		}
		return objstore.Fault{}
	})
	w.swap(table)
	w.store.SetFault(nil)
	w.store.ResetCounts()
	for range 20 {
		w.at = w.at.Add(time.Second)
		var err error
		if seen, err = poller.Refresh(t.Context(), seen); err != nil {
			t.Fatal(err)
		}
	}
	w.wantRequests("20 refreshes", map[objstore.Op]int{objstore.OpHead: 21, objstore.OpGet: 2, objstore.OpPut: 1})
	w.wantHint("2")
}

// TestHintNotWritable: a poller that may only read asks again seldom.
func TestHintNotWritable(t *testing.T) {
	w := newWorld(t)
	w.grow(3)
	w.put(hintKey, "1")
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut {
			return objstore.Fault{Err: errors.New("access denied")}
		}
		return objstore.Fault{}
	})
	poller := w.another()
	table := w.load(poller)
	w.store.ResetCounts()
	for range 300 {
		w.at = w.at.Add(time.Second)
		if _, err := poller.Refresh(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.store.Counts().Of(objstore.OpPut).Calls; n > 1 {
		t.Errorf("tried to write the hint %d times in 5 minutes", n)
	}
}

// TestSleeper: the name after an old base may be free again because its version was deleted. Creating it would confirm a commit
// that nobody can see.
func TestSleeper(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	sleeper := w.another()
	asleep := w.load(sleeper)
	table := base
	for range 5 {
		table = w.swap(table)
	}
	w.at = w.at.Add(objectstore.DefaultRetention + time.Hour)
	for n := 1; n < 6; n++ {
		if err := w.store.Delete(t.Context(), versionKey(n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sleeper.Swap(t.Context(), asleep, w.change(asleep)); !errors.Is(err, catalog.ErrConflict) {
		t.Fatalf("swap on a base of long ago: %v", err)
	}
	now, err := sleeper.Refresh(t.Context(), asleep)
	if err != nil || now.Token != "6" {
		t.Fatalf("refresh: %+v, %v", now, err)
	}
	if _, err := sleeper.Swap(t.Context(), now, w.change(now)); err != nil {
		t.Errorf("swap on what it was refreshed to: %v", err)
	}
}

// TestSleeperInSwap: the same, but the process sleeps between looking at the clock and creating the version.
func TestSleeperInSwap(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut && c.Key == versionKey(2) {
			w.at = w.at.Add(objectstore.DefaultRetention + time.Hour)
		}
		return objstore.Fault{}
	})
	if _, err := w.cat.Swap(t.Context(), base, w.change(base)); !errors.Is(err, catalog.ErrUnknown) {
		t.Errorf("swap: %v", err)
	}
}

// TestQuietTable: a table without commits for months stays usable, at the cost of a list now and then.
func TestQuietTable(t *testing.T) {
	w := newWorld(t)
	table := w.grow(2)
	polled := table
	for range 100 {
		w.at = w.at.Add(objectstore.DefaultRetention / 10)
		got, err := w.cat.Refresh(t.Context(), polled)
		if err != nil || got != polled {
			t.Fatalf("refresh: %v, %v", got, err)
		}
	}
	w.at = w.at.Add(10 * objectstore.DefaultRetention)
	got, err := w.cat.Refresh(t.Context(), polled)
	if err != nil || got != polled {
		t.Fatalf("refresh after a long time: %v, %v", got, err)
	}
	w.swap(polled)
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

// TestCreateOverRemains: v1 may be long gone from a living table, and a stale hint may be all that is left of a dead one.
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
