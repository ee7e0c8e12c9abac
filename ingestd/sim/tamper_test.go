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
// doubled. One table has one damage at a time.
func (w *world) tamper() {
	t := w.tables[w.plan.IntN(len(w.tables))]
	ct := w.peek(t)
	if ct == nil && len(t.damage) == 0 {
		return
	}
	resume := false
	defer func() {
		if resume {
			w.resumeAll()
		}
	}()
	w.inCalm(func() {
		switch n := w.plan.IntN(12); {
		case len(t.damage) > 0 && n < 4:
			w.mendAll(t)
			resume = true
		case len(t.damage) > 0:
		case n%3 == 0 && w.firstOnItsWay(t):
			w.recreate(t)
		case n < 2:
			w.dropMarker(t)
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

func (w *world) mendAll(t *table) {
	left := t.damage[:0]
	for _, d := range t.damage {
		mended := d.mend()
		w.step("operator: %s: %s put right: %v", t.id.Name, d.what, mended)
		if !mended {
			left = append(left, d)
		}
	}
	t.damage = left
	t.touched = time.Now()
}

// repairAll puts right what can be.
func (w *world) repairAll() {
	w.inCalm(func() {
		for _, t := range w.tables {
			w.mendAll(t)
		}
	})
	w.resumeAll()
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

func (w *world) dropMarker(t *table) {
	w.step("user: drop the marker of %s", t.id.Name)
	if _, err := w.foreign().RemoveProperties(context.Background(), t.id, commitlib.PropProtocol); err != nil {
		return
	}
	t.hurt(damage{"the marker", func() bool { return w.setProperty(t, commitlib.PropProtocol, "1") }}, ship.TableUnfit)
}

// dropWatermarks removes or garbles the property.
func (w *world) dropWatermarks(t *table, ct *catalog.Table) {
	saved := ct.Metadata.Properties[commitlib.PropWatermarks]
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
	t.hurt(damage{"the watermarks", func() bool {
		ct := w.peek(t)
		if _, err := commitlib.ParseWatermarks(ct.Metadata.Properties); err == nil || errors.Is(err, commitlib.ErrNotFirn) {
			return true // a commit that was under way on REST wrote them again
		}
		return w.setProperty(t, commitlib.PropWatermarks, saved)
	}}, ship.WatermarksLost)
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
	if len(t.values) == 0 {
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
	t.hurt(damage{"the watermarks", func() bool { return w.raiseWatermarks(t, old, saved) }}, ship.WatermarkBack)
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

// raiseWatermarks is the operator's repair: what was lowered is raised to what it was; what moved on since stays.
func (w *world) raiseWatermarks(t *table, old, saved string) bool {
	now := w.property(t, commitlib.PropWatermarks)
	if now == old {
		return w.setProperty(t, commitlib.PropWatermarks, saved)
	}
	parse := func(value string) *commitlib.Watermarks {
		m, err := commitlib.ParseWatermarks(map[string]string{commitlib.PropProtocol: "1", commitlib.PropWatermarks: value})
		if err != nil {
			return &commitlib.Watermarks{}
		}
		return m
	}
	have, want := parse(now), parse(saved)
	if (have.Spilled == nil) != (want.Spilled == nil) || have.Spilled != nil && *have.Spilled != *want.Spilled {
		return false // commits went on and spilled: which of them to take is no longer a matter of copying a value
	}
	for log, m := range want.Logs {
		if have.Logs[log].Last < m.Last {
			have.Logs[log] = m
		}
	}
	value, err := have.Encode()
	return err == nil && w.setProperty(t, commitlib.PropWatermarks, value)
}

// replace is CREATE OR REPLACE TABLE with the same columns.
func (w *world) replace(t *table, ct *catalog.Table) {
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
	t.hurt(damage{"the replacement", func() bool {
		m, err := commitlib.ParseWatermarks(w.peek(t).Metadata.Properties)
		if err != nil {
			return false
		}
		m.Root = 0 // the operator's word: the new contents are meant
		value, err := m.Encode()
		return err == nil && w.setProperty(t, commitlib.PropWatermarks, value)
	}}, ship.TableReplaced)
}

// drop removes the table from the catalog; the repair is to make another of its name.
func (w *world) drop(t *table) {
	w.step("user: drop %s", t.id.Name)
	w.userMoves(t, func() error { return w.service.Drop(context.Background(), t.id) })
	t.values = nil
	t.hurt(damage{"the missing table", func() bool {
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
	t.values = nil
	t.hurt(damage{}, ship.TableReplaced)
}

// loseSpilled removes the file of spilled watermarks, or puts something else in its place.
func (w *world) loseSpilled(t *table, ct *catalog.Table) {
	m, err := commitlib.ParseWatermarks(ct.Metadata.Properties)
	if err != nil || m.Spilled == nil {
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
	t.hurt(damage{"the spilled watermarks", func() bool {
		_, err := w.store.Put(context.Background(), key, body, objstore.Condition{})
		return err == nil
	}}, ship.WatermarksLost)
}
