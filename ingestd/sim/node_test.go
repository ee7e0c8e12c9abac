package sim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing/synctest"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/ingestd/commitq"
	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/kv"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// directory is one data directory: what the disk holds, and what the oracle knows of it.
type directory struct {
	name  string
	mem   *kv.Mem
	holds []*sent
	older bool // it was restored from an older copy, or is a copy: the table may count more than it holds
	retry *keyed
}

// backup is a copy of a directory that is not in use.
type backup struct {
	of    *directory
	mem   *kv.Mem
	holds []*sent
}

// node is a machine with a directory. While it is up, one daemon runs on it.
type node struct {
	w   *world
	dir *directory
	*daemon
}

// daemon is one run of ingestd, without HTTP.
type daemon struct {
	*process
	log  *eventlog.Log
	reg  *registry.Registry
	ship *ship.Shipper
	own  *commitq.InProcess // nil: there are committers elsewhere
	poke chan struct{}
	done chan struct{}
	dead bool // it ended by itself: the log is broken
}

func (w *world) addNode(d *directory) *node {
	n := &node{w: w, dir: d}
	if d.mem == nil {
		d.mem = kv.NewMem()
	}
	w.nodes = append(w.nodes, n)
	n.start()
	return n
}

// start runs a daemon on the directory.
func (n *node) start() {
	w := n.w
	d := &daemon{process: newProcess(w), poke: make(chan struct{}, 1), done: make(chan struct{})}
	faults := rand.New(rand.NewPCG(w.fate.Uint64(), 4))
	n.dir.mem.Fault = func(int) kv.Fault {
		defer w.turn()()
		if w.calm || w.over || faults.Float64() >= w.kvFaults {
			return kv.None
		}
		f := []kv.Fault{kv.Lost, kv.Unsure, kv.Full, kv.Full}[faults.IntN(4)]
		w.step("%s: fault %d of the directory's store", n.dir.name, f)
		return f
	}
	lc := eventlog.Default()
	lc.Schema = event.Schema
	lc.TailBytes = 1 << 10
	var err error
	w.inCalm(func() { d.log, err = eventlog.Open(n.dir.mem, lc) })
	if err != nil {
		w.bad("%s does not open: %v", n.dir.name, err)
		d.cancel()
		close(d.done)
		n.daemon = d
		return
	}
	cat, store := d.client()
	rc := registry.DefaultConfig()
	rc.Logger = quiet
	rc.Defaults.CutInterval, rc.Defaults.HotRetention = registry.Duration(w.cutEvery), registry.Duration(w.hot)
	rc.Defaults.PartitionBy = w.partitionBy()
	if d.reg, err = registry.Open(cat, d.log, rc); err != nil {
		w.bad("%s: open registry: %v", n.dir.name, err)
	}
	sc := ship.DefaultConfig()
	sc.MaxSegmentBytes, sc.Window, sc.Uploads, sc.Turns = w.segment, w.window, 1, 1
	sc.RecheckStopped, sc.TrimIdle = 20*time.Minute, 2*time.Minute
	if w.slow { // days pass: what is only looked at now and then is looked at less often
		sc.PollMax, sc.ResendMax, sc.RecheckStopped = 5*time.Minute, time.Hour, 2*time.Hour
	}
	sc.Logger, sc.Seed = quiet, w.fate.Uint64()|1
	sc.Encoder = datafile.Config{Level: datafile.Fastest, PageBytes: 4 << 10, RowGroupBytes: 64 << 10}
	sender := &senderQueue{q: w.queue, p: d.process, store: store}
	if w.embedded {
		sender.inner = d.embed(n.dir.name)
	}
	if d.ship, err = ship.New(ship.Deps{Log: d.log, Registry: d.reg, Catalog: cat, Store: store, Queue: sender}, sc); err != nil {
		w.bad("%s: make shipper: %v", n.dir.name, err)
	}
	n.daemon = d
	go d.loop()
	synctest.Wait()
}

// embed makes the daemon's own committer and the queue to it.
func (d *daemon) embed(name string) *commitq.InProcess {
	w, inner := d.w, d.commitlib()
	rng := rand.New(rand.NewPCG(w.fate.Uint64(), 5))
	cfg := commitq.DefaultConfig()
	cfg.Seed, cfg.Parallel = rng.Uint64()|1, 1
	cfg.Done = func(group string) { // a little later: the queue goes on with its next batch now
		time.AfterFunc(time.Duration(1+rng.Int64N(int64(20*time.Millisecond))), func() { d.notify(group) })
	}
	var err error
	d.own, err = commitq.NewInProcess(func(ctx context.Context, msgs []commitq.Message) []string {
		time.Sleep(time.Duration(1 + rng.Int64N(int64(20*time.Millisecond)))) // until the sender waits
		batch := make([]*delivery, len(msgs))
		for i, m := range msgs {
			req, err := commitlib.Decode(m.Body)
			if err != nil {
				w.bad("%s handed over what is no request: %v", name, err)
				return nil
			}
			batch[i] = &delivery{msg: m, req: req}
		}
		return d.invoke(ctx, name, inner, batch)
	}, cfg)
	if err != nil {
		w.bad("%s: make queue: %v", name, err)
	}
	return d.own
}

func (w *world) partitionBy() []string {
	if w.byHour {
		return []string{iceberg.PartitionHour}
	}
	return []string{iceberg.PartitionNone}
}

// loop ships until the process ends. It drives the shipper's Step rather than its
// Run, so that one goroutine does it all.
func (d *daemon) loop() {
	defer close(d.done)
	for d.alive() {
		changed := d.log.Changed()
		if _, err := d.ship.Step(d.ctx); err != nil {
			defer d.w.turn()()
			d.dead = true
			return
		}
		wait := time.Hour
		if due, ok := d.ship.NextDue(); ok {
			wait = min(wait, max(time.Until(due), time.Millisecond))
		}
		timer := time.NewTimer(wait)
		select {
		case <-changed:
		case <-d.poke:
		case <-timer.C:
		case <-d.ctx.Done():
		}
		timer.Stop()
		select {
		case <-d.poke: // also where something else was ready with it
		default:
		}
	}
}

// poke tells the nodes, a little later each, that a commit may have happened.
func (w *world) poke(id catalog.Ident) {
	for _, n := range w.nodes {
		d := n.daemon
		time.AfterFunc(w.fateful(time.Millisecond, 50*time.Millisecond), func() { d.notify(id.String()) })
	}
}

// notify tells the daemon that a commit to a table may have happened.
func (d *daemon) notify(group string) {
	defer d.w.turn()()
	if d.alive() && !d.dead {
		d.ship.Notify(group)
		d.prod()
	}
}

// prod has the daemon look at its schedule.
func (d *daemon) prod() {
	select {
	case d.poke <- struct{}{}:
	default:
	}
}

// stop ends the daemon as SIGTERM does.
func (n *node) stop() {
	n.cancel()
	<-n.done
	if n.own != nil {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		_ = n.own.Close(gone)
	}
	if n.log != nil {
		_ = n.log.Close()
	}
}

// crash pulls the plug: what was not synced may be lost.
func (n *node) crash() {
	mem := n.dir.mem.Crash(n.w.plan) // first: the process writes no more
	n.stop()
	n.dir.mem = mem
}

func (n *node) up() bool { return n.alive() && !n.dead }

// opened reports whether the directory could be opened; that it could not is a violation.
func (n *node) opened() bool { return n.ship != nil }

// backUp copies the directory as it is on the disk.
func (n *node) backUp() {
	w := n.w
	w.step("%s: backed up", n.dir.name)
	w.backups = append(w.backups, backup{n.dir, n.dir.mem.Copy(), slices.Clone(n.dir.holds)})
}

// restore puts an older copy in the place of a directory whose disk is lost.
func (w *world) restore(b backup) {
	i := slices.IndexFunc(w.nodes, func(n *node) bool { return n.dir == b.of })
	n := w.nodes[i]
	n.stop()
	for _, e := range n.dir.holds {
		e.holders--
	}
	for _, e := range b.holds {
		e.holders++
	}
	w.step("%s: disk lost with %d events, restored with %d", n.dir.name, len(n.dir.holds), len(b.holds))
	n.dir.mem, n.dir.holds, n.dir.older = b.mem.Copy(), slices.Clone(b.holds), true
	n.dir.retry = nil // the copy may not know those keys
	n.start()
}

// startCopy runs a second daemon on a copy, beside the original.
func (w *world) startCopy(b backup) {
	for _, e := range b.holds {
		e.holders++
	}
	d := &directory{name: fmt.Sprintf("d%d", len(w.nodes)), mem: b.mem.Copy(), holds: slices.Clone(b.holds), older: true}
	w.step("%s: started as a copy of %s with %d events", d.name, b.of.name, len(b.holds))
	w.addNode(d)
}
