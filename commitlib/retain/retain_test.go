package retain

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/iceberg"
	"firn/commitlib/live"
	"firn/commitlib/maintain"
	"firn/commitlib/objstore"
)

// world is a table whose files hold the events of one hour each.
type world struct {
	*testing.T
	store *objstore.Mem
	cat   *objectstore.Catalog
	id    catalog.Ident
	table *catalog.Table
	next  commitlib.Seq
	now   time.Time
	ahead time.Duration             // of the store's clock
	edit  func(f *iceberg.DataFile) // of what append commits; may be nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		T: t, store: objstore.NewMem("mem://warehouse"), id: catalog.Ident{Namespace: "default", Name: "clicks"},
		now: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC), next: 1,
	}
	w.store.SetClock(func() time.Time { return w.now.Add(-w.ahead) }, func(context.Context, time.Duration) error { return nil })
	w.cat = objectstore.New(w.store, objectstore.Config{Now: w.clock, Logger: slog.New(slog.DiscardHandler)})
	spec, err := iceberg.EventSpec([]string{iceberg.PartitionDay})
	w.must(err)
	w.table, err = w.cat.Create(t.Context(), w.id, catalog.Spec{
		Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: commitlib.NewTableProperties(),
	})
	w.must(err)
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

var log = uuid.MustParse("01a206fd-6700-7000-8000-000000000001")

// append commits a file of ten events, the last of which happened the given time ago; without a bound of it where
// bounded is false.
func (w *world) append(ago time.Duration, bounded bool) *commitlib.Request {
	w.Helper()
	spec := w.table.Metadata.DefaultSpec()
	last := w.now.Add(-ago)
	f := iceberg.DataFile{
		Path:      fmt.Sprintf("%s/data/%s-%d-%d-0.parquet", w.table.Location, log, w.next, w.next+9),
		Partition: [][]byte{iceberg.EncodeInt(iceberg.DayOf(last.UnixMicro()))}, RecordCount: 10, FileSizeInBytes: 4,
	}
	if bounded {
		f.UpperBounds = map[int][]byte{iceberg.FieldEventTime: iceberg.EncodeLong(last.UnixMicro())}
		f.NullValueCounts = map[int]int64{iceberg.FieldEventTime: 0}
	}
	if w.edit != nil {
		w.edit(&f)
	}
	r := &commitlib.Request{
		Version: commitlib.Protocol, Table: w.id, TableUUID: w.table.Metadata.TableUUID, Location: w.table.Location, Log: log,
		First: w.next, Last: w.next + 9, SchemaHash: commitlib.SchemaHash(w.table.Metadata.CurrentSchema()), SpecHash: commitlib.SpecHash(&spec),
		StagedAt: w.now, Files: []iceberg.DataFile{f},
	}
	w.next += 10
	w.commit(r, commitlib.Applied)
	return r
}

func (w *world) commit(r *commitlib.Request, want commitlib.Outcome) {
	w.Helper()
	results, err := w.committer().Commit(context.Background(), w.id, []*commitlib.Request{r})
	w.must(err)
	if results[0].Outcome != want {
		w.Fatalf("commit: %+v, want %s", results[0], want)
	}
}

func (w *world) committer() *commitlib.Committer {
	return commitlib.New(w.cat, w.store, commitlib.Config{Clock: w.clock})
}

// files lists the live files.
func (w *world) files() (paths []string) {
	w.Helper()
	t, err := w.cat.Load(context.Background(), w.id)
	w.must(err)
	list, err := live.List(context.Background(), w.store, t)
	w.must(err)
	w.must(live.Each(context.Background(), w.store, list, nil, func(f *live.File) error {
		paths = append(paths, f.Path)
		return nil
	}))
	slices.Sort(paths)
	return paths
}

func (w *world) keeper(keep time.Duration) *Keeper {
	return &Keeper{
		Catalog: w.cat, Store: w.store, Committer: w.committer(), Clock: w.clock, Keep: func(catalog.Ident) time.Duration { return keep },
	}
}

func (w *world) run(k *Keeper, dry bool) *Report {
	w.Helper()
	out, err := k.Run(context.Background(), w.id, maintain.Options{DryRun: dry})
	w.must(err)
	return out.(*Report)
}

func TestRetention(t *testing.T) {
	w := newWorld(t)
	var reqs []*commitlib.Request
	for _, ago := range []time.Duration{10 * day, 3*day + time.Microsecond, 3 * day, time.Hour} {
		reqs = append(reqs, w.append(ago, true))
	}
	unbounded := w.append(20*day, false)
	all := w.files()

	if rep := w.run(w.keeper(0), false); rep.Did() || !rep.Idle() {
		t.Errorf("without a retention: %+v", rep)
	}
	rep := w.run(w.keeper(3*day), true)
	if rep.Files != 2 || rep.Rows != 20 || rep.Bytes != 8 || rep.Commits != 0 || rep.Unknown != 1 || !slices.Equal(w.files(), all) {
		t.Errorf("dry run: %+v", rep)
	}
	rep = w.run(w.keeper(3*day), false)
	if rep.Files != 2 || rep.Commits != 1 || !rep.Did() {
		t.Errorf("report: %+v", rep)
	}
	want := []string{reqs[2].Files[0].Path, reqs[3].Files[0].Path, unbounded.Files[0].Path}
	slices.Sort(want)
	if got := w.files(); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	state, err := w.cat.Load(t.Context(), w.id)
	w.must(err)
	if s := state.Metadata.CurrentSnapshot().Summary; s["operation"] != iceberg.OpDelete || s["deleted-records"] != "20" || s["total-records"] != "30" {
		t.Errorf("summary %v", s)
	}
	if rep := w.run(w.keeper(3*day), false); rep.Did() || !rep.Idle() {
		t.Errorf("once more: %+v", rep)
	}
	w.commit(reqs[0], commitlib.Skipped) // what left was committed, and stays out
	w.now = w.now.Add(day)
	if rep := w.run(w.keeper(3*day), false); rep.Files != 1 {
		t.Errorf("a day later: %+v", rep)
	}
}

// TestRetentionOfAStoppedTable: a table that takes no commits is left as it is.
func TestRetentionOfAStoppedTable(t *testing.T) {
	f := func(set map[string]string, remove ...string) {
		t.Helper()
		w := newWorld(t)
		w.append(100*time.Hour, true)
		base, err := w.cat.Load(t.Context(), w.id)
		w.must(err)
		_, err = w.cat.SwapMetadata(t.Context(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			return m.WithProperties(set, remove, base.MetadataLocation, w.now)
		})
		w.must(err)
		if rep := w.run(w.keeper(time.Hour), false); rep.Files != 0 || rep.Stopped == "" || len(w.files()) != 1 {
			t.Errorf("report: %+v", rep)
		}
	}
	f(nil, commitlib.PropWatermarks)
	f(map[string]string{"gc.enabled": "no"})
}

var _ maintain.Task = (*Keeper)(nil)
