package eventlog

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/google/uuid"

	"firn/ingestd/kv"
)

// writer is the goroutine that owns the order: doc.go has the protocol. Its fields, and the next of every track, belong
// to it alone; what the group under way changes is copied to where readers look only after the sync, and thrown away
// when the store says that the write was not applied.
type writer struct {
	l     *Log
	batch kv.Batch

	group   []*request // appends of the group under way
	changes []*change
	held    *request // did not fit into the last group; starts the next one

	accepted  []*request             // of group: those with events to store
	published []*change              // of changes: those that were applied
	touched   []*track               // tracks whose next differs from what is durable
	claims    map[string]firstResult // keys that the group brings
	forgotten map[string]struct{}    // keys that the group forgets
	number    uint64                 // of the group
	grown     int64                  // bytes of blocks in this group

	open      bool // this run's log is minted
	durable   bool // and its id is durable
	log       uuid.UUID
	newest    uuid.UUID // the greatest log id of the directory
	nextTrack Track
	head      int64 // the next position
	dedup     int64 // bytes of remembered keys

	key, value []byte // scratch
}

// change is any write but an append. apply runs in the writer: it checks against the tracks' next states, and adds to
// the batch. publish, if not nil, runs under Log.mu once the change is durable.
type change struct {
	apply   func(w *writer) error
	publish func()
	err     error
	done    chan struct{}
}

// run serves until stop is closed and nothing waits. Who was answered goes first: the next write blocks the processor
// that this goroutine has, and them with it, until the scheduler notices and takes it away; it costs a tenth of all CPU
// under load. When nobody waits for a processor, it costs nothing.
func (w *writer) run() {
	defer close(w.l.stopped)
	for w.gather() {
		w.commit()
		runtime.Gosched()
	}
}

// gather waits for something to do and then takes all that waits, up to the bounds of a group.
func (w *writer) gather() bool {
	w.group, w.changes = w.group[:0], w.changes[:0]
	size := 0
	if w.held != nil {
		size = w.take(w.held, 0)
		w.held = nil
	} else {
		select {
		case r := <-w.l.appends:
			size = w.take(r, 0)
		case c := <-w.l.changes:
			w.changes = append(w.changes, c)
		case <-w.l.stop:
			return false
		}
	}
	for {
		select {
		case c := <-w.l.changes:
			w.changes = append(w.changes, c)
			if len(w.changes) >= maxGroupChanges {
				return true
			}
		case r := <-w.l.appends:
			if size+r.weight() > w.l.cfg.MaxGroupBytes {
				w.held = r
				return true
			}
			size = w.take(r, size)
		default:
			return true
		}
	}
}

// maxGroupChanges bounds the changes of one group; each is small but for a block that is moved.
const maxGroupChanges = 64

func (w *writer) take(r *request, size int) int {
	w.group = append(w.group, r)
	return size + r.weight()
}

// commit makes one group durable and answers its callers: steps 2 to 5 of the protocol.
func (w *writer) commit() {
	if err := w.l.brokenNow(); err != nil {
		w.answerAll(err)
		return
	}
	w.reset()
	for _, c := range w.changes { // first: an append may take the place of what a change removes
		if c.err = c.apply(w); c.err == nil {
			w.published = append(w.published, c)
		}
	}
	for _, r := range w.group {
		w.add(r)
	}
	if w.batch.Len() > 0 {
		if err := w.write(); err != nil {
			w.fail(err)
			return
		}
	}
	w.publish()
	w.answerAll(nil)
}

func (w *writer) reset() {
	if w.batch.Cap() > 4*w.l.cfg.MaxGroupBytes {
		w.batch = kv.Batch{} // one huge append must not hold its memory for good
	}
	w.batch.Reset()
	w.accepted, w.published, w.touched, w.grown = w.accepted[:0], w.published[:0], w.touched[:0], 0
	w.number++
	if len(w.claims) > 0 {
		w.claims = nil
	}
	w.forgotten = nil
}

// write is the commit point.
func (w *writer) write() error {
	l := w.l
	if len(w.accepted) > 0 && l.cfg.Phase != nil {
		l.cfg.Phase("append", true)
		defer l.cfg.Phase("append", false)
	}
	start := time.Now()
	err := l.store.Write(&w.batch, true)
	l.count.synced(time.Since(start), w.batch.Bytes())
	return err
}

// fail answers a group whose write was refused. Only ErrNoSpace is certain to have left nothing behind: everything
// goes back to what is durable. After any other error nobody knows, and the log is broken.
func (w *writer) fail(err error) {
	if errors.Is(err, kv.ErrNoSpace) {
		for _, t := range w.touched {
			t.next = t.state
			t.share.group = 0
		}
		w.head, w.dedup = w.l.space.head, w.l.dedup
		for _, r := range w.group {
			r.result = Appended{}
		}
		for _, c := range w.published {
			c.err = fmt.Errorf("write to event log: %w: %w", ErrDiskFull, err)
		}
		w.accepted = w.accepted[:0]
		w.answerAll(&Refusal{ErrDiskFull, retryDisk})
		return
	}
	err = fmt.Errorf("%w: %v", ErrBroken, err)
	w.l.mu.Lock()
	w.l.broken = err
	w.l.mu.Unlock()
	w.l.fatal <- err // has room for the one that is ever sent
	w.answerAll(err)
}

// publish shows readers what is now durable.
func (w *writer) publish() {
	l := w.l
	l.mu.Lock()
	for _, c := range w.published {
		if c.publish != nil {
			c.publish()
		}
	}
	for _, r := range w.accepted {
		n := int64(len(r.block))
		l.space.add(n)
		l.lately.add(r.raw, len(r.block))
		r.track.share.bytes += n
		r.track.share.keyed = r.track.share.keyed || r.keys != nil
	}
	for _, t := range w.touched {
		t.state = t.next
		t.share.group = 0
		if !t.known {
			t.known = true
			l.tracks[t.id] = t
			l.byTable[trackID{t.log, t.table.UUID}] = t
		}
	}
	l.dedup = w.dedup
	if w.open {
		w.durable, l.current = w.durable || len(w.accepted) > 0, w.log
	}
	if len(w.accepted) > 0 {
		close(l.changed)
		l.changed = make(chan struct{})
	}
	l.mu.Unlock()
	for _, r := range w.accepted {
		l.tail.add(r.track.id, r.index, r.block)
	}
}

// answerAll wakes the group's callers. err, if not nil, is the answer to all that has no other.
func (w *writer) answerAll(err error) {
	for _, c := range w.changes {
		if c.err == nil {
			c.err = err
		}
		close(c.done)
	}
	for _, r := range w.group {
		if r.err == nil {
			r.err = err
		}
		w.l.count.refuse(r.err)
	}
	w.l.count.acked(w.group)
	for _, r := range w.group {
		close(r.done)
	}
}

func (l *Log) brokenNow() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.broken
}

// do runs one change through the writer and waits until it is durable.
func (l *Log) do(c *change) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.inside.Done()
	c.done = make(chan struct{})
	l.changes <- c
	<-c.done
	return c.err
}

// touch gives what the group makes of t.
func (w *writer) touch(t *track) *state {
	if t.touched != w.number {
		t.touched = w.number
		w.touched = append(w.touched, t)
	}
	return &t.next
}
