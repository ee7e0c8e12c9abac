package maintain

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// dated is a store whose objects bear the test's time.
type dated struct {
	objstore.Store
	clock func() time.Time

	mu    sync.Mutex // protects times
	times map[string]time.Time
}

func (d *dated) stamp(o *objstore.Info) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at, ok := d.times[o.Key]; ok {
		o.Modified = at
	}
}

func (d *dated) Put(ctx context.Context, key string, body []byte, cond objstore.Condition) (objstore.Info, error) {
	o, err := d.Store.Put(ctx, key, body, cond)
	if err == nil {
		d.mu.Lock()
		d.times[key] = d.clock()
		d.mu.Unlock()
		d.stamp(&o)
	}
	return o, err
}

func (d *dated) Get(ctx context.Context, key string) ([]byte, objstore.Info, error) {
	body, o, err := d.Store.Get(ctx, key)
	d.stamp(&o)
	return body, o, err
}

func (d *dated) Head(ctx context.Context, key string) (objstore.Info, error) {
	o, err := d.Store.Head(ctx, key)
	d.stamp(&o)
	return o, err
}

func (d *dated) List(ctx context.Context, prefix string, fn func(objstore.Info) error) error {
	return d.Store.List(ctx, prefix, func(o objstore.Info) error {
		d.stamp(&o)
		return fn(o)
	})
}

// everywhere runs a test over each catalog in memory, and over a local directory.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("objectstore", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("glue", func(t *testing.T) { test(t, newWorldOn(t, twin.Glue, 1)) })
	t.Run("rest", func(t *testing.T) { test(t, newWorldOn(t, twin.REST, 1)) })
	t.Run("directory", func(t *testing.T) {
		dir, err := objstore.OpenDir(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		w := &world{TB: t}
		w.store = &dated{Store: dir, clock: w.clock, times: map[string]time.Time{}}
		w.open(0, 1)
		test(t, w)
	})
}

// lived makes a table that has seen what tables see: three logs, another engine, a tag, a branch, a roll-back, expired
// snapshots, and files that nobody names.
func lived(w *world) {
	w.Helper()
	c := w.committer()
	a, b := w.log(), w.log()
	for range 3 {
		w.append(c, a, 5)
		w.append(c, b, 2)
		w.pass(time.Minute)
	}
	w.setRef("audit", iceberg.RefTag, w.load().Metadata.CurrentSnapshotID)
	_, err := w.foreign().Append(context.Background(), w.id, w.foreignFile(), w.foreignFile())
	w.must(err)
	w.setRef("dev", iceberg.RefBranch, w.load().Metadata.CurrentSnapshotID)
	_, err = w.foreign().Rollback(context.Background(), w.id, 2)
	w.must(err)
	for range 3 {
		w.append(c, a, 1)
	}
	w.expire(2)
}

func TestCheckFindsATableWhole(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		lived(w)
		w.put(w.root + "data/left.parquet")
		w.put(w.root + "metadata/left.avro")
		in := w.whole()
		var left []string
		for _, key := range in.LeftOver {
			if strings.Contains(key, "left") {
				left = append(left, key)
			}
		}
		if len(left) != 2 {
			t.Errorf("left over: %q, want both files that nobody names among them", in.LeftOver)
		}
		if files := len(w.keys("data/", ".parquet")); in.Needed < files {
			t.Errorf("needs %d objects, there are %d data files", in.Needed, files)
		}
	})
}

// Each object that the table needs is missed when it is gone, and found damaged when it is cut short.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	lived(w)
	in := w.whole()
	table := w.load()
	ctx := context.Background()
	lost, cut := 0, 0
	for _, key := range w.keys() {
		if slices.Contains(in.LeftOver, key) || strings.Contains(key, "metadata.json") || strings.Contains(key, hintName) {
			continue
		}
		body, _, err := w.store.Get(ctx, key)
		w.must(err)
		w.must(w.store.Delete(ctx, key))
		got, err := Check(ctx, w.store, table)
		w.must(err)
		if len(got.Missing) != 1 || got.Missing[0].Key != key {
			t.Errorf("without %s: missing %v", key, got.Missing)
		}
		lost++
		_, err = w.store.Put(ctx, key, body[:len(body)-1], objstore.Condition{})
		w.must(err)
		if got, err = Check(ctx, w.store, table); err != nil || len(got.Damaged) != 1 || got.Damaged[0].Key != key {
			t.Errorf("with %s cut short: damaged %v, %v", key, got.Damaged, err)
		}
		cut++
		_, err = w.store.Put(ctx, key, body, objstore.Condition{})
		w.must(err)
	}
	if lost < 20 || cut < 20 {
		t.Errorf("%d objects were removed and %d cut short: too few to show anything", lost, cut)
	}
}
