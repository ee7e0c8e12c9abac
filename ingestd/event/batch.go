package event

import (
	"sync"

	"firn/commitlib/column"
)

// Batch holds the events of one request for one table as columns over Schema.
//
// Vectors are Const while all rows so far agree, which is the common case for partition and for a time that
// is the receipt time; a batch without keys has a Const, null key vector (Valid is one word, its bit 0
// unset). The payload vector is never Const.
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

// Batches are pooled by size, so that a small request never holds what a large one left behind: what batches in use
// hold stays in proportion to the bodies under way, which httpapi bounds. A class holds batches of at most so many
// bytes; larger ones, which come a few a second at most, are left to the collector.
var classes = [...]int{64 << 10, 512 << 10, 4 << 20}

var pools [len(classes)]sync.Pool

// classOf returns the smallest class that holds so many bytes, or len(classes).
func classOf(bytes int) int {
	for i, most := range classes {
		if bytes <= most {
			return i
		}
	}
	return len(classes)
}

// Get returns an empty batch for a body of so many bytes.
func Get(bodyBytes int) *Batch {
	if c := classOf(bodyBytes); c < len(classes) {
		if b, ok := pools[c].Get().(*Batch); ok {
			b.Reset()
			return b
		}
	}
	b := new(Batch)
	b.Cols = make([]column.Vector, numCols)
	b.Reset()
	return b
}

// Release gives the batch back. The caller must not touch it, nor any slice of it, afterwards.
func (b *Batch) Release() {
	if c := classOf(b.Capacity()); c < len(classes) {
		pools[c].Put(b)
	}
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

// add ends the next row, whose payload and key were appended to their arenas.
func (b *Batch) add(partition int32, micros int64, keyed bool) {
	p, t := &b.Cols[ColPartition], &b.Cols[ColTime]
	if keyed || b.Len == 0 || !p.Const || p.Int32s[0] != partition || !t.Const || t.Int64s[0] != micros || b.Keyed {
		b.addPartition(partition)
		b.addTime(micros)
		b.endKey(keyed)
	}
	b.endPayload()
	b.Len++
}

// addPartition appends the next row's partition.
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
