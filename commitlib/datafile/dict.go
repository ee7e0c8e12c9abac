package datafile

import (
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/rle"
)

const (
	// maxDict bounds a dictionary's values: above 12 bits an index costs about what zstd makes of a number.
	maxDict = 4096

	dictBits  = 14
	dictSlots = 1 << dictBits // never more than a quarter full
)

// dict numbers the distinct values of a chunk in the order of their first appearance. It is a fixed table of 64 KiB and
// the values, cleared by walking the values, so that small files do not pay for it.
type dict struct {
	values []int64
	slots  []uint32 // place in values, plus 1; 0 is free
	limit  int
}

// reset empties d for a chunk of rows: a dictionary with more than an eighth as many values is not worth it.
func (d *dict) reset(rows int) {
	if d.slots == nil {
		d.slots = make([]uint32, dictSlots)
	}
	for i := len(d.values) - 1; i >= 0; i-- { // newest first: no probe then crosses a slot freed before
		d.slots[d.find(d.values[i])] = 0
	}
	d.values = d.values[:0]
	d.limit = min(maxDict, rows/8)
}

// find returns the slot that holds x, or the free one where it belongs.
func (d *dict) find(x int64) int {
	i := int(uint64(x) * 0x9E3779B97F4A7C15 >> (64 - dictBits))
	for {
		s := d.slots[i]
		if s == 0 || d.values[s-1] == x {
			return i
		}
		i = (i + 1) & (dictSlots - 1)
	}
}

// add numbers values; false means that they became too many, and d is of no use.
func (d *dict) add(values []int64) bool {
	var last int64
	for i, x := range values {
		if i > 0 && x == last {
			continue
		}
		last = x
		slot := d.find(x)
		if d.slots[slot] != 0 {
			continue
		}
		if len(d.values) == d.limit {
			return false
		}
		d.values = append(d.values, x)
		d.slots[slot] = uint32(len(d.values))
	}
	return true
}

// appendIndexes appends a data page's body: the indexes' width, and the places of values in the dictionary.
func (e *Encoder) appendIndexes(raw []byte, values []int64) ([]byte, error) {
	indexes := e.indexes[:0]
	var last int64
	var index int32
	for i, x := range values {
		if i == 0 || x != last {
			last = x
			index = int32(e.dict.slots[e.dict.find(x)]) - 1
		}
		indexes = append(indexes, index)
	}
	e.indexes = indexes
	width := max(1, bits.Len(uint(len(e.dict.values)-1)))
	packed, err := (&rle.Encoding{BitWidth: width}).EncodeInt32(e.packed[:0], indexes)
	e.packed = packed
	return append(append(raw, byte(width)), packed...), err
}
