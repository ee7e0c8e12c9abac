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
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// world is one table in one store under a hand-wound clock, and the oracle that reads the table back.
type world struct {
	*testing.T
	store *objstore.Mem
	cat   *objectstore.Catalog
	id    catalog.Ident
	table *catalog.Table // as it was made

	mu  sync.Mutex // protects now, rng, logs
	now time.Time
	rng *rand.Rand
	n   uint64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		T: t, store: objstore.NewMem("mem://warehouse"), id: catalog.Ident{Namespace: "default", Name: "clicks"},
		now: time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC), rng: rand.New(rand.NewPCG(1, 2)),
	}
	w.store.SetClock(w.clock, w.sleep)
	w.cat = objectstore.New(w.store, objectstore.Config{Now: w.clock, Logger: slog.New(slog.DiscardHandler)})
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

// holds checks that the table has each event of each log up to its watermark once, in files that exist, and nothing else.
func (w *world) holds(want map[uuid.UUID]Seq) {
	w.Helper()
	w.store.SetFault(nil)
	t, err := objectstore.New(w.store, objectstore.Config{Now: w.clock, Logger: slog.New(slog.DiscardHandler)}).Load(context.Background(), w.id)
	if err != nil {
		w.Fatal(err)
	}
	w.tableHolds(t, want)
}

func (w *world) tableHolds(t *catalog.Table, want map[uuid.UUID]Seq) {
	w.Helper()
	counts := make(map[uuid.UUID]map[Seq]int)
	for _, path := range w.files(t) {
		key, _ := objstore.Key(w.store, path)
		if _, err := w.store.Head(context.Background(), key); err != nil {
			w.Errorf("the table names a file that is not there: %v", err)
		}
		name := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".parquet")
		if strings.HasPrefix(name, "foreign") {
			continue
		}
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
		got, err := ReadWatermark(context.Background(), w.store, t, log)
		if err != nil || got != upTo {
			w.Errorf("log %s: watermark %d (%v), want %d", log, got, err, upTo)
		}
		for s := Seq(1); s <= upTo; s++ {
			if n := counts[log][s]; n != 1 {
				w.Errorf("log %s: event %d is in the table %d times", log, s, n)
			}
			delete(counts[log], s)
		}
	}
	for log, extra := range counts {
		if len(extra) > 0 {
			w.Errorf("log %s: %d events beyond the watermark are in the table", log, len(extra))
		}
	}
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
	if err != nil {
		w.Fatal(err)
	}
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

// foreignAppend adds a snapshot as another engine does: it carries the parent's manifests and knows no watermarks.
func (w *world) foreignAppend() int64 {
	w.Helper()
	var id int64
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		id = int64(w.random() >> 1)
		var entries []manifest.ListEntry
		if head := m.CurrentSnapshot(); head != nil {
			var err error
			if entries, err = manifest.ReadList(w.object(head.ManifestList)); err != nil {
				return nil, err
			}
		}
		list, err := manifest.WriteList(entries, id, m.CurrentSnapshotID, m.LastSequenceNumber+1)
		if err != nil {
			return nil, err
		}
		key := fmt.Sprintf("default/clicks/metadata/snap-%d.avro", id)
		if _, err := w.store.Put(context.Background(), key, list, objstore.Condition{Absent: true}); err != nil {
			return nil, err
		}
		return m.WithSnapshot(&iceberg.Snapshot{
			ID: id, ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1, SchemaID: m.CurrentSchemaID,
			ManifestList: objstore.Location(w.store, key), Summary: map[string]string{"operation": iceberg.OpAppend},
		}, nil, prev, w.clock())
	})
	return id
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
