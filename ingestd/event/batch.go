package event

import (
	"sync"

	"firn/commitlib/column"
)

// Batch holds the events of one request for one table as columns over Schema.
//
// Vectors are Const while all rows so far agree, which is the common case for partition and for a time that is the
// receipt time; a batch without keys has a Const, null key vector (Valid is one word, its bit 0 unset). The payload vector is
// never Const.
//
// A batch belongs to one goroutine at a time. It is handed to the log for the duration of an append and may be released
// when that has returned.
type Batch struct {
	column.Batch
	Keyed bool // at least one event has an idempotency key

	keys    int      // rows with a key
	valid   []uint64 // the key vector's Valid arena, kept while Valid is nil
	members []byte   // scratch for a member name that is written with escapes
}

// maxPooledBytes is the largest arena that goes back into the pool: four times the median bulk body (256 KiB), so that one huge
// request does not leave its memory behind for good.
const maxPooledBytes = 1 << 20

var pool = sync.Pool{New: func() any {
	b := new(Batch)
	b.Cols = make([]column.Vector, numCols)
	return b
}}

// Get returns an empty batch from the pool.
func Get() *Batch {
	b := pool.Get().(*Batch)
	b.Reset()
	return b
}

// Release gives the batch back. The caller must not touch it, nor any slice of it, afterwards.
func (b *Batch) Release() {
	p, k := &b.Cols[ColPayload], &b.Cols[ColKey]
	if cap(p.Data) > maxPooledBytes || cap(p.Ends) > maxPooledBytes/4 || cap(k.Data) > maxPooledBytes {
		return
	}
	pool.Put(b)
}

// Reset empties the batch and keeps its arenas.
func (b *Batch) Reset() {
	b.Schema = Schema
	b.Len = 0
	b.Keyed = false
	b.keys = 0
	for i := range b.Cols {
		v := &b.Cols[i]
		v.Kind, v.Const, v.Valid = kinds[i], true, nil
		v.Int32s, v.Int64s, v.Data, v.Ends = v.Int32s[:0], v.Int64s[:0], v.Data[:0], v.Ends[:0]
	}
	b.Cols[ColPayload].Const = false
	k := &b.Cols[ColKey]
	k.Ends = append(k.Ends, 0)
	b.valid = append(b.valid[:0], 0)
	k.Valid = b.valid
}

// addPartition appends the next row's partition. Every adder is called once a row, and then b.Len is raised.
func (b *Batch) addPartition(p int32) {
	v := &b.Cols[ColPartition]
	if v.Const {
		if b.Len == 0 {
			v.Int32s = append(v.Int32s, p)
			return
		}
		if v.Int32s[0] == p {
			return
		}
		v.Const = false
		for range b.Len - 1 {
			v.Int32s = append(v.Int32s, v.Int32s[0])
		}
	}
	v.Int32s = append(v.Int32s, p)
}

// addTime appends the next row's event time in microseconds.
func (b *Batch) addTime(micros int64) {
	v := &b.Cols[ColTime]
	if v.Const {
		if b.Len == 0 {
			v.Int64s = append(v.Int64s, micros)
			return
		}
		if v.Int64s[0] == micros {
			return
		}
		v.Const = false
		for range b.Len - 1 {
			v.Int64s = append(v.Int64s, v.Int64s[0])
		}
	}
	v.Int64s = append(v.Int64s, micros)
}

// endKey closes the next row's key, whose bytes, if it has one, were appended to the key vector's Data.
func (b *Batch) endKey(present bool) {
	v := &b.Cols[ColKey]
	if v.Const {
		if !present {
			return
		}
		v.Const = false
		v.Ends = v.Ends[:0]
		for range b.Len {
			v.Ends = append(v.Ends, 0)
		}
		for len(b.valid) < b.Len/64+1 {
			b.valid = append(b.valid, 0)
		}
		b.Keyed = true
	}
	v.Ends = append(v.Ends, uint32(len(v.Data)))
	if b.Len/64 >= len(b.valid) {
		b.valid = append(b.valid, 0)
	}
	if present {
		b.valid[b.Len/64] |= 1 << (b.Len % 64)
		b.keys++
	}
}

// endPayload closes the next row's payload, whose bytes were appended to the payload vector's Data.
func (b *Batch) endPayload() {
	v := &b.Cols[ColPayload]
	v.Ends = append(v.Ends, uint32(len(v.Data)))
}

// finish makes the key vector's validity canonical: nil where every row has a key.
func (b *Batch) finish() {
	v := &b.Cols[ColKey]
	v.Valid = b.valid
	if b.keys == b.Len {
		v.Valid = nil
	}
}

// Payload returns the bytes of row i; they are valid until the batch is released.
func (b *Batch) Payload(i int) []byte { return bytesAt(&b.Cols[ColPayload], i) }

// Key returns the idempotency key of row i, and whether it has one.
func (b *Batch) Key(i int) ([]byte, bool) {
	v := &b.Cols[ColKey]
	if v.Const || v.Valid != nil && v.Valid[i/64]>>(i%64)&1 == 0 {
		return nil, false
	}
	return bytesAt(v, i), true
}

// Partition returns the partition of row i.
func (b *Batch) Partition(i int) int32 {
	if v := &b.Cols[ColPartition]; !v.Const {
		return v.Int32s[i]
	}
	return b.Cols[ColPartition].Int32s[0]
}

// Time returns the event time of row i in microseconds since the Unix epoch.
func (b *Batch) Time(i int) int64 {
	if v := &b.Cols[ColTime]; !v.Const {
		return v.Int64s[i]
	}
	return b.Cols[ColTime].Int64s[0]
}

func bytesAt(v *column.Vector, i int) []byte {
	start := uint32(0)
	if i > 0 {
		start = v.Ends[i-1]
	}
	return v.Data[start:v.Ends[i]]
}
