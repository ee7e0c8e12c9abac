package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing/synctest"
	"time"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
)

// keyed is a batch with idempotency keys whose producer does not know what became of it, or sends it again for no
// reason.
type keyed struct {
	table  *table
	events []*sent
	at     time.Time // when it was sent first: the window in which its keys are remembered counts from there
}

// send appends a few batches on one node.
func (w *world) send() {
	n := w.nodes[w.plan.IntN(len(w.nodes))]
	if !n.up() {
		return
	}
	n.retry()
	t := w.tables[w.plan.IntN(len(w.tables))]
	for range 1 + w.plan.IntN(3) {
		if n.up() {
			n.append(t, 1+w.plan.IntN(5))
		}
	}
}

// append sends new events.
func (n *node) append(t *table, count int) {
	w := n.w
	known, ok := n.reg.Get(t.id.Name)
	if !ok {
		d := n.daemon
		go func() { _, _ = d.reg.Ensure(d.ctx, t.id.Name) }() // the next event finds it
		synctest.Wait()
		return
	}
	withKeys := w.plan.IntN(3) == 0
	batch := make([]*sent, count)
	for i := range batch {
		e := &sent{payload: fmt.Sprintf("%s-%d", n.dir.name, len(w.events)), table: t, uuid: known.UUID, keyed: withKeys}
		w.events[e.payload], batch[i] = e, e
	}
	n.appendBatch(known, batch, time.Now())
}

// retry sends a batch with idempotency keys once more, on the directory that may have it, within
// the window in which keys are remembered.
func (n *node) retry() {
	w, r := n.w, n.dir.retry
	if r == nil || w.plan.IntN(2) == 0 {
		return
	}
	n.dir.retry = nil
	known, ok := n.reg.Get(r.table.id.Name)
	if !ok || known.UUID != r.events[0].uuid || time.Since(r.at) > eventlog.DefaultDedupWindow-time.Hour {
		return
	}
	w.step("%s: %d events with keys are sent again", n.dir.name, len(r.events))
	n.appendBatch(known, r.events, r.at)
}

// appendBatch sends events, for the first time or again, and notes what became of them.
func (n *node) appendBatch(known *registry.Table, batch []*sent, first time.Time) {
	w, t := n.w, batch[0].table
	b, err := column.New(event.Schema)
	if err != nil {
		w.bad("make batch: %v", err)
		return
	}
	for _, e := range batch {
		at := time.Now().Add(-w.random(0, 3*time.Hour))
		b.Col(iceberg.FieldPartition).AppendInt32(int32(w.plan.IntN(3)))
		b.Col(iceberg.FieldEventTime).AppendInt64(at.UnixMicro())
		if e.keyed {
			_ = b.Col(iceberg.FieldIdempotencyKey).AppendBytes([]byte("key of " + e.payload)) // far below a vector's bound
		} else {
			b.Col(iceberg.FieldIdempotencyKey).AppendNull()
		}
		_ = b.Col(iceberg.FieldPayload).AppendBytes([]byte(e.payload))
		b.Len++
	}
	got, err := n.log.Append(context.Background(), eventlog.Append{Table: eventlog.Table{Name: t.id.Name, UUID: known.UUID}, Batch: b, ReceivedAt: time.Now()})
	synctest.Wait()
	if batch[0].keyed && (err != nil || w.plan.IntN(4) == 0) {
		n.dir.retry = &keyed{t, batch, first}
	}
	if err != nil {
		w.step("%s: %d events for %s not acked: %v", n.dir.name, len(batch), t.id.Name, err)
		if !errors.As(err, new(*eventlog.Refusal)) {
			n.dead = true
		}
		return
	}
	w.step("%s: acked [%d, %d] of %s for %s, %d duplicates", n.dir.name, got.First, got.Last, w.label("L", got.Log), t.id.Name, got.Duplicates)
	if got.Duplicates != 0 && got.Duplicates != len(batch) || int(got.Last-got.First) != len(batch)-1 {
		w.bad("%s: a batch of %d was acked as [%d, %d], %d duplicates", n.dir.name, len(batch), got.First, got.Last, got.Duplicates)
	}
	for i, e := range batch {
		n.noteAck(e, got, got.First+eventlog.Seq(i))
	}
}

func (n *node) noteAck(e *sent, got eventlog.Appended, seq eventlog.Seq) {
	if e.acked && (e.log != got.Log || e.seq != seq || got.Duplicates == 0) {
		n.w.bad("%s: event %s was acked as %d of %s, and when it was sent again as %d of %s", n.dir.name, e.payload,
			e.seq, n.w.label("L", e.log), seq, n.w.label("L", got.Log))
	}
	if !slices.Contains(n.dir.holds, e) {
		n.dir.holds = append(n.dir.holds, e)
		e.holders++
	}
	e.acked, e.log, e.seq = true, got.Log, seq
}
