package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"firn/ingestd/kv"
)

// Idempotency keys. A key is remembered per table over all logs of the directory: Dedup holds (table, key) → the first
// result, DedupExpiry holds, by time, which keys each append brought. Both are written in the batch of the events
// themselves, so a key is known if and only if its event is durable.
//
// A key in the group under way is claimed in memory; whoever repeats it is answered after the group's sync, with the
// first's result. A key is forgotten once its window has passed; until then nothing pushes it out: when the budget is
// full, appends that bring new keys are refused.
//
// Bytes are counted exactly, keys and values of both families, and stored in the same batch.

// firstResult is where an idempotency key's event went.
type firstResult struct {
	log uuid.UUID
	seq Seq
	ms  int64 // when, which is the time in its expiry record
}

const firstResultBytes = 16 + 8 + 8

func (f firstResult) append(dst []byte) []byte {
	dst = append(dst, f.log[:]...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(f.seq))
	return binary.BigEndian.AppendUint64(dst, uint64(f.ms))
}

func decodeFirstResult(v []byte) (firstResult, error) {
	if len(v) != firstResultBytes {
		return firstResult{}, fmt.Errorf("decode idempotency key: %d bytes", len(v))
	}
	f := firstResult{seq: Seq(binary.BigEndian.Uint64(v[16:])), ms: int64(binary.BigEndian.Uint64(v[24:]))}
	copy(f.log[:], v)
	return f, nil
}

// decide finds the rows of r that are duplicates, and what their first results were. It claims nothing.
func (w *writer) decide(r *request) (dropped []uint64, err error) {
	r.result = Appended{Accepted: r.rows}
	if r.keys == nil {
		return nil, nil
	}
	now := w.l.cfg.Clock().UnixMilli()
	inside := map[string]struct{}{} // keys of this request alone: the first of equal ones is kept
	var first, last firstResult
	drop := func(row int) {
		if dropped == nil {
			dropped = make([]uint64, (r.rows+63)/64)
		}
		dropped[row/64] |= 1 << (row % 64)
		r.result.Accepted--
		r.result.Duplicates++
	}
	for row := range r.rows {
		if r.keys.Null(row) {
			continue
		}
		w.key = dedupKey(w.key[:0], r.table.UUID, r.keys.Bytes(row))
		if _, again := inside[string(w.key)]; again {
			drop(row)
			continue
		}
		f, there, err := w.lookUp(w.key)
		if err != nil {
			return nil, err
		}
		if !there || now-f.ms >= w.l.cfg.DedupWindow.Milliseconds() {
			inside[string(w.key)] = struct{}{}
			if !there { // else it takes the place of one whose window has passed
				r.grows += int64(len(w.key)) + firstResultBytes
			}
			continue
		}
		if first.seq == 0 {
			first = f
		}
		last = f
		drop(row)
	}
	if r.result.Accepted == 0 {
		r.result.Log, r.result.First, r.result.Last = first.log, first.seq, first.seq
		if last.log == first.log && last.seq > first.seq {
			r.result.Last = last.seq
		}
	}
	return dropped, nil
}

// lookUp finds a key's first result, in this group or in the store.
func (w *writer) lookUp(key []byte) (firstResult, bool, error) {
	if f, ok := w.claims[string(key)]; ok {
		return f, true, nil
	}
	if _, gone := w.forgotten[string(key)]; gone {
		return firstResult{}, false, nil
	}
	v, ok, err := w.l.store.Get(kv.Dedup, key, w.value[:0])
	w.value = v
	if err != nil {
		return firstResult{}, false, fmt.Errorf("look up idempotency key: %w", err)
	}
	if !ok {
		return firstResult{}, false, nil
	}
	f, err := decodeFirstResult(v)
	return f, err == nil, err
}

// remember puts the new keys of r, whose rows are stored from first on, into the batch, and claims them.
func (w *writer) remember(r *request, t *track, first Seq, dropped []uint64) error {
	if r.keys == nil {
		return nil
	}
	f := firstResult{log: t.log, seq: first, ms: w.l.cfg.Clock().UnixMilli()}
	expiry := expiryKey(nil, f.ms, t.id, first)
	record := append([]byte(nil), r.table.UUID[:]...)
	eachNew(r, dropped, func(_ int, key []byte) {
		record = binary.AppendUvarint(record, uint64(len(key)))
		record = append(record, key...)
	})
	if len(record) == len(r.table.UUID) {
		return nil // every event with a key was a duplicate
	}
	grows := r.grows + int64(len(expiry)+len(record))
	if w.dedup+grows > w.l.cfg.DedupBytes {
		return &Refusal{ErrDedupFull, retryDedup}
	}
	if w.claims == nil {
		w.claims = map[string]firstResult{}
	}
	eachNew(r, dropped, func(nth int, key []byte) {
		f.seq = first + Seq(nth)
		w.key = dedupKey(w.key[:0], r.table.UUID, key)
		w.claims[string(w.key)] = f
		w.value = f.append(w.value[:0])
		w.batch.Put(kv.Dedup, w.key, w.value)
	})
	w.batch.Put(kv.DedupExpiry, expiry, record)
	w.setDedup(w.dedup + grows)
	return nil
}

// eachNew visits the keys of the rows that are stored; nth counts stored rows, with and without a key.
func eachNew(r *request, dropped []uint64, fn func(nth int, key []byte)) {
	nth := 0
	for row := range r.rows {
		if dropped != nil && dropped[row/64]>>(row%64)&1 != 0 {
			continue
		}
		if !r.keys.Null(row) {
			fn(nth, r.keys.Bytes(row))
		}
		nth++
	}
}

func (w *writer) setDedup(n int64) {
	w.dedup = n
	w.batch.Put(kv.Meta, []byte(metaDedupBytes), binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// Remembers reports whether idempotency keys are remembered: a later Trim has them to forget,
// even if nothing is appended until then.
func (l *Log) Remembers() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.dedup > 0
}

// maxExpired is how many keys one change forgets, at about 5 µs each: appends wait behind it.
const maxExpired = 1000

// forget removes the keys whose window has passed, the oldest first; more says that there are others. It runs as a
// change, before the appends of its group, which may bring such keys anew.
func (w *writer) forget(now int64) (more bool, err error) {
	before := now - w.l.cfg.DedupWindow.Milliseconds()
	if before <= 0 {
		return false, nil
	}
	freed, n := int64(0), 0
	type record struct{ key, value []byte }
	var due []record
	err = w.l.store.Iterate(kv.DedupExpiry, nil, binary.BigEndian.AppendUint64(nil, uint64(before)+1), false, func(k, v []byte) error {
		if n >= maxExpired {
			more = true
			return kv.ErrStop
		}
		count, err := eachKey(v, func([]byte) error { return nil })
		if err != nil {
			return err
		}
		n += count
		due = append(due, record{append([]byte(nil), k...), append([]byte(nil), v...)})
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("forget idempotency keys: %w", err)
	}
	if len(due) == 0 {
		return false, nil
	}
	if w.forgotten == nil {
		w.forgotten = map[string]struct{}{}
	}
	var keys [][]byte // collected first: an error on the way must leave the batch as it is
	for _, d := range due {
		ms := int64(binary.BigEndian.Uint64(d.key))
		freed += int64(len(d.key) + len(d.value))
		_, err := eachKey(d.value, func(key []byte) error {
			key = dedupKey(nil, uuid.UUID(d.value[:16]), key)
			f, there, err := w.lookUp(key)
			if err != nil || !there || f.ms != ms { // f.ms: brought anew since
				return err
			}
			keys = append(keys, key)
			freed += int64(len(key)) + firstResultBytes
			return nil
		})
		if err != nil {
			return false, fmt.Errorf("forget idempotency keys: %w", err)
		}
	}
	for _, key := range keys {
		w.batch.Delete(kv.Dedup, key)
		w.forgotten[string(key)] = struct{}{}
	}
	for _, d := range due {
		w.batch.Delete(kv.DedupExpiry, d.key)
	}
	w.setDedup(w.dedup - freed)
	return more, nil
}

var errExpiryRecord = errors.New("decode expiry of idempotency keys: record is cut short")

// eachKey decodes an expiry record.
func eachKey(v []byte, fn func(key []byte) error) (int, error) {
	if len(v) < 16 {
		return 0, errExpiryRecord
	}
	n := 0
	for v = v[16:]; len(v) > 0; n++ {
		size, width := binary.Uvarint(v)
		if width <= 0 || size > uint64(len(v)-width) {
			return 0, errExpiryRecord
		}
		if err := fn(v[width : width+int(size)]); err != nil {
			return 0, err
		}
		v = v[width+int(size):]
	}
	return n, nil
}
