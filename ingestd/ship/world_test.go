package ship

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
	"firn/ingestd/commitq"
	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/kv"
	"firn/ingestd/registry"
)

var quiet = slog.New(slog.DiscardHandler)

// place identifies an acked event: where the log put it.
type place struct {
	log uuid.UUID
	seq eventlog.Seq
}

// acked is what the producer knows of an event.
type acked struct {
	payload   string
	partition int32
	micros    int64
}

// world is one store, one catalog and any number of daemons (nodes) that ship to it, in a synctest bubble.
type world struct {
	*testing.T
	store *objstore.Mem
	cat   *objectstore.Catalog
	reg   registry.Config
	cfg   Config
	qcfg  commitq.Config
	ccfg  commitlib.Config

	mu    sync.Mutex
	acks  map[string]map[place]acked // by table
	tried map[string]bool            // payloads, acked or not
	n     int
	later []func() // what is checked when the bubble is gone
}

// bubble runs fn in a bubble, and then what it left to check. Data files are decoded outside: their reader keeps
// decompressors from use to use, which hold channels, and a channel belongs to its bubble.
func bubble(t *testing.T, fn func(w *world)) {
	t.Helper()
	var w *world
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t)
		fn(w)
	})
	w.T = t
	for _, check := range w.later {
		if !t.Failed() {
			check()
		}
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store := objstore.NewMem("mem://warehouse")
	w := &world{T: t, store: store, cat: objectstore.New(store, objectstore.Config{Logger: quiet}),
		reg: registry.DefaultConfig(), cfg: DefaultConfig(), qcfg: commitq.DefaultConfig(), ccfg: commitlib.Config{Log: quiet},
		acks: map[string]map[place]acked{}, tried: map[string]bool{}}
	w.reg.Logger, w.cfg.Logger = quiet, quiet
	w.cfg.Seed, w.qcfg.Seed = 1, 1
	return w
}

func (w *world) foreign() *twin.Foreign {
	rng := rand.New(rand.NewPCG(9, 9))
	return &twin.Foreign{Catalog: w.cat, Store: w.store, Now: time.Now, NewID: func() int64 { return rng.Int64N(1 << 60) }}
}

// node is one run of a daemon on a directory.
type node struct {
	*world
	kv      *kv.Mem
	log     *eventlog.Log
	reg     *registry.Registry
	inner   *commitq.InProcess
	queue   *network
	shipper *Shipper
	ran     chan error
	stop    context.CancelFunc
}

// network is the queue as a node sees it: it may lose, double and delay.
type network struct {
	inner commitq.Queue

	mu    sync.Mutex
	fate  func(n int) (copies []time.Duration, err error) // of the nth message; nil: delivered at once
	sent  int
	group map[string]int
}

func (q *network) Send(ctx context.Context, msgs []commitq.Message) error {
	for _, m := range msgs {
		q.mu.Lock()
		q.sent++
		q.group[m.Group]++
		copies := []time.Duration{0}
		var err error
		if q.fate != nil {
			copies, err = q.fate(q.sent)
		}
		q.mu.Unlock()
		for _, delay := range copies {
			if delay == 0 {
				if err := q.inner.Send(ctx, []commitq.Message{m}); err != nil {
					return err
				}
				continue
			}
			time.AfterFunc(delay, func() { _ = q.inner.Send(context.Background(), []commitq.Message{m}) }) // late, or never
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (q *network) count() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sent
}

// during sets the network's behaviour.
func (q *network) during(fate func(n int) ([]time.Duration, error)) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.fate = fate
}

func lose(int) ([]time.Duration, error) { return nil, nil }

// open starts a daemon on a directory, without running its shipper; an error is the injected fault's.
func (w *world) open(dir *kv.Mem) (*node, error) {
	cfg := eventlog.Default()
	cfg.Schema = event.Schema
	log, err := eventlog.Open(dir, cfg)
	if err != nil {
		return nil, err
	}
	reg, err := registry.Open(w.cat, log, w.reg)
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	n := &node{world: w, kv: dir, log: log, reg: reg}
	committer := commitlib.New(w.cat, w.store, w.ccfg)
	qcfg := w.qcfg
	qcfg.Done = func(group string) { n.shipper.Notify(group) }
	if n.inner, err = commitq.NewInProcess(committer.Handle, qcfg); err != nil {
		w.Fatal(err)
	}
	n.queue = &network{inner: n.inner, group: map[string]int{}}
	if n.shipper, err = New(Deps{Log: log, Registry: reg, Catalog: w.cat, Store: w.store, Queue: n.queue}, w.cfg); err != nil {
		w.Fatal(err)
	}
	return n, nil
}

// start opens a daemon and runs it.
func (w *world) start(dir *kv.Mem) *node {
	w.Helper()
	n, err := w.open(dir)
	if err != nil {
		w.Fatal(err)
	}
	n.run()
	return n
}

func (n *node) run() {
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	n.ran = make(chan error, 1)
	go func() { n.ran <- n.shipper.Run(ctx) }()
}

// close ends the daemon; what it has not committed stays in its log.
func (n *node) close() {
	if n.stop != nil {
		n.stop()
		<-n.ran
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	_ = n.inner.Close(gone)
	_ = n.log.Close()
}

// crash pulls the plug: what was not synced is lost, in part.
func (n *node) crash(rng *rand.Rand) *kv.Mem {
	dir := n.kv.Crash(rng)
	n.close()
	return dir
}

// event is one that a producer sends.
type ev struct {
	partition int32
	at        time.Time
	payload   string // empty: a unique one
}

// append sends a batch to a table and notes what was acked.
func (n *node) append(table string, events ...ev) error {
	n.Helper()
	t, err := n.reg.Ensure(context.Background(), table)
	if err != nil {
		return err
	}
	b, err := column.New(event.Schema)
	if err != nil {
		n.Fatal(err)
	}
	n.mu.Lock()
	for i := range events {
		if events[i].payload == "" {
			n.world.n++
			events[i].payload = fmt.Sprintf("%s/%d", table, n.world.n)
		}
		n.tried[events[i].payload] = true
	}
	n.mu.Unlock()
	for _, e := range events {
		b.Col(iceberg.FieldPartition).AppendInt32(e.partition)
		b.Col(iceberg.FieldEventTime).AppendInt64(e.at.UnixMicro())
		b.Col(iceberg.FieldIdempotencyKey).AppendNull()
		if err := b.Col(iceberg.FieldPayload).AppendBytes([]byte(e.payload)); err != nil {
			n.Fatal(err)
		}
		b.Len++
	}
	got, err := n.log.Append(context.Background(), eventlog.Append{Table: eventlog.Table{Name: table, UUID: t.UUID}, Batch: b, ReceivedAt: time.Now()})
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.acks[table] == nil {
		n.acks[table] = map[place]acked{}
	}
	for i, e := range events {
		p := place{got.Log, got.First + eventlog.Seq(i)}
		if _, twice := n.acks[table][p]; twice {
			n.Fatalf("sequence %d of log %s was given twice", p.seq, p.log)
		}
		n.acks[table][p] = acked{e.payload, e.partition, e.at.UnixMicro()}
	}
	return nil
}

func (n *node) mustAppend(table string, events ...ev) {
	n.Helper()
	if err := n.append(table, events...); err != nil {
		n.Fatal(err)
	}
}

func some(count int) []ev {
	events := make([]ev, count)
	for i := range events {
		events[i] = ev{partition: int32(i % 3), at: time.Now()}
	}
	return events
}

// within waits for a condition, in the bubble's time.
func (w *world) within(d time.Duration, what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("not within %s: %s", d, what)
		}
	}
}

// commitNow asks for a commit of what a table holds, and waits for it.
func (n *node) commitNow(ctx context.Context, table string) (snapshotID int64, err error) {
	tg, err := n.shipper.Demand(table)
	if err != nil {
		return 0, err
	}
	return n.shipper.Await(ctx, tg)
}

// drained reports whether nothing is uncommitted.
func (n *node) drained() bool {
	for _, info := range n.log.Tracks() {
		if info.High > info.Committed {
			return false
		}
	}
	return true
}

func (n *node) mustDrain(d time.Duration) {
	n.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := n.shipper.Drain(ctx); err != nil {
		n.Fatal(err)
	}
}

// row is an event as the table has it.
type row struct {
	acked
	place
	ingest int64
}

// content is a table as a reader found it: the bytes of its data files.
type content struct {
	schema *iceberg.Schema
	files  [][]byte
	count  int64
}

// read reads a table as any reader does: from the current snapshot down.
func (w *world) read(table string) (c content) {
	w.Helper()
	ctx := context.Background()
	ct, err := w.cat.Load(ctx, catalog.Ident{Namespace: "default", Name: table})
	if errors.Is(err, catalog.ErrNoTable) {
		return c
	}
	if err != nil {
		w.Fatal(err)
	}
	c.schema = ct.Metadata.CurrentSchema()
	snap := ct.Metadata.CurrentSnapshot()
	if snap == nil {
		return c
	}
	get := func(location string) []byte {
		key, _ := objstore.Key(w.store, location)
		data, _, err := w.store.Get(ctx, key)
		if err != nil {
			w.Fatal(err)
		}
		return data
	}
	list, err := manifest.ReadList(get(snap.ManifestList))
	if err != nil {
		w.Fatal(err)
	}
	for _, m := range list {
		_, entries, err := manifest.Read(get(m.Path))
		if err != nil {
			w.Fatal(err)
		}
		for _, e := range entries {
			data := get(e.File.Path)
			if int64(len(data)) != e.File.FileSizeInBytes {
				w.Fatalf("%s has %d bytes, the manifest says %d", e.File.Path, len(data), e.File.FileSizeInBytes)
			}
			c.files = append(c.files, data)
			c.count += e.File.RecordCount
		}
	}
	return c
}

// rows decodes a table's content.
func (w *world) rows(c content) (all []row) {
	for _, data := range c.files {
		b, err := datafile.Read(bytes.NewReader(data), int64(len(data)), c.schema)
		if err != nil {
			w.Fatal(err)
		}
		for i := range b.Len {
			all = append(all, row{
				place:  place{uuid.MustParse(string(b.Col(iceberg.FieldLog).Bytes(i))), eventlog.Seq(b.Col(iceberg.FieldSequence).Int64(i))},
				ingest: b.Col(iceberg.FieldIngestTime).Int64(i),
				acked: acked{string(b.Col(iceberg.FieldPayload).Bytes(i)), b.Col(iceberg.FieldPartition).Int32(i),
					b.Col(iceberg.FieldEventTime).Int64(i)},
			})
		}
	}
	return all
}

// check compares a table, as it is now, with what was acked: each acked event once, as it was sent, at its place;
// others at most once. The comparison is made when the bubble is gone.
func (w *world) check(table string) {
	w.Helper()
	c := w.read(table)
	w.mu.Lock()
	want, now := maps.Clone(w.acks[table]), time.Now()
	w.mu.Unlock()
	w.later = append(w.later, func() {
		w.Helper()
		seen := map[string]bool{}
		for _, r := range w.rows(c) {
			if seen[r.payload] {
				w.Errorf("event %s is in the table twice", r.payload)
			}
			seen[r.payload] = true
			if !w.tried[r.payload] {
				w.Errorf("event %s was never sent", r.payload)
			}
			if at := time.UnixMicro(r.ingest); at.After(now) || now.Sub(at) > 48*time.Hour {
				w.Errorf("event %s has the ingest time %s", r.payload, at)
			}
			if a, ok := want[r.place]; ok {
				if a != r.acked {
					w.Errorf("event at %v: the table has %+v, sent was %+v", r.place, r.acked, a)
				}
				delete(want, r.place)
			}
		}
		for p, a := range want {
			w.Errorf("acked event %s at %d of log %s is not in the table (%d are missing)", a.payload, p.seq, p.log, len(want))
			break
		}
	})
}

// dataFiles lists the names of the data files in the store.
func (w *world) dataFiles(table string) []string {
	var names []string
	_ = w.store.List(context.Background(), "default/"+table+"/data/", func(i objstore.Info) error {
		names = append(names, i.Key)
		return nil
	})
	return names
}

// stopOf returns the stop of a table's only stopped track.
func (n *node) stopOf(table string) *Stop {
	st := n.shipper.Status(table)
	if stops := st.Stopped(); len(stops) > 0 {
		return stops[0]
	}
	return nil
}

func (n *node) waitStopped(table string, want Reason) *Stop {
	n.Helper()
	n.within(10*time.Minute, "table "+table+" stops: "+string(want), func() bool {
		s := n.stopOf(table)
		return s != nil && s.Reason == want
	})
	s := n.stopOf(table)
	if len(s.Choices) == 0 || slices.ContainsFunc(s.Choices, func(c string) bool { return strings.HasPrefix(c, ";") || c == "" }) {
		n.Errorf("stop %s names no choices: %q", s.Reason, s.Choices)
	}
	return s
}

// exactly is the change to these settings, whatever they were.
func exactly(want registry.Settings) registry.Change {
	return func(s *registry.Settings) error { *s = want; return nil }
}
