package commitlib

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// world is one table in one store under a hand-wound clock, and the oracle that reads the table back.
type world struct {
	*testing.T
	store  *objstore.Mem
	cat    twin.Backend
	reopen func() catalog.Catalog // another client of the same catalog, which remembers nothing
	id     catalog.Ident
	table  *catalog.Table // as it was made

	mu  sync.Mutex // protects now, rng, logs
	now time.Time
	rng *rand.Rand
	n   uint64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, 0)
}

// newWorldOn makes the world on a twin of that mode; on package objectstore for 0.
func newWorldOn(t *testing.T, mode twin.Mode) *world {
	t.Helper()
	w := &world{
		T: t, store: objstore.NewMem("mem://warehouse"), id: catalog.Ident{Namespace: "default", Name: "clicks"},
		now: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC), rng: rand.New(rand.NewPCG(1, 2)),
	}
	w.store.SetClock(w.clock, w.sleep)
	if mode == 0 {
		open := func() *objectstore.Catalog {
			return objectstore.New(w.store, objectstore.Config{Now: w.clock, Logger: slog.New(slog.DiscardHandler)})
		}
		w.cat, w.reopen = open(), func() catalog.Catalog { return open() }
	} else {
		service := twin.New(mode, w.store)
		service.SetClock(w.clock, w.sleep)
		w.cat, w.reopen = service, func() catalog.Catalog { return service }
	}
	spec, err := iceberg.EventSpec(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.table, err = w.cat.Create(t.Context(), w.id, catalog.Spec{
		Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: NewTableProperties(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// sleep winds the clock.
func (w *world) sleep(ctx context.Context, d time.Duration) error {
	w.pass(d)
	return ctx.Err()
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) random() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Uint64()
}

// config is a committer's over the world's clock; its calls come in a fixed order.
func (w *world) config() Config {
	return Config{Clock: w.clock, Sleep: w.sleep, Rand: w.random, Parallel: 1}
}

func (w *world) committer() *Committer { return New(w.cat, w.store, w.config()) }

// log mints a log id, greater than all before.
func (w *world) log() (id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	binary.BigEndian.PutUint64(id[:8], uint64(w.now.UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], w.n)
	id[6], id[8] = 0x70, id[8]&0x3f|0x80
	return id
}

// request stages one file for [first, last], whose name is what the oracle reads, and asks for its commit.
func (w *world) request(log uuid.UUID, first, last Seq) *Request {
	spec := w.table.Metadata.DefaultSpec()
	r := &Request{
		Version: Protocol, Table: w.id, TableUUID: w.table.Metadata.TableUUID, Location: w.table.Location, Log: log,
		First: first, Last: last, SchemaHash: SchemaHash(w.table.Metadata.CurrentSchema()), SpecHash: SpecHash(&spec),
		StagedAt: w.clock(),
	}
	key := fmt.Sprintf("default/clicks/data/%s-%d-%d.parquet", log, first, last)
	if _, err := w.store.Head(context.Background(), key); errors.Is(err, objstore.ErrNotExist) {
		if _, err := w.store.Put(context.Background(), key, []byte("PAR1"), objstore.Condition{Absent: true}); err != nil {
			w.Fatal(err)
		}
	}
	r.Files = []iceberg.DataFile{{
		Path: objstore.Location(w.store, key), Partition: [][]byte{iceberg.EncodeInt(498_000)},
		RecordCount: int64(last - first + 1), FileSizeInBytes: 4,
		LowerBounds: map[int][]byte{iceberg.FieldSequence: iceberg.EncodeLong(int64(first))},
		UpperBounds: map[int][]byte{iceberg.FieldSequence: iceberg.EncodeLong(int64(last))},
	}}
	return r
}

// commit expects the outcomes, and no error unless one of them is Undecided.
func (w *world) commit(c *Committer, want []Outcome, reqs ...*Request) []Result {
	w.Helper()
	results, err := c.Commit(w.Context(), w.id, reqs)
	if len(results) != len(reqs) {
		w.Fatalf("commit: %d results for %d requests, err %v", len(results), len(reqs), err)
	}
	if (err != nil) != slices.Contains(want, Undecided) {
		w.Fatalf("commit: %v", err)
	}
	for i := range results {
		if results[i].Outcome != want[i] {
			w.Fatalf("request %d [%d, %d]: %s (%s), want %s", i, reqs[i].First, reqs[i].Last, results[i].Outcome, results[i].Reason, want[i])
		}
	}
	return results
}

// holds checks that the table has each event of each log up to its watermark once, in files that exist, and nothing
// else.
func (w *world) holds(want map[uuid.UUID]Seq) {
	w.Helper()
	w.store.SetFault(nil)
	if service, ok := w.cat.(*twin.Catalog); ok {
		service.SetFault(nil)
	}
	for _, wrong := range w.audit(want) {
		w.Error(wrong)
	}
}

// audit reads the table with nothing remembered and lists what is not as it should be.
func (w *world) audit(want map[uuid.UUID]Seq) (wrong []string) {
	w.Helper()
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	t, err := w.reopen().Load(context.Background(), w.id)
	w.must(err)
	counts := make(map[uuid.UUID]map[Seq]int)
	for _, path := range w.files(t) {
		key, _ := objstore.Key(w.store, path)
		if _, err := w.store.Head(context.Background(), key); err != nil {
			bad("the table names a file that is not there: %v", err)
		}
		name := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".parquet")
		var first, last Seq
		if _, err := fmt.Sscanf(name[37:], "%d-%d", &first, &last); err != nil {
			w.Fatalf("file %q: %v", path, err)
		}
		log := uuid.MustParse(name[:36])
		if counts[log] == nil {
			counts[log] = make(map[Seq]int)
		}
		for s := first; s <= last; s++ {
			counts[log][s]++
		}
	}
	for log, upTo := range want {
		if got, err := ReadWatermark(context.Background(), w.store, t, log); err != nil || got != upTo {
			bad("log %s: watermark %d (%v), want %d", log, got, err, upTo)
		}
		for s := Seq(1); s <= upTo; s++ {
			if n := counts[log][s]; n != 1 {
				bad("log %s: event %d is in the table %d times", log, s, n)
			}
			delete(counts[log], s)
		}
	}
	for log, extra := range counts {
		if len(extra) > 0 {
			bad("log %s: %d events beyond the watermark are in the table", log, len(extra))
		}
	}
	return wrong
}

// files lists the data files of main's head, read from its manifests.
func (w *world) files(t *catalog.Table) (paths []string) {
	w.Helper()
	head := t.Metadata.CurrentSnapshot()
	if head == nil {
		return nil
	}
	list, err := manifest.ReadList(w.object(head.ManifestList))
	if err != nil {
		w.Fatal(err)
	}
	for _, l := range list {
		_, entries, err := manifest.Read(w.object(l.Path))
		if err != nil {
			w.Fatal(err)
		}
		if err := l.Inherit(entries); err != nil {
			w.Fatal(err)
		}
		for _, e := range entries {
			if e.Status != manifest.Deleted {
				paths = append(paths, e.File.Path)
			}
		}
	}
	return paths
}

func (w *world) object(location string) []byte {
	w.Helper()
	key, ok := objstore.Key(w.store, location)
	if !ok {
		w.Fatalf("location %q lies outside the store", location)
	}
	data, _, err := w.store.Get(context.Background(), key)
	if err != nil {
		w.Fatal(err)
	}
	return data
}

// load reads the table with nothing remembered.
func (w *world) load() *catalog.Table {
	w.Helper()
	t, err := w.cat.Load(context.Background(), w.id)
	w.must(err)
	return t
}

// change makes a foreign change to the table's metadata.
func (w *world) change(mutate func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error)) {
	w.Helper()
	base := w.load()
	_, err := w.cat.SwapMetadata(context.Background(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return mutate(m, base.MetadataLocation)
	})
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) foreign() *twin.Foreign {
	return &twin.Foreign{Catalog: w.cat, Store: w.store, Now: w.clock, NewID: func() int64 { return int64(w.random() >> 1) }}
}

// foreignAppend adds a snapshot as another engine does.
func (w *world) foreignAppend() {
	w.Helper()
	_, err := w.foreign().Append(context.Background(), w.id)
	w.must(err)
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// setProperties sets properties without a snapshot, as ALTER TABLE does.
func (w *world) setProperties(set map[string]string, remove ...string) {
	w.Helper()
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		return m.WithProperties(set, remove, prev, w.clock())
	})
}

var (
	applied   = []Outcome{Applied}
	skipped   = []Outcome{Skipped}
	dropped   = []Outcome{Dropped}
	rejected  = []Outcome{Rejected}
	undecided = []Outcome{Undecided}
)
