package datafile

import (
	"bytes"
	"encoding/binary"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// bounds is the least and the greatest value of some rows of one column, and how many rows have none.
type bounds struct {
	any      bool // a row has a value; else the others mean nothing
	nulls    int
	min, max int64  // Int32, Int64
	low, top []byte // Bytes: share the batch's memory
}

// addInts widens b by every value.
func (b *bounds) addInts(values []int64) {
	if len(values) == 0 {
		return
	}
	lo, hi := values[0], values[0]
	for _, x := range values {
		lo, hi = min(lo, x), max(hi, x)
	}
	b.merge(bounds{any: true, min: lo, max: hi}, column.Int64)
}

// addBytes widens b by x. Bytes order, which is also the order of code points in UTF-8.
func (b *bounds) addBytes(x []byte) {
	if !b.any {
		b.any, b.low, b.top = true, x, x
		return
	}
	if bytes.Compare(x, b.top) > 0 {
		b.top = x
	} else if bytes.Compare(x, b.low) < 0 {
		b.low = x
	}
}

// merge widens b by o.
func (b *bounds) merge(o bounds, k column.Kind) {
	b.nulls += o.nulls
	if !o.any {
		return
	}
	if !b.any {
		nulls := b.nulls
		*b = o
		b.nulls = nulls
		return
	}
	if k != column.Bytes {
		b.min, b.max = min(b.min, o.min), max(b.max, o.max)
		return
	}
	b.addBytes(o.low)
	b.addBytes(o.top)
}

// plain is x as Parquet's PLAIN encoding and Iceberg's single-value serialization (Appendix D) both have it.
func plain(dst []byte, x int64, k column.Kind) []byte {
	if k == column.Int32 {
		return binary.LittleEndian.AppendUint32(dst, uint32(x))
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(x))
}

// plainInt reads what plain writes.
func plainInt(v []byte, k column.Kind) (int64, bool) {
	switch {
	case k == column.Int32 && len(v) == 4:
		return int64(int32(binary.LittleEndian.Uint32(v))), true
	case k == column.Int64 && len(v) == 8:
		return int64(binary.LittleEndian.Uint64(v)), true
	}
	return 0, false
}

// iceberg returns the bounds as a manifest states them, truncated outwards for string and binary; upper is nil where no
// short value lies above the greatest one.
func (b *bounds) iceberg(t iceberg.Type, k column.Kind) (lower, upper []byte) {
	if k != column.Bytes {
		return plain(nil, b.min, k), plain(nil, b.max, k)
	}
	lower = notNil(bytes.Clone(iceberg.TruncateLower(t, b.low)))
	if up, ok := iceberg.TruncateUpper(t, b.top); ok {
		upper = notNil(bytes.Clone(up))
	}
	return lower, upper
}

// maxExactBound is the longest value, in bytes, that a row group's statistics state, which have no place to say that a
// bound is truncated: a longer one is left out there. It is also the longest that a page index states where an upper
// bound has no truncated form (only the greatest bytes, or no UTF-8): beyond it the column chunk goes without one.
const maxExactBound = 64

// exact returns the bounds for a row group's statistics, or nothing where one is too long.
func (b *bounds) exact(k column.Kind) (lower, upper []byte, ok bool) {
	if k != column.Bytes {
		return plain(nil, b.min, k), plain(nil, b.max, k), true
	}
	if len(b.low) > maxExactBound || len(b.top) > maxExactBound {
		return nil, nil, false
	}
	return notNil(bytes.Clone(b.low)), notNil(bytes.Clone(b.top)), true
}

// notNil keeps an empty bound apart from an absent one.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
