package sim

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/ingestd/ship"
)

// damage is something that a user broke and an operator can put right. mend reports whether it did; where it was put
// right by a commit already, or cannot be without losing what came since, there is nothing to do.
type damage struct {
	what string
	mend func() (mended bool)
}

// tamper is what users do to a table outside the protocol. Each has to be noticed before an event is lost or
// doubled. Now and then a second thing is done before the first was put right, or only one of two is put right.
func (w *world) tamper() {
	t := w.tables[w.plan.IntN(len(w.tables))]
	ct := w.peek(t)
	n := w.plan.IntN(12)
	switch damaged := len(t.damage); {
	case ct == nil && damaged == 0:
		return
	case damaged > 0 && n < 4:
		w.putRight(t, damaged > 1 && w.plan.IntN(2) == 0, w.plan.IntN(2) == 0)
		w.obey(t)
		w.resumeAll()
		return
	case damaged > 0 && (ct == nil || w.plan.IntN(2) == 0):
		return
	case damaged > 0:
		w.step("user: more than one thing is done to %s", t.id.Name)
	}
	w.inCalm(func() {
		switch {
		case n%3 == 0 && w.firstOnItsWay(t):
			w.recreate(t)
		case n < 2:
			w.dropMarker(t, ct)
		case n < 4:
			w.dropWatermarks(t, ct)
		case n < 8:
			w.lowerWatermarks(t, ct)
		case n < 9:
			w.replace(t, ct)
		case n < 10 && w.service != nil && w.plan.IntN(2) == 0:
			w.drop(t)
		case n < 10:
			w.recreate(t)
		default:
			w.loseSpilled(t, ct)
		}
	})
}

// has reports whether a table has a damage of this kind already: of each there is one at a time, since what was there
// before is what puts it right.
func (t *table) has(what string) bool {
	return slices.ContainsFunc(t.damage, func(d damage) bool { return d.what == what })
}

// hurt notes a damage and the stops that it is reason for.
func (t *table) hurt(d damage, reasons ...ship.Reason) {
	t.touched = time.Now()
	if d.mend != nil {
		t.damage = append(t.damage, d)
	}
	for _, r := range append(reasons, ship.Rejected) {
		t.causes[r] = true
	}
}

func (w *world) setProperty(t *table, key, value string) bool {
	_, err := w.foreign().SetProperties(context.Background(), t.id, map[string]string{key: value})
	return err == nil
}

func (w *world) property(t *table, key string) string {
	if ct := w.peek(t); ct != nil {
		return ct.Metadata.Properties[key]
	}
	return ""
}

// The kinds of damage.
const (
	noMarker      = "the marker"
	noWatermarks  = "the lost watermarks"
	lowWatermarks = "the lowered watermarks"
	replacement   = "the replacement"
	noTable       = "the missing table"
	noSpilled     = "the spilled watermarks"
)

func (w *world) dropMarker(t *table, ct *catalog.Table) {
	if _, there := ct.Metadata.Properties[commitlib.PropProtocol]; !there {
		return
	}
	w.step("user: drop the marker of %s", t.id.Name)
	if _, err := w.foreign().RemoveProperties(context.Background(), t.id, commitlib.PropProtocol); err != nil {
		return
	}
	t.hurt(damage{noMarker, func() bool { return w.setProperty(t, commitlib.PropProtocol, "1") }}, ship.TableUnfit)
}

// dropWatermarks removes or garbles the property.
func (w *world) dropWatermarks(t *table, ct *catalog.Table) {
	saved := ct.Metadata.Properties[commitlib.PropWatermarks]
	if t.has(noWatermarks) || saved == "" {
		return
	}
	if w.plan.IntN(2) == 0 {
		w.step("user: drop the watermarks of %s", t.id.Name)
		if _, err := w.foreign().RemoveProperties(context.Background(), t.id, commitlib.PropWatermarks); err != nil {
			return
		}
	} else {
		w.step("user: garble the watermarks of %s", t.id.Name)
		if !w.setProperty(t, commitlib.PropWatermarks, saved[:w.plan.IntN(len(saved))]) {
			return
		}
	}
	t.hurt(damage{noWatermarks, func() bool {
		if _, ok := parseMarks(w.property(t, commitlib.PropWatermarks)); ok {
			return true // a commit that was under way on REST wrote them again
		}
		return w.setProperty(t, commitlib.PropWatermarks, saved)
	}}, ship.WatermarksLost)
}

// parseMarks reads a value of the watermarks' property.
func parseMarks(value string) (*commitlib.Watermarks, bool) {
	m, err := commitlib.ParseWatermarks(map[string]string{commitlib.PropProtocol: "1", commitlib.PropWatermarks: value})
	return m, err == nil
}

// noteValue keeps the watermarks' property for lowerWatermarks.
func (t *table) noteValue(ct *catalog.Table) {
	v := ct.Metadata.Properties[commitlib.PropWatermarks]
	if len(t.values) == 0 || t.values[len(t.values)-1] != v {
		t.values = append(t.values, v)
	}
}

// with is the table with another value of the watermarks' property.
func with(ct *catalog.Table, value string) *catalog.Table {
	t, m := *ct, *ct.Metadata
	m.Properties = maps.Clone(m.Properties)
	m.Properties[commitlib.PropWatermarks] = value
	t.Metadata = &m
	return &t
}

// lowerWatermarks sets the property back to an older value. Where no retained snapshot gives that away,
// nothing but ingestd's memory can, and a request that lingers could double: so this needs a table at rest,
// of which no older copies of directories exist.
func (w *world) lowerWatermarks(t *table, ct *catalog.Table) {
	saved := ct.Metadata.Properties[commitlib.PropWatermarks]
	if len(t.values) == 0 || len(t.damage) > 0 {
		return
	}
	old := t.values[max(w.plan.IntN(len(t.values)), w.plan.IntN(len(t.values)))]
	if old == saved {
		return
	}
	traced := w.traced(with(ct, old))
	if !w.copies && w.atRest(t, ct, with(ct, old)) {
		if w.plan.IntN(4) > 0 {
			w.forgetTraces(t)
			traced = w.traced(with(w.peek(t), old))
		}
	} else if !traced {
		return
	}
	w.step("user: set the watermarks of %s back (a retained summary tells: %v)", t.id.Name, traced)
	if !w.setProperty(t, commitlib.PropWatermarks, old) {
		return
	}
	if !traced {
		w.seen["no trace of the lowered watermarks"]++
	}
	t.noteValue(ct)
	if !traced && w.plan.IntN(2) == 0 {
		t.hurt(damage{}, ship.WatermarkBack) // nobody knows of it until a daemon says so, and then what that says is done
		return
	}
	t.hurt(damage{lowWatermarks, func() bool { return w.raiseWatermarks(t, saved) }}, ship.WatermarkBack)
}

// forgetTraces leaves no snapshot of Firn's on the table: another engine's is the newest, and all others have expired.
func (w *world) forgetTraces(t *table) {
	_, err := w.foreign().Append(context.Background(), t.id)
	if err == nil {
		_, err = w.foreign().ExpireSnapshots(context.Background(), t.id, 1)
	}
	if err != nil {
		w.bad("%s: append and expire: %v", t.id.Name, err)
	}
}

// traced reports whether a retained snapshot names more than the table's watermarks do.
func (w *world) traced(ct *catalog.Table) bool {
	for _, s := range ct.Metadata.Snapshots {
		ranges, err := commitlib.ParseRanges(s)
		if err != nil {
			return true
		}
		for log := range ranges {
			_, err := commitlib.ReadWatermark(context.Background(), w.store, ct, log)
			if errors.Is(err, commitlib.ErrBelowTrace) || errors.Is(err, commitlib.ErrWatermarksLost) {
				return true
			}
		}
	}
	return false
}

// atRest reports whether nothing between the two states of the watermarks is on its way, or would be sent again.
func (w *world) atRest(t *table, ct, lowered *catalog.Table) bool {
	mark := func(ct *catalog.Table, r *commitlib.Request) commitlib.Seq {
		m, _ := commitlib.ReadWatermark(context.Background(), w.store, ct, r.Log)
		return m
	}
	for _, d := range w.queue.everything() {
		if d.req.Table == t.id && d.req.Last > mark(lowered, d.req) && d.req.First <= mark(ct, d.req) {
			return false
		}
	}
	for _, n := range w.nodes {
		if !n.up() || n.sleeps || n.own != nil && n.own.Stats().Messages > 0 {
			return false
		}
		for _, info := range n.log.Tracks() {
			r := &commitlib.Request{Log: info.Log}
			if info.Table.UUID == ct.Metadata.TableUUID && info.Committed < mark(ct, r) && mark(lowered, r) < mark(ct, r) {
				return false
			}
		}
	}
	return true
}

// replace is CREATE OR REPLACE TABLE with the same columns.
func (w *world) replace(t *table, ct *catalog.Table) {
	if t.has(replacement) {
		return
	}
	w.step("user: replace %s", t.id.Name)
	w.userMoves(t, func() error {
		_, err := w.foreign().Replace(context.Background(), t.id, ct.Metadata.CurrentSchema(), nil)
		return err
	})
	w.replaced(t)
}

// replaced notes that main now has a history that the watermarks were not written on. An operator who means the new
// contents says so.
func (w *world) replaced(t *table) {
	t.hurt(damage{replacement, func() bool { return w.acceptContents(t) }}, ship.TableReplaced)
}

// drop removes the table from the catalog; the repair is to make another of its name.
func (w *world) drop(t *table) {
	w.step("user: drop %s", t.id.Name)
	w.userMoves(t, func() error { return w.service.Drop(context.Background(), t.id) })
	t.values, t.damage = nil, nil // what was done to the old one is gone with it
	t.hurt(damage{noTable, func() bool {
		spec, err := iceberg.EventSpec(w.partitionBy())
		if err == nil {
			_, err = w.service.Create(context.Background(), t.id, catalog.Spec{
				Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: commitlib.NewTableProperties(),
			})
		}
		return err == nil || errors.Is(err, catalog.ErrTableExists) // a node that had not known it made it
	}}, ship.TableMissing, ship.TableReplaced)
}

// firstOnItsWay reports whether a log's first request for the table is under way: to a table made anew it would look
// like the next.
func (w *world) firstOnItsWay(t *table) bool {
	return slices.ContainsFunc(w.queue.everything(), func(d *delivery) bool { return d.req.Table == t.id && d.req.First == 1 })
}

// recreate drops the table and makes another of its name.
func (w *world) recreate(t *table) {
	w.step("user: drop %s and make it anew", t.id.Name)
	spec, err := iceberg.EventSpec(w.partitionBy())
	if err != nil {
		w.bad("make spec: %v", err)
		return
	}
	w.userMoves(t, func() error {
		_, err := w.foreign().DropAndRecreate(context.Background(), t.id, catalog.Spec{
			Schema: iceberg.EventSchema(iceberg.String), Partition: spec, Properties: commitlib.NewTableProperties(),
		})
		return err
	})
	t.values, t.damage = nil, nil
	t.hurt(damage{}, ship.TableReplaced)
}

// loseSpilled removes the file of spilled watermarks, or puts something else in its place.
func (w *world) loseSpilled(t *table, ct *catalog.Table) {
	m, ok := parseMarks(ct.Metadata.Properties[commitlib.PropWatermarks])
	if !ok || m.Spilled == nil || t.has(noSpilled) {
		return
	}
	key, _ := objstore.Key(w.store, m.Spilled.File)
	body, _, err := w.store.Get(context.Background(), key)
	if err != nil {
		return
	}
	if w.plan.IntN(2) == 0 {
		w.step("user: delete the spilled watermarks of %s", t.id.Name)
		_ = w.store.Delete(context.Background(), key)
	} else {
		w.step("user: overwrite the spilled watermarks of %s", t.id.Name)
		_, _ = w.store.Put(context.Background(), key, slices.Concat(body[:len(body)/2], []byte("}")), objstore.Condition{})
	}
	t.hurt(damage{noSpilled, func() bool {
		_, err := w.store.Put(context.Background(), key, body, objstore.Condition{})
		return err == nil
	}}, ship.WatermarksLost)
}
