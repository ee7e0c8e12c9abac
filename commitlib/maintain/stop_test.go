package maintain

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/commitlib"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// Tables that take no commits, or say that they are not to be cleaned up, are left alone.
func TestExemptTables(t *testing.T) {
	f := func(name, want string, spoil func(w *world)) {
		t.Helper()
		w := newWorld(t)
		lived(w)
		w.fence()
		w.sweep()
		w.pass(foreignGrace + time.Hour)
		spoil(w)
		before := w.keys("data/")
		r, err := w.sweeper().Sweep(context.Background(), w.id, Options{Scope: Whole})
		if err != nil || !strings.Contains(r.Stopped, want) || !slices.Equal(w.keys("data/"), before) {
			t.Errorf("%s: stopped %q, %v", name, r.Stopped, err)
		}
	}
	properties := func(set map[string]string, remove ...string) func(w *world) {
		return func(w *world) {
			w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
				return m.WithProperties(set, remove, prev, w.clock())
			})
		}
	}
	for _, off := range []string{"false", " FALSE ", "no", "0", ""} {
		f("gc.enabled", "gc.enabled", properties(map[string]string{"gc.enabled": off}))
	}
	f("Nessie", "nessie-gc", properties(map[string]string{"nessie.commit.id": "x"}))
	f("not Firn's", "marker", properties(nil, commitlib.PropProtocol))
	f("watermarks lost", "lost", properties(nil, commitlib.PropWatermarks))
	f("watermarks set back", "set back", properties(map[string]string{commitlib.PropWatermarks: `{"logs":{}}`}))
	f("replaced", "replaced", func(w *world) {
		_, err := w.foreign().Replace(context.Background(), w.id, iceberg.EventSchema(iceberg.String), nil)
		w.must(err)
		_, err = w.foreign().Append(context.Background(), w.id, w.foreignFile())
		w.must(err)
	})
}

// Where metadata cannot be followed nothing is removed at all.
func TestDamageStopsTheSweep(t *testing.T) {
	f := func(name string, pick func(w *world) string, spoil func(w *world, key string)) {
		t.Helper()
		w := newWorld(t)
		lived(w)
		w.fence()
		w.sweep()
		w.pass(foreignGrace + time.Hour)
		spoil(w, pick(w))
		before := w.keys()
		r, err := w.sweeper().Sweep(context.Background(), w.id, Options{Scope: Whole})
		if !errors.Is(err, ErrDamaged) || r.Error == "" || !slices.Equal(w.keys(), before) {
			t.Errorf("%s: %v", name, err)
		}
	}
	headList := func(w *world) string {
		key, _ := objstore.Key(w.store, w.load().Metadata.CurrentSnapshot().ManifestList)
		return key
	}
	tagged := func(w *world) string {
		m := w.load().Metadata
		key, _ := objstore.Key(w.store, m.Snapshot(m.Refs["audit"].SnapshotID).ManifestList)
		return key
	}
	manifest := func(w *world) string {
		live := map[string]bool{}
		for _, key := range w.whole().LeftOver {
			live[key] = true
		}
		for _, key := range w.keys("metadata/firn-") {
			if !live[key] {
				return key
			}
		}
		t.Fatal("no manifest")
		return ""
	}
	file := func(w *world) string { return w.keys("data/", "-1-5-0.parquet")[0] }
	gone := func(w *world, key string) { w.must(w.store.Delete(context.Background(), key)) }
	cut := func(w *world, key string) {
		body, _, err := w.store.Get(context.Background(), key)
		w.must(err)
		_, err = w.store.Put(context.Background(), key, body[:len(body)-20], objstore.Condition{})
		w.must(err)
	}
	f("the head's list is gone", headList, gone)
	f("a tag's list is gone", tagged, gone)
	f("a list is cut short", tagged, cut)
	f("a manifest is gone", manifest, gone)
	f("a manifest is cut short", manifest, cut)
	f("a data file is gone", file, gone)
}
