package sim

import (
	"context"
	"strconv"
	"strings"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/ingestd/eventlog"
	"firn/ingestd/ship"
)

// look collects everything that the judgement needs.
func (w *world) look() {
	w.calm = true
	w.verdict.stuck = map[place]string{}
	for _, t := range w.tables {
		s := tableState{table: t, bodies: map[string][]byte{}}
		if ct, err := w.backend(w.store).Load(context.Background(), t.id); err == nil {
			s.ct = ct
			s.visible = w.visible(t, ct)
			w.checkMetadata(t, ct)
		}
		for _, f := range s.visible {
			s.bodies[f.path] = w.object(t, f.path)
		}
		for path := range t.removed {
			if body, ok := w.saved[path]; ok {
				s.bodies[path] = body
			} else {
				s.bodies[path] = w.object(t, path)
			}
		}
		w.verdict.tables = append(w.verdict.tables, s)
	}
	for _, n := range w.nodes {
		w.lookIntoLog(n)
	}
}

// checkMetadata holds that the table's history is one that every reader takes.
func (w *world) checkMetadata(t *table, ct *catalog.Table) {
	m := ct.Metadata
	if w.service == nil {
		if hint := w.hintOf(t); strconv.FormatInt(hint, 10) != ct.Token {
			w.bad("%s: after a load version-hint.text names %d, the newest version is %s", t.id.Name, hint, ct.Token)
		}
	}
	for _, s := range m.Snapshots {
		w.filesOf(t, s)
		if parent := m.Snapshot(s.ParentID); parent != nil && (parent.SequenceNumber >= s.SequenceNumber || parent.TimestampMs > s.TimestampMs) {
			w.bad("%s: snapshot %d (sequence %d, at %d) follows %d (sequence %d, at %d)", t.id.Name,
				s.ID, s.SequenceNumber, s.TimestampMs, parent.ID, parent.SequenceNumber, parent.TimestampMs)
		}
		if s.SequenceNumber > m.LastSequenceNumber {
			w.bad("%s: snapshot %d has sequence %d, the table's last is %d", t.id.Name, s.ID, s.SequenceNumber, m.LastSequenceNumber)
		}
	}
}

// lookIntoLog collects the events of stopped tracks, holds that each stop had a cause, and
// that nothing stands still without one.
func (w *world) lookIntoLog(n *node) {
	if n.log == nil {
		return
	}
	for _, ts := range n.ship.Statuses() {
		for _, tr := range ts.Tracks {
			if tr.Backlog == 0 {
				continue
			}
			t := w.tableOf("default." + ts.Table)
			switch {
			case tr.Stop == nil:
				w.bad("%s: %d events of %s for %s are not committed, and shipping is not stopped: %+v",
					n.dir.name, tr.Backlog, w.label("L", tr.Log), ts.Table, tr)
			case w.mayNotStop(t, tr):
				w.bad("%s: everything was put right, and %d events of %s for %s are still not committed: %v",
					n.dir.name, tr.Backlog, w.label("L", tr.Log), ts.Table, tr.Stop)
			}
			for _, info := range n.log.Tracks() {
				if info.Log != tr.Log || info.Table.UUID != tr.TableUUID {
					continue
				}
				err := n.log.Read(context.Background(), info.Track, max(info.Low, info.Committed+1), info.High, func(r eventlog.Rows) error {
					for i := range r.Batch.Len {
						p := place{r.Log, tr.TableUUID, r.First + eventlog.Seq(i)}
						w.verdict.stuck[p] = string(r.Batch.Col(iceberg.FieldPayload).Bytes(i))
					}
					return nil
				})
				if err != nil {
					w.bad("%s: uncommitted events of %s for %s cannot be read: %v", n.dir.name, w.label("L", tr.Log), t.id.Name, err)
				}
			}
		}
	}
}

// mayNotStop reports whether a track that is stopped in the end should not be: its table is there, and all that was done to it was
// put right. An older copy stands still until its operator has spoken.
func (w *world) mayNotStop(t *table, tr ship.TrackStatus) bool {
	ct := w.stateOf(t).ct
	spoken := w.repair || !w.clobber && tr.Stop.Reason != ship.WatermarkAhead
	return spoken && len(t.damage) == 0 && ct != nil && ct.Metadata.TableUUID == tr.TableUUID
}

// checkStops holds that nothing stopped without a cause.
func (w *world) checkStops() {
	for _, n := range w.nodes {
		if !n.up() {
			continue
		}
		for _, ts := range n.ship.Statuses() {
			t := w.tableOf("default." + ts.Table)
			for _, tr := range ts.Tracks {
				if tr.Stop != nil {
					w.seen["stop: "+string(tr.Stop.Reason)]++
				}
				switch {
				case tr.Stop == nil, t.causes[tr.Stop.Reason], tr.Stop.Reason == ship.WatermarkAhead && n.dir.older:
				default:
					w.bad("%s: shipping of %s for %s stopped without a cause: %v", n.dir.name, w.label("L", tr.Log), ts.Table, tr.Stop)
				}
			}
		}
	}
}

// lookAtHint holds that nobody of ours sets the hint back; key is one of the table's metadata.
func (w *world) lookAtHint(key string) {
	if w.service != nil {
		return
	}
	defer w.turn()()
	for _, t := range w.tables {
		dir := t.id.Namespace + "/" + t.id.Name
		if !strings.HasPrefix(key, dir+"/") {
			continue
		}
		if v := w.hintOf(t); v < t.hint {
			w.bad("%s: version-hint.text went back from %d to %d", t.id.Name, t.hint, v)
		} else {
			t.hint = v
		}
	}
}

// hintOf reads the hint; 0 where there is none.
func (w *world) hintOf(t *table) (version int64) {
	w.inCalm(func() {
		body, _, err := w.store.Get(context.Background(), t.id.Namespace+"/"+t.id.Name+"/metadata/version-hint.text")
		if err == nil {
			version, _ = strconv.ParseInt(string(body), 10, 64)
		}
	})
	return version
}
