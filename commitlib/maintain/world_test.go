package maintain

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

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// world is one table in one store under a hand-wound clock.
type world struct {
	testing.TB
	store  objstore.Store
	mem    *objstore.Mem // store, if it is in memory
	cat    twin.Backend
	id     catalog.Ident
	root   string // of the table, as a key, with a slash
	events map[uuid.UUID]commitlib.Seq

	mu  sync.Mutex // protects now, rng and n
	now time.Time
	rng *rand.Rand
	n   uint64
}

func newWorld(t testing.TB) *world { return newWorldOn(t, 0, 1) }

// newWorldOn makes the world on a twin of that mode, or on package objectstore for 0.
func newWorldOn(t testing.TB, mode twin.Mode, seed uint64) *world {
	t.Helper()
	mem := objstore.NewMem("mem://warehouse")
	w := &world{TB: t, store: mem, mem: mem}
	mem.SetClock(w.clock, w.sleep)
	w.open(mode, seed)
	return w
}

func (w *world) open(mode twin.Mode, seed uint64) {
	w.Helper()
	w.now, w.rng, w.events = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC), rand.New(rand.NewPCG(seed, 2)), map[uuid.UUID]commitlib.Seq{}
	w.id, w.root = catalog.Ident{Namespace: "default", Name: "clicks"}, "default/clicks/"
	if mode == 0 {
		w.cat = objectstore.New(w.store, objstoreConfig(w.clock))
	} else {
		service := twin.New(mode, w.store)
		service.SetClock(w.clock, w.sleep)
		w.cat = service
	}
	spec, err := iceberg.EventSpec([]string{"none"})
	w.must(err)
	_, err = w.cat.Create(context.Background(), w.id, catalog.Spec{
		Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: commitlib.NewTableProperties(),
	})
	w.must(err)
}

func objstoreConfig(clock func() time.Time) objectstore.Config {
	return objectstore.Config{Now: clock, Logger: slog.New(slog.DiscardHandler)}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

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

func (w *world) committer() *commitlib.Committer {
	return commitlib.New(w.cat, w.store, commitlib.Config{Clock: w.clock, Sleep: w.sleep, Rand: w.random, Parallel: 1})
}

func (w *world) sweeper() *Sweeper {
	return NewSweeper(w.cat, w.store, Config{Clock: w.clock})
}

func (w *world) log() (id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	binary.BigEndian.PutUint64(id[:8], uint64(w.now.UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], w.n)
	id[6], id[8] = 0x70, id[8]&0x3f|0x80
	return id
}

// stage writes the data file of a segment, as the shipper names it, and returns the request for its commit.
func (w *world) stage(log uuid.UUID, first, last commitlib.Seq) *commitlib.Request {
	w.Helper()
	t := w.load()
	spec := t.Metadata.DefaultSpec()
	key := fmt.Sprintf("%sdata/%s-%d-%d-0.parquet", w.root, log, first, last)
	if _, err := w.store.Head(context.Background(), key); errors.Is(err, objstore.ErrNotExist) {
		w.put(key)
	}
	return &commitlib.Request{
		Version: commitlib.Protocol, Table: w.id, TableUUID: t.Metadata.TableUUID, Location: t.Location, Log: log,
		First: first, Last: last, SchemaHash: commitlib.SchemaHash(t.Metadata.CurrentSchema()), SpecHash: commitlib.SpecHash(&spec),
		StagedAt: w.clock(),
		Files:    []iceberg.DataFile{{Path: objstore.Location(w.store, key), Partition: [][]byte{}, RecordCount: int64(last - first + 1), FileSizeInBytes: 4}},
	}
}

// append stages and commits n events of a log.
func (w *world) append(c *commitlib.Committer, log uuid.UUID, n commitlib.Seq) {
	w.Helper()
	first := w.events[log] + 1
	results, err := c.Commit(context.Background(), w.id, []*commitlib.Request{w.stage(log, first, first+n-1)})
	if err != nil || results[0].Outcome != commitlib.Applied {
		w.Fatalf("append: %v, %v", results, err)
	}
	w.events[log] += n
}

func (w *world) put(key string) {
	w.Helper()
	_, err := w.store.Put(context.Background(), key, []byte("PAR1"), objstore.Condition{})
	w.must(err)
}

func (w *world) load() *catalog.Table {
	w.Helper()
	t, err := w.cat.Load(context.Background(), w.id)
	w.must(err)
	return t
}

func (w *world) foreign() *twin.Foreign {
	return &twin.Foreign{Catalog: w.cat, Store: w.store, Now: w.clock, NewID: func() int64 { return int64(w.random()>>1) | 1 }}
}

// foreignFile writes a data file as another engine names it.
func (w *world) foreignFile() iceberg.DataFile {
	w.Helper()
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[8:], w.random())
	key := w.root + "data/00000-1-" + id.String() + "-00001.parquet"
	w.put(key)
	return iceberg.DataFile{Path: objstore.Location(w.store, key), Partition: [][]byte{}, RecordCount: 1, FileSizeInBytes: 4}
}

// change makes a foreign change to the table's metadata.
func (w *world) change(mutate func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error)) {
	w.Helper()
	base := w.load()
	_, err := w.cat.SwapMetadata(context.Background(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return mutate(m, base.MetadataLocation)
	})
	w.must(err)
}

// setRef makes a branch or a tag.
func (w *world) setRef(name, kind string, snapshot int64) {
	w.Helper()
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		c, err := m.WithProperties(nil, nil, prev, w.clock())
		if err != nil {
			return nil, err
		}
		refs := map[string]iceberg.Ref{name: {SnapshotID: snapshot, Type: kind}}
		for other, r := range m.Refs {
			if other != name {
				refs[other] = r
			}
		}
		c.Refs = refs
		return c, nil
	})
}

// expire keeps the newest snapshots of main and what refs name.
func (w *world) expire(keep int) {
	w.Helper()
	_, err := w.foreign().ExpireSnapshots(context.Background(), w.id, keep)
	w.must(err)
}

// sweep sweeps the whole folder, and ends the test on an error.
func (w *world) sweep() *Report {
	w.Helper()
	r, err := w.sweeper().Sweep(context.Background(), w.id, Options{Scope: Whole})
	w.must(err)
	return r
}

// fence moves main, so late that nothing written before can be named by an attempt any more.
func (w *world) fence() {
	w.Helper()
	w.pass(commitlib.MaxReuse + time.Minute)
	w.append(w.committer(), w.log(), 1)
}

// settle lets everything that may ever go be gone.
func (w *world) settle() {
	w.Helper()
	w.fence()
	w.sweep()
	w.pass(foreignGrace + time.Minute)
	w.sweep()
}

// whole fails the test unless the table has all that it needs.
func (w *world) whole() *Inventory {
	w.Helper()
	in, err := Check(context.Background(), w.store, w.load())
	w.must(err)
	for _, f := range slices.Concat(in.Missing, in.Damaged) {
		w.Error(f)
	}
	return in
}

func (w *world) keys(parts ...string) (keys []string) {
	w.Helper()
	err := w.store.List(context.Background(), w.root, func(o objstore.Info) error {
		for _, part := range parts {
			if !strings.Contains(o.Key, part) {
				return nil
			}
		}
		keys = append(keys, o.Key)
		return nil
	})
	w.must(err)
	return keys
}

func (w *world) has(key string) bool {
	w.Helper()
	_, err := w.store.Head(context.Background(), key)
	if err != nil && !errors.Is(err, objstore.ErrNotExist) {
		w.Fatal(err)
	}
	return err == nil
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// emptyList is the manifest list of a snapshot without files.
func emptyList(s *iceberg.Snapshot) ([]byte, error) {
	return manifest.WriteList(nil, s.ID, s.ParentID, s.SequenceNumber)
}
