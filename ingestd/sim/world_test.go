package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/objstore"
	"firn/ingestd/ship"
)

// quiet is the logger of all parts: a trace has the steps of a run, the parts' own logs would drown it.
var quiet = slog.New(slog.DiscardHandler)

// world is one run: one store, one catalog, a queue, and the processes around them. All of it lives in one synctest
// bubble, and one goroutine of it runs at a time, which is why nothing here is locked: the baton is there for the race
// detector, which does not take waiting for another instant for an order.
type world struct {
	baton sync.Mutex
	profile
	seed  uint64
	plan  *rand.Rand // what the conductor and the adversaries choose
	fate  *rand.Rand // what becomes of calls and messages
	trace io.Writer  // nil: none
	began time.Time

	store   *objstore.Mem
	service *twin.Catalog     // nil on the object-store catalog
	calm    bool              // calls succeed at once: an adversary or the oracle acts in one instant
	over    bool              // the faults are over
	outage  time.Time         // until when the store answers nothing
	dark    time.Time         // until when the queue loses every message
	saved   map[string][]byte // data files that orphan removal took, for the oracle

	queue      *queue
	committers []*committer
	nodes      []*node
	tables     []*table
	backups    []backup

	seen    map[string]int   // steps by their format, and stops: what a run covered
	events  map[string]*sent // by payload
	labels  map[uuid.UUID]string
	parsed  map[string][]fileRef // by manifest
	wrong   []string
	verdict verdict
}

// run plays one seed. What went wrong is in the world's wrong.
func run(t *testing.T, seed uint64, trace io.Writer) *world {
	t.Helper()
	var w *world
	synctest.Test(t, func(*testing.T) {
		w = newWorld(seed, trace)
		w.play()
	})
	// Data files are decoded out here: their reader keeps decompressors from use to use, which hold channels,
	// and a channel belongs to its bubble.
	w.judge()
	return w
}

func newWorld(seed uint64, trace io.Writer) *world {
	w := &world{
		seed: seed, trace: trace, began: time.Now(),
		plan: rand.New(&source{PCG: rand.NewPCG(seed, 1)}), fate: rand.New(&source{PCG: rand.NewPCG(seed, 2)}),
		store: objstore.NewMem("mem://warehouse"),
		seen:  map[string]int{}, events: map[string]*sent{}, labels: map[uuid.UUID]string{}, parsed: map[string][]fileRef{}, saved: map[string][]byte{},
	}
	w.profile = newProfile(w.plan)
	w.keepSnapshots, w.mergeAt = 3<<(seed%5), 2+int(seed%4)
	w.store.SetFault(w.storeFault)
	if w.catalog != onObjects {
		w.service = twin.New(map[catalogKind]twin.Mode{onGlue: twin.Glue, onREST: twin.REST}[w.catalog], w.store)
		w.service.SetFault(w.serviceFault)
	}
	w.queue = &queue{w: w, flying: map[*delivery]int{}, lost: map[string]time.Time{}, ready: make(chan struct{}, 1<<16)}
	for i := range w.tableCount {
		w.tables = append(w.tables, &table{
			id:      catalog.Ident{Namespace: "default", Name: fmt.Sprintf("t%d", i)},
			removed: map[string]bool{}, causes: map[ship.Reason]bool{},
		})
	}
	w.step("%+v", w.profile)
	return w
}

// play is the run: the conductor's steps, then peace, then the last look.
func (w *world) play() {
	for i := range 2 {
		w.committers = append(w.committers, newCommitter(w, i))
	}
	for range w.nodeCount {
		w.addNode(&directory{name: fmt.Sprintf("d%d", len(w.nodes))})
	}
	for range w.steps {
		w.wait(w.gap())
		w.act()
	}
	w.settle()
	w.look()
	for _, n := range w.nodes {
		n.stop()
	}
	for _, c := range w.committers {
		c.stop()
	}
	w.queue.closed = true
	time.Sleep(w.queue.longest()) // what is still on its way belongs to this bubble
}

// source is a generator that several goroutines use, in turn.
type source struct {
	mu sync.Mutex
	*rand.PCG
}

// Uint64 is for math/rand/v2.
func (s *source) Uint64() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.PCG.Uint64()
}

// turn is for a function that uses what goroutines share: it runs after all that did so before.
func (w *world) turn() (done func()) {
	pass := func() {
		w.baton.Lock()
		defer w.baton.Unlock()
	}
	pass()
	return pass
}

// wait lets d pass, and returns when everybody else is waiting again.
func (w *world) wait(d time.Duration) {
	defer w.turn()()
	time.Sleep(d)
	synctest.Wait()
}

// step writes a line of the trace.
func (w *world) step(format string, args ...any) {
	defer w.turn()()
	w.seen[format]++
	if w.trace != nil {
		fmt.Fprintf(w.trace, "%14s  %s\n", time.Since(w.began), fmt.Sprintf(format, args...))
	}
}

// count notes that something happened n times, without a line of the trace.
func (w *world) count(what string, n uint64) {
	defer w.turn()()
	w.seen[what] += int(n)
}

// bad notes a violation.
func (w *world) bad(format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	w.step("WRONG: %s", msg)
	if len(w.wrong) < 8 { // one cause has many effects
		w.wrong = append(w.wrong, msg)
	}
}

// label names a log or a table in traces by the order of appearance: ids differ from run to run.
func (w *world) label(kind string, id uuid.UUID) string {
	defer w.turn()()
	l, ok := w.labels[id]
	if !ok {
		l = fmt.Sprintf("%s%d", kind, len(w.labels))
		w.labels[id] = l
	}
	return l
}

// inCalm runs fn in an instant without faults.
func (w *world) inCalm(fn func()) {
	defer w.turn()()
	was := w.calm
	w.calm = true
	fn()
	w.calm = was
}

// backend is a client of the catalog that remembers nothing, over store.
func (w *world) backend(store objstore.Store) twin.Backend {
	if w.service != nil {
		return w.service
	}
	return objectstore.New(store, objectstore.Config{Logger: quiet, Retention: metadataRetention, NewUUID: w.newUUID})
}

func (w *world) newUUID() (id uuid.UUID, err error) {
	defer w.turn()()
	for i := range id {
		id[i] = byte(w.fate.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id, nil
}

// peek loads a table's newest state and changes nothing, the hint included; nil where there is no table.
func (w *world) peek(t *table) (ct *catalog.Table) {
	w.inCalm(func() {
		var err error
		if ct, err = w.backend(readOnly{w.store}).Load(context.Background(), t.id); err != nil {
			ct = nil
		}
	})
	return ct
}
