package maintain

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// madeAnew drops the table, without its files, and makes it anew in the same folder.
func (w *world) madeAnew() {
	w.Helper()
	spec, err := iceberg.EventSpec([]string{"none"})
	w.must(err)
	_, err = w.foreign().DropAndRecreate(context.Background(), w.id, catalog.Spec{
		Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: commitlib.NewTableProperties(),
	})
	w.must(err)
	clear(w.events)
}

// lives lets a table made anew live for days, with a log that the old one had as well.
func (w *world) lives(log uuid.UUID) (last *Report) {
	w.Helper()
	for range 3 {
		w.append(w.committer(), w.log(), 60)
		w.append(w.committer(), log, 60)
		w.pass(50 * time.Minute)
		w.append(w.committer(), log, 1)
		w.sweep()
		w.pass(foreignGrace + time.Minute)
		last = w.sweep()
	}
	return last
}

// A table that was dropped without its files keeps them, although the next of its name has the same folder: whoever means to
// register it again finds it whole. The new one's sweep stops, and says so, until somebody says that it is not needed.
func TestAnotherTablesFilesAreNotLeftovers(t *testing.T) {
	for _, mode := range []twin.Mode{twin.Glue, twin.REST} {
		for _, swept := range []bool{false, true} {
			w := newWorldOn(t, mode, 1)
			log := w.log()
			for range 5 {
				w.append(w.committer(), log, 10)
			}
			if swept || len(w.keys(".metadata.json")) == 0 { // a service without metadata files: only its sweep tells of a table
				w.sweep()
			}
			old := w.load()
			w.madeAnew()
			if w.load().Location != old.Location {
				t.Fatal("it lies elsewhere")
			}
			r := w.lives(log)
			in, err := Check(context.Background(), w.store, old)
			w.must(err)
			if !strings.Contains(r.Stopped, old.Metadata.TableUUID.String()) || len(in.Missing) > 0 {
				t.Errorf("mode %v, swept %v: stopped %q; the old table misses %d objects", mode, swept, r.Stopped, len(in.Missing))
			}
			_, err = w.sweeper().Sweep(context.Background(), w.id, Options{Scope: Whole, Force: true})
			w.must(err)
			if r = w.lives(log); r.Stopped != "" {
				t.Errorf("mode %v: decided, and yet it stopped: %s", mode, r.Stopped)
			}
			if old := w.keys(log.String(), "-1-10-0.parquet"); len(old) > 0 {
				t.Errorf("mode %v: still there: %q", mode, old)
			}
			w.whole()
		}
	}
}

// A purge takes a dropped table's files, and leaves what was remembered of its sweeps: nothing is to be decided.
func TestAPurgedTableHoldsUpNobody(t *testing.T) {
	w := newWorldOn(t, twin.REST, 1)
	log := w.log()
	w.append(w.committer(), log, 10)
	w.sweep()
	w.madeAnew()
	current, _ := objstore.Key(w.store, w.load().MetadataLocation)
	gone := slices.DeleteFunc(w.keys(), func(key string) bool { return strings.Contains(key, "/_firn/") || key == current })
	w.must(w.store.Delete(context.Background(), gone...))
	if r := w.lives(log); r.Stopped != "" {
		t.Errorf("stopped: %s", r.Stopped)
	}
}

// Metadata of another table is found beside much of this one's, compressed or not; what cannot be read tells nothing.
func TestMetadataOfAnotherTable(t *testing.T) {
	stops := func(name string, body []byte, times int, want bool) {
		t.Helper()
		w := newWorld(t)
		log := w.log()
		w.append(w.committer(), log, 1)
		own, _, err := w.store.Get(context.Background(), w.root+"metadata/v2.metadata.json")
		w.must(err)
		for k := range 2 * times {
			if k == times {
				_, err := w.store.Put(context.Background(), w.root+"metadata/"+name, body, objstore.Condition{})
				w.must(err)
			}
			if times > 1 {
				w.pass(time.Second)
				_, err := w.store.Put(context.Background(), fmt.Sprintf("%smetadata/%05d-%s.metadata.json", w.root, k, uuid.UUID{15: byte(k)}), own, objstore.Condition{})
				w.must(err)
			}
		}
		r := w.sweep()
		if (r.Stopped != "") != want {
			t.Errorf("%s, among %d: stopped %q", name, times, r.Stopped)
		}
	}
	other := []byte(`{"format-version":2,"table-uuid":"018f3b1e-0000-7000-8000-000000000001"}`)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(other)
	_ = z.Close()
	const random = "6f1c2a54-9d1b-4c37-8c51-0a2b3c4d5e6f"
	stops("v9.metadata.json", other, 1, true)
	stops("00003-"+random+".metadata.json", other, 1, true)
	stops("00003-"+random+".gz.metadata.json", zipped.Bytes(), 1, true)
	stops("00003-"+random+".metadata.json.gz", zipped.Bytes(), 1, true)
	stops("v1.gz.metadata.json", []byte(`{"format-version":1}`), 1, true)
	stops("v9.metadata.json", other[:40], 1, false)
	stops("v9.metadata.json", zipped.Bytes()[:12], 1, false)
	stops("v9.txt", other, 1, false)
	var e ends
	for k := range 20 {
		e.add(objstore.Info{Key: fmt.Sprint(k), Modified: time.Unix(int64(k*7%20), 0)})
	}
	names := ""
	for _, o := range slices.Concat(e.oldest, e.newest) {
		names += fmt.Sprint(o.Modified.Unix(), " ")
	}
	if names != "0 1 19 18 " {
		t.Errorf("the oldest and the newest are %s", names)
	}
}
