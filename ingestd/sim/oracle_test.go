package sim

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
	"firn/ingestd/eventlog"
	"firn/ingestd/ship"
)

// sent is an event as its producer knows it.
type sent struct {
	payload string
	table   *table
	uuid    uuid.UUID // of the table that it was sent to
	keyed   bool      // it has an idempotency key
	acked   bool
	log     uuid.UUID // as the ack named them
	seq     eventlog.Seq
	holders int // directories in use that hold it; with none, its volume is lost

	discarded bool // an operator gave it up
}

// table is what the oracle knows of a table and of what was done to it.
type table struct {
	id      catalog.Ident
	removed map[string]bool      // data files that a user's roll-back, replacement or drop took out of it
	causes  map[ship.Reason]bool // what the adversaries gave reason for
	touched time.Time            // when it was last tampered with
	damage  []damage             // what is not put right yet
	values  []string             // of the watermarks' property, as they were seen

	hint int64 // the highest version that the hint was seen to name since an adversary set it
}

// tampered reports whether somebody tampered with the table since, or has and it was not put right.
func (t *table) tampered(since time.Time) bool { return len(t.damage) > 0 || !t.touched.Before(since) }

func (w *world) tableOf(group string) *table {
	for _, t := range w.tables {
		if t.id.String() == group {
			return t
		}
	}
	return nil
}

// fileRef is a data file as a manifest has it.
type fileRef struct {
	path       string
	size, rows int64
	sequence   int64 // data sequence number
}

// visible lists the data files of main's head; it reports what a reader would stumble over.
func (w *world) visible(t *table, ct *catalog.Table) (files []fileRef) {
	if ct == nil || ct.Metadata.CurrentSnapshot() == nil {
		return nil
	}
	return w.filesOf(t, ct.Metadata.CurrentSnapshot())
}

// filesOf lists the data files of a snapshot.
func (w *world) filesOf(t *table, s *iceberg.Snapshot) (files []fileRef) {
	w.inCalm(func() {
		list, err := manifest.ReadList(w.object(t, s.ManifestList))
		if err != nil {
			w.bad("%s: manifest list: %v", t.id.Name, err)
			return
		}
		for _, l := range list {
			refs, known := w.parsed[l.Path]
			if !known {
				_, entries, err := l.Read(w.object(t, l.Path))
				if err != nil {
					w.bad("%s: %v", t.id.Name, err)
					return
				}
				for _, e := range entries {
					if e.Status != manifest.Deleted {
						refs = append(refs, fileRef{e.File.Path, e.File.FileSizeInBytes, e.File.RecordCount, *e.SequenceNumber})
					}
				}
				w.parsed[l.Path] = refs
			}
			files = append(files, refs...)
		}
	})
	return files
}

// object reads what a table names; that it is missing is a violation.
func (w *world) object(t *table, location string) []byte {
	key, ok := objstore.Key(w.store, location)
	if !ok {
		w.bad("%s names %s, outside the warehouse", t.id.Name, location)
		return nil
	}
	body, _, err := w.store.Get(context.Background(), key)
	if err != nil {
		w.bad("%s names an object that cannot be read: %v", t.id.Name, err)
	}
	return body
}

// userMoves runs an adversary's change of what main shows, and notes what it took out and what it brought back.
func (w *world) userMoves(t *table, change func() error) {
	before := w.visible(t, w.peek(t))
	if err := change(); err != nil {
		w.step("  it was refused: %v", err)
		return
	}
	after := w.visible(t, w.peek(t))
	for _, f := range before {
		t.removed[f.path] = true
	}
	for _, f := range after {
		delete(t.removed, f.path)
	}
	w.step("  %d files before, %d after", len(before), len(after))
}

// verdict is what the last look inside the bubble found.
type verdict struct {
	tables []tableState
	stuck  map[place]string // payloads that are readable in a log whose shipping stopped, or that is not drained
}

type tableState struct {
	*table
	ct      *catalog.Table
	visible []fileRef
	bodies  map[string][]byte // of visible and removed files
}

// place is a sequence in (log, table UUID).
type place struct {
	log, table uuid.UUID
	seq        eventlog.Seq
}

// row is where an event was found in a table.
type row struct {
	log      uuid.UUID
	seq      eventlog.Seq
	payload  string
	sequence int64 // of the file
	removed  bool
}

// judge decodes the tables and compares them with what was acked.
func (w *world) judge() {
	found := map[string][]row{}
	for i := range w.verdict.tables {
		s := &w.verdict.tables[i]
		rows := w.rowsOf(s)
		w.checkOrder(s, rows)
		for _, r := range rows {
			found[r.payload] = append(found[r.payload], r)
		}
	}
	for _, payload := range slices.Sorted(maps.Keys(found)) {
		if _, known := w.events[payload]; !known {
			w.bad("event %q is in a table, and nobody sent it", payload)
		}
	}
	for _, payload := range slices.Sorted(maps.Keys(w.events)) {
		w.judgeEvent(w.events[payload], found[payload])
	}
}

func (w *world) judgeEvent(e *sent, rows []row) {
	if len(rows) > 1 {
		w.bad("event %s is in %s %d times (removed by a user: %v, %v)", e.payload, e.table.id.Name, len(rows), rows[0].removed, rows[1].removed)
		return
	}
	if !e.acked {
		return
	}
	if len(rows) == 1 {
		if rows[0].log != e.log || rows[0].seq != e.seq {
			w.bad("event %s was acked as %d of %s and is in %s as %d of %s", e.payload, e.seq, w.label("L", e.log), e.table.id.Name, rows[0].seq, w.label("L", rows[0].log))
		}
		if ct := w.stateOf(e.table).ct; !rows[0].removed && ct != nil && ct.Metadata.TableUUID != e.uuid {
			w.bad("event %s of an earlier table is in the one that was made anew in its place", e.payload)
		}
		return
	}
	if e.holders > 0 && !e.discarded && w.verdict.stuck[place{e.log, e.uuid, e.seq}] != e.payload {
		w.bad("acked event %s (%d of %s) is lost: it is neither in %s nor in a log whose shipping stopped", e.payload, e.seq, w.label("L", e.log), e.table.id.Name)
	}
}

func (w *world) stateOf(t *table) *tableState {
	for i := range w.verdict.tables {
		if w.verdict.tables[i].table == t {
			return &w.verdict.tables[i]
		}
	}
	return nil
}

// rowsOf decodes the data files of a table, those that a user removed included.
func (w *world) rowsOf(s *tableState) (rows []row) {
	seen := map[string]bool{}
	for _, f := range s.visible {
		if seen[f.path] {
			w.bad("%s has the file %s twice", s.id.Name, f.path)
		}
		seen[f.path] = true
		if int64(len(s.bodies[f.path])) != f.size {
			w.bad("%s: a file of %d bytes is said to have %d", s.id.Name, len(s.bodies[f.path]), f.size)
		}
		got := w.decode(s, f.path)
		if int64(len(got)) != f.rows {
			w.bad("%s: a file of %d rows is said to have %d", s.id.Name, len(got), f.rows)
		}
		for i := range got {
			got[i].sequence = f.sequence
		}
		rows = append(rows, got...)
	}
	for _, path := range slices.Sorted(maps.Keys(s.removed)) {
		if seen[path] {
			w.bad("%s: a user took file %s out, and it is back", s.id.Name, path)
			continue
		}
		got := w.decode(s, path)
		for i := range got {
			got[i].removed = true
		}
		rows = append(rows, got...)
	}
	return rows
}

// decode reads one data file. The events' schema never changes in the simulation.
func (w *world) decode(s *tableState, path string) (rows []row) {
	body := s.bodies[path]
	if len(body) == 0 {
		return nil // reported when it was looked for
	}
	b, err := datafile.Read(bytes.NewReader(body), int64(len(body)), iceberg.EventSchema(iceberg.String))
	if err != nil {
		w.bad("%s: read %s: %v", s.id.Name, path, err)
		return nil
	}
	for i := range b.Len {
		log, err := uuid.ParseBytes(b.Col(iceberg.FieldLog).Bytes(i))
		if err != nil {
			w.bad("%s: log id: %v", s.id.Name, err)
		}
		rows = append(rows, row{
			log: log, seq: eventlog.Seq(b.Col(iceberg.FieldSequence).Int64(i)),
			payload: string(b.Col(iceberg.FieldPayload).Bytes(i)),
		})
	}
	return rows
}

// checkOrder holds that a log's events came into the table in the order of their sequences.
func (w *world) checkOrder(s *tableState, rows []row) {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.removed })
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(bytes.Compare(a.log[:], b.log[:]), cmp.Compare(a.seq, b.seq))
	})
	for i := 1; i < len(rows); i++ {
		a, b := rows[i-1], rows[i]
		if a.log == b.log && a.sequence > b.sequence {
			w.bad("%s: event %d of %s came with sequence number %d, event %d with %d", s.id.Name, a.seq, w.label("L", a.log), a.sequence, b.seq, b.sequence)
		}
	}
}
