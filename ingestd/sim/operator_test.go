package sim

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
)

// putRight mends what was done to a table, or one thing of several; careless: while committers go on.
func (w *world) putRight(t *table, half, careless bool) {
	act := w.undisturbed
	if careless {
		act = w.inCalm
	}
	act(func() {
		one := ""
		if half {
			one = t.damage[w.plan.IntN(len(t.damage))].what
		}
		for again := true; again; { // one may be in the way of another
			again = false
			left := t.damage[:0]
			for _, d := range t.damage {
				if one != "" && d.what != one {
					left = append(left, d)
					continue
				}
				mended := d.mend()
				w.step("operator: %s: %s put right: %v", t.id.Name, d.what, mended)
				if !mended {
					left = append(left, d)
				}
				again = again || mended
			}
			t.damage = left
		}
	})
	t.touched = time.Now()
}

// repairAll puts right what can be.
func (w *world) repairAll() {
	for _, t := range w.tables {
		if len(t.damage) > 0 {
			w.putRight(t, false, false)
		}
	}
}

// undisturbed runs fn in an instant in which nobody commits, as PROTOCOL.md wants it for a change of the watermarks; and
// nobody goes on from a state of the table that was before it. It returns a little later.
func (w *world) undisturbed(fn func()) {
	var stopped []*node
	for _, n := range w.nodes {
		if w.embedded && n.up() {
			n.stop()
			stopped = append(stopped, n)
		}
	}
	for _, c := range w.committers {
		c.halt()
	}
	w.inCalm(fn)
	for i := range w.committers {
		w.committers[i] = newCommitter(w, i)
	}
	for _, n := range stopped {
		n.start()
	}
	w.wait(w.random(time.Second, 10*time.Second)) // a daemon that was started looks by itself first
}

// member is what a stop tells its operator to write.
var member = regexp.MustCompile(`"([0-9a-f-]{36})":\[(\d+),0\]`)

// obey does what the stops of a table's logs say about its watermarks, word by word.
func (w *world) obey(t *table) {
	ct := w.peek(t)
	if ct == nil {
		return
	}
	told, accept := map[uuid.UUID]commitlib.Seq{}, false
	for _, n := range w.nodes {
		if !n.up() {
			continue
		}
		st := n.ship.Status(t.id.Name)
		for _, tr := range st.Tracks {
			if tr.Stop == nil || tr.TableUUID != ct.Metadata.TableUUID {
				continue
			}
			// A replacement that was accepted is stopped for again where the old root was brought back.
			accept = accept || strings.Contains(tr.Stop.Error(), `remove the member "root"`) && !t.has(replacement)
			for _, words := range member.FindAllStringSubmatch(tr.Stop.Error(), -1) {
				log, err := uuid.Parse(words[1])
				count, cerr := strconv.ParseUint(words[2], 10, 63)
				if err := errors.Join(err, cerr); err != nil || log != tr.Log {
					w.bad("%s: the stop of %s says %q: %v", n.dir.name, w.label("L", tr.Log), words[0], err)
				}
				told[log] = max(told[log], commitlib.Seq(count))
			}
		}
	}
	if len(told) == 0 && !accept {
		return
	}
	for log := range told {
		for _, value := range t.values { // or a higher count that an earlier metadata file has
			told[log] = max(told[log], w.counted(ct, value, log))
		}
	}
	w.undisturbed(func() {
		if accept {
			w.acceptContents(t)
		}
		w.raise(t, told)
	})
	w.step("operator: what the stops say is written into the watermarks of %s", t.id.Name)
	t.touched = time.Now()
}

// acceptContents is the operator's word that what replaced a table's contents is meant.
func (w *world) acceptContents(t *table) bool {
	m, ok := parseMarks(w.property(t, commitlib.PropWatermarks))
	if !ok {
		return false
	}
	m.Root = 0
	value, err := m.Encode()
	return err == nil && w.setProperty(t, commitlib.PropWatermarks, value)
}

// counted is a log's watermark by a value of the property; 0 where it cannot be told.
func (w *world) counted(ct *catalog.Table, value string, log uuid.UUID) commitlib.Seq {
	m, ok := parseMarks(value)
	if !ok {
		return 0
	}
	m.Root = 0 // a replaced table's counts hold all the same
	value, err := m.Encode()
	if err != nil {
		return 0
	}
	mark, err := commitlib.ReadWatermark(context.Background(), w.store, with(ct, value), log)
	if err != nil {
		return 0
	}
	return mark
}

// raise writes counts into the property where it has lower ones; it reports whether they are there now.
func (w *world) raise(t *table, counts map[uuid.UUID]commitlib.Seq) bool {
	ct := w.peek(t)
	if ct == nil {
		return false
	}
	now := ct.Metadata.Properties[commitlib.PropWatermarks]
	m, ok := parseMarks(now)
	if !ok {
		return false
	}
	for log, count := range counts {
		if w.counted(ct, now, log) < count {
			m.Logs[log] = commitlib.Mark{Last: count}
		}
	}
	value, err := m.Encode()
	return err == nil && (value == now || w.setProperty(t, commitlib.PropWatermarks, value))
}

// raiseWatermarks raises what was lowered to what it was in saved; what moved on since stays.
func (w *world) raiseWatermarks(t *table, saved string) bool {
	ct := w.peek(t)
	counts := map[uuid.UUID]commitlib.Seq{}
	for id, label := range w.labels { // of all logs that ever sent a request, acked or not
		if label[0] == 'L' {
			counts[id] = w.counted(ct, saved, id)
		}
	}
	return w.raise(t, counts)
}
