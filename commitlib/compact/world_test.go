package compact

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/live"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// world is a table of one log's events with real data files, in one store under a hand-wound clock.
type world struct {
	testing.TB
	store  *objstore.Mem
	cat    *objectstore.Catalog
	id     catalog.Ident
	table  *catalog.Table
	schema *iceberg.Schema
	log    uuid.UUID

	encoder *datafile.Encoder
	next    commitlib.Seq

	mu  sync.Mutex // protects now, rng
	now time.Time
	rng *rand.Rand
}

// begun is the first event's hour.
var begun = time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC)

func newWorld(t testing.TB, partitionBy ...string) *world {
	t.Helper()
	w := &world{
		TB: t, store: objstore.NewMem("mem://warehouse"), id: catalog.Ident{Namespace: "default", Name: "clicks"},
		schema: iceberg.EventSchema(iceberg.String), next: 1, now: begun, rng: rand.New(rand.NewPCG(1, 2)),
	}
	w.store.SetClock(w.clock, func(ctx context.Context, d time.Duration) error { w.pass(d); return ctx.Err() })
	w.cat = objectstore.New(w.store, objectstore.Config{Now: w.clock, Logger: slog.New(slog.DiscardHandler)})
	w.encoder = encoders.Get().(*datafile.Encoder)
	t.Cleanup(func() { encoders.Put(w.encoder) })
	spec, err := iceberg.EventSpec(partitionBy)
	w.must(err)
	w.table, err = w.cat.Create(context.Background(), w.id, catalog.Spec{Schema: w.schema, Partition: spec, Properties: commitlib.NewTableProperties()})
	w.must(err)
	binary.BigEndian.PutUint64(w.log[:8], uint64(w.now.UnixMilli())<<16)
	w.log[6], w.log[8] = 0x70, 0x80
	return w
}

// encoders are kept between worlds: making one costs more than what most tests encode.
var encoders = sync.Pool{New: func() any {
	e, err := datafile.NewEncoder(iceberg.EventSchema(iceberg.String), datafile.Default())
	if err != nil {
		panic(err)
	}
	return e
}}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
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

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) committer() *commitlib.Committer {
	sleep := func(ctx context.Context, d time.Duration) error { w.pass(d); return ctx.Err() }
	return commitlib.New(w.cat, w.store, commitlib.Config{Clock: w.clock, Sleep: sleep, Rand: w.random, Parallel: 1})
}

// compactor is one over the world's clock; change edits its configuration.
func (w *world) compactor(change func(*Config)) *Compactor {
	w.Helper()
	cfg := Default()
	cfg.Clock, cfg.Rand, cfg.MemoryBytes = w.clock, w.random, 32<<20
	if change != nil {
		change(&cfg)
	}
	c, err := New(Deps{w.cat, w.store, w.committer()}, cfg)
	w.must(err)
	c.encoder, c.encodes = encoders.Get().(*datafile.Encoder), w.schema
	w.Cleanup(func() { encoders.Put(c.encoder) })
	return c
}

// event is one row's own columns.
type event struct {
	at      int64 // event time, in microseconds
	key     string
	payload []byte
}

// events makes n events from second from on, out of order within a minute.
func (w *world) events(n, from int) []event {
	all := make([]event, n)
	for i := range all {
		r := w.random()
		all[i] = event{
			at:      begun.Add(time.Duration(from)*time.Second + time.Duration(r%60_000_000)*time.Microsecond).UnixMicro(),
			payload: fmt.Appendf(nil, `{"user":%d,"page":"/p/%d"}`, r%1000, r%17),
		}
		if r%3 == 0 {
			all[i].key = fmt.Sprint("k", r)
		}
	}
	return all
}

// request stages a segment of the events, one file for each partition.
func (w *world) request(events []event) *commitlib.Request {
	w.Helper()
	b, err := column.New(w.schema)
	w.must(err)
	first := w.next
	for _, e := range events {
		w.must(b.Col(iceberg.FieldLog).AppendBytes([]byte(w.log.String())))
		b.Col(iceberg.FieldSequence).AppendInt64(int64(w.next))
		b.Col(iceberg.FieldPartition).AppendInt32(int32(w.next % 3))
		b.Col(iceberg.FieldEventTime).AppendInt64(e.at)
		b.Col(iceberg.FieldIngestTime).AppendInt64(w.clock().UnixMicro())
		if e.key == "" {
			b.Col(iceberg.FieldIdempotencyKey).AppendNull()
		} else {
			w.must(b.Col(iceberg.FieldIdempotencyKey).AppendBytes([]byte(e.key)))
		}
		w.must(b.Col(iceberg.FieldPayload).AppendBytes(e.payload))
		b.Len++
		w.next++
	}
	spec := w.table.Metadata.DefaultSpec()
	r := &commitlib.Request{
		Version: commitlib.Protocol, Table: w.id, TableUUID: w.table.Metadata.TableUUID, Location: w.table.Location, Log: w.log,
		First: first, Last: w.next - 1, SchemaHash: commitlib.SchemaHash(w.schema), SpecHash: commitlib.SpecHash(&spec), StagedAt: w.clock(),
	}
	groups, err := datafile.Split(b, spec)
	w.must(err)
	for k, g := range groups {
		var body bytes.Buffer
		f, err := w.encoder.Encode(&body, b, g.Rows)
		w.must(err)
		f.Partition = g.Partition
		key := path.Join("default/clicks/data", iceberg.PartitionPath(spec, w.schema, g.Partition), fmt.Sprintf("%s-%d-%d-%d.parquet", w.log, first, w.next-1, k))
		_, err = w.store.Put(context.Background(), key, body.Bytes(), objstore.Condition{Absent: true})
		w.must(err)
		f.Path = objstore.Location(w.store, key)
		r.Files = append(r.Files, f)
	}
	return r
}

func (w *world) commit(c *commitlib.Committer, reqs ...*commitlib.Request) {
	w.Helper()
	results, err := c.Commit(context.Background(), w.id, reqs)
	w.must(err)
	for _, r := range results {
		if r.Outcome != commitlib.Applied {
			w.Fatalf("commit: %+v", r)
		}
	}
}

// fill commits n segments of size events each, one a minute.
func (w *world) fill(n, size int) {
	w.Helper()
	c := w.committer()
	for i := range n {
		w.commit(c, w.request(w.events(size, 60*i)))
		w.pass(10 * time.Second)
	}
}

func (w *world) load() *catalog.Table {
	w.Helper()
	t, err := w.cat.Load(context.Background(), w.id)
	w.must(err)
	return t
}

// live lists the live data files of a state, by path.
func (w *world) live(t *catalog.Table) (files []*live.File) {
	w.Helper()
	list, err := live.List(context.Background(), w.store, t)
	w.must(err)
	data := slices.DeleteFunc(list, func(l manifest.ListEntry) bool { return l.Content != manifest.Data })
	w.must(live.Each(context.Background(), w.store, data, nil, func(f *live.File) error {
		files = append(files, f)
		return nil
	}))
	return files
}

// read decodes a live file.
func (w *world) read(f *live.File) *column.Batch {
	w.Helper()
	key, _ := objstore.Key(w.store, f.Path)
	body, _, err := w.store.Get(context.Background(), key)
	w.must(err)
	b, err := datafile.Read(bytes.NewReader(body), int64(len(body)), w.schema)
	w.must(err)
	if int64(b.Len) != f.RecordCount || int64(len(body)) != f.FileSizeInBytes {
		w.Fatalf("%s: %d rows in %d bytes, its manifest says %d in %d", f.Path, b.Len, len(body), f.RecordCount, f.FileSizeInBytes)
	}
	return b
}

// rows lists the table's rows, sorted, as texts.
func (w *world) rows(t *catalog.Table) (all []string) {
	w.Helper()
	for _, f := range w.live(t) {
		b := w.read(f)
		for i := range b.Len {
			key := "null"
			if v := b.Col(iceberg.FieldIdempotencyKey); !v.Null(i) {
				key = string(v.Bytes(i))
			}
			all = append(all, fmt.Sprintf("%s %d %d %d %d %s %s", b.Col(iceberg.FieldLog).Bytes(i), b.Col(iceberg.FieldSequence).Int64(i),
				b.Col(iceberg.FieldPartition).Int32(i), b.Col(iceberg.FieldEventTime).Int64(i), b.Col(iceberg.FieldIngestTime).Int64(i), key,
				b.Col(iceberg.FieldPayload).Bytes(i)))
		}
	}
	slices.Sort(all)
	return all
}

// run compacts to target and expects the table's rows to stay.
func (w *world) run(c *Compactor, target int64) *Report {
	w.Helper()
	before := w.rows(w.load())
	rep, err := c.Table(context.Background(), w.id, target, false)
	w.must(err)
	if after := w.rows(w.load()); !slices.Equal(before, after) {
		w.Fatalf("the table had %d rows and has %d, or others", len(before), len(after))
	}
	return rep
}
