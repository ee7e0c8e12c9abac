package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"firn/commitlib/column"
	"firn/ingestd/kv"
)

// Rows is a run of consecutive events. It is valid during the call that it is handed to.
type Rows struct {
	Log    uuid.UUID
	First  Seq
	Ingest int64         // microseconds since the Unix epoch: when their request was received
	Batch  *column.Batch // over Config.Schema
}

// chunk is how many index entries a reader takes at a time: no iterator, which would pin files, is held while it works.
const chunk = 64

// reader decodes blocks into memory of its own, which it uses again and again.
type reader struct {
	l              *Log
	rows, tmp, cut *column.Batch
	value          []byte
	track          Track // whose entries these are
	entries        []indexEntry
}

var readers sync.Pool

func (l *Log) reader() *reader {
	if r, ok := readers.Get().(*reader); ok && r.rows.Schema == l.cfg.Schema {
		r.l = l
		return r
	}
	return &reader{l: l, rows: newBatch(l.cfg.Schema), tmp: newBatch(l.cfg.Schema), cut: newBatch(l.cfg.Schema)}
}

func (r *reader) release() {
	if r.rows.Capacity()+r.tmp.Capacity()+r.cut.Capacity()+cap(r.value) <= 4*maxScratch {
		r.l, r.entries = nil, r.entries[:0]
		readers.Put(r)
	}
}

// Read calls fn for the events [first, last] of a track, in order, a block or a part of one at a time. Both
// must lie between the low and the high watermark; it returns ErrTrimmed when first does not, or no longer
// does. Its memory is that of one block.
func (l *Log) Read(ctx context.Context, t Track, first, last Seq, fn func(Rows) error) error {
	tr, err := l.find(t)
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	s := l.durable(tr)
	if first < s.low {
		return fmt.Errorf("read events from %d of track %d: %w", first, t, ErrTrimmed)
	}
	if last > s.high {
		return fmt.Errorf("read events to %d of track %d: the last is %d", last, t, s.high)
	}
	r := l.reader()
	defer r.release()
	for first <= last {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		h, err := r.block(tr, first)
		if err != nil {
			return fmt.Errorf("read event %d of track %d: %w", first, t, err)
		}
		end := min(h.first+Seq(h.count)-1, last)
		rows := r.rows
		if first > h.first || end < h.first+Seq(h.count)-1 {
			r.cut.Reset()
			if err := r.cut.Append(r.rows, int(first-h.first), int(end+1-h.first)); err != nil {
				return fmt.Errorf("read event %d of track %d: %w", first, t, err)
			}
			rows = r.cut
		}
		if err := fn(Rows{Log: tr.log, First: first, Ingest: h.ingest, Batch: rows}); err != nil {
			return err
		}
		first = end + 1
	}
	return nil
}

// block decodes the block that holds seq, which is not beyond the high watermark, into r.rows.
func (r *reader) block(t *track, seq Seq) (blockHeader, error) {
	e, v, ok := r.l.tail.get(t.id, seq)
	if !ok {
		var err error
		if e, v, err = r.stored(t, seq); err != nil {
			return blockHeader{}, err
		}
	}
	h, err := decodeBlock(v, r.rows, r.tmp)
	if err != nil {
		return h, err
	}
	if h.track != t.id || h.first != e.first || h.count != int(e.count) {
		return h, fmt.Errorf("block at position %d holds %d events from %d of track %d, the index says %d from %d: the log is damaged",
			e.position, h.count, h.first, h.track, e.count, e.first)
	}
	return h, nil
}

// errMoved says that a block was moved or trimmed since its index entry was read.
var errMoved = errors.New("block is not where the index said")

// stored reads a block from the store. A block that is moved meanwhile is found again through the index.
func (r *reader) stored(t *track, seq Seq) (indexEntry, []byte, error) {
	for attempt := 0; ; attempt++ {
		e, err := r.entry(t, seq)
		if err != nil {
			return e, nil, err
		}
		v, ok, err := r.l.store.Get(kv.Blocks, positionKey(nil, e.position), r.value[:0])
		r.value = v
		if err != nil {
			return e, nil, err
		}
		if ok {
			return e, v, nil
		}
		r.entries = r.entries[:0]
		if r.l.durable(t).low > seq {
			return e, nil, ErrTrimmed
		}
		if attempt == 3 {
			return e, nil, fmt.Errorf("position %d: %w", e.position, errMoved)
		}
	}
}

// entry returns the index entry of the block that holds seq, from the chunk at hand or a new one.
func (r *reader) entry(t *track, seq Seq) (indexEntry, error) {
	for len(r.entries) > 0 && r.track == t.id && r.entries[0].last() < seq {
		r.entries = r.entries[1:]
	}
	if len(r.entries) == 0 || r.entries[0].first > seq || r.track != t.id {
		r.track, r.entries = t.id, r.entries[:0]
		err := r.l.entries(t.id, seq, func(e indexEntry) error {
			if len(r.entries) == chunk {
				return kv.ErrStop
			}
			r.entries = append(r.entries, e)
			return nil
		})
		if err != nil {
			return indexEntry{}, err
		}
	}
	if len(r.entries) == 0 || r.entries[0].first > seq {
		if r.l.durable(t).low > seq {
			return indexEntry{}, ErrTrimmed
		}
		return indexEntry{}, errors.New("the index has no block there: the log is damaged")
	}
	return r.entries[0], nil
}
