package column

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"firn/commitlib/iceberg"
)

// MaxDataBytes bounds Data of one vector: Ends are 32 bits wide. A segment is cut far below it.
const MaxDataBytes = math.MaxUint32

// ErrTooLarge says that a vector's bytes would no longer fit Ends: cut the batch before this row.
var ErrTooLarge = errors.New("column is larger than 4 GiB: cut the batch before this row")

// slots is the number of values that v holds: the rows of a batch, or 1 when v is Const.
func (v *Vector) slots() int {
	switch v.Kind {
	case Int32:
		return len(v.Int32s)
	case Int64:
		return len(v.Int64s)
	}
	return len(v.Ends)
}

// slot maps a row to the place of its value.
func (v *Vector) slot(row int) int {
	if v.Const {
		return 0
	}
	return row
}

// Null reports whether row has no value.
func (v *Vector) Null(row int) bool {
	if len(v.Valid) == 0 {
		return false
	}
	i := v.slot(row)
	return v.Valid[i>>6]>>(uint(i)&63)&1 == 0
}

// Int32 returns the value of row; Kind must be Int32.
func (v *Vector) Int32(row int) int32 { return v.Int32s[v.slot(row)] }

// Int64 returns the value of row; Kind must be Int64.
func (v *Vector) Int64(row int) int64 { return v.Int64s[v.slot(row)] }

// Bytes returns the value of row; Kind must be Bytes. The result shares the vector's memory.
func (v *Vector) Bytes(row int) []byte {
	i := v.slot(row)
	end := v.Ends[i]
	return v.Data[v.start(i):end:end]
}

// start is the place in Data where value i begins.
func (v *Vector) start(i int) uint32 {
	if i == 0 {
		return 0
	}
	return v.Ends[i-1]
}

// Span returns the bytes of the values of rows [lo, hi), end to end; v must not be
// Const. It shares the vector's memory.
func (v *Vector) Span(lo, hi int) []byte {
	if lo == hi {
		return nil
	}
	return v.Data[v.start(lo):v.Ends[hi-1]]
}

// Nulls counts the rows of a batch of n rows that have no value.
func (v *Vector) Nulls(n int) int {
	if len(v.Valid) == 0 {
		return 0
	}
	if v.Const {
		if v.Null(0) {
			return n
		}
		return 0
	}
	set := 0
	for i, w := range v.Valid {
		if rest := n - i<<6; rest < 64 {
			w &= 1<<uint(max(rest, 0)) - 1
		}
		set += bits.OnesCount64(w)
	}
	return n - set
}

// AppendInt32 adds a row; Kind must be Int32 and v not Const, as for every Append.
func (v *Vector) AppendInt32(x int32) {
	v.Int32s = append(v.Int32s, x)
	v.mark(len(v.Int32s)-1, true)
}

// AppendInt64 adds a row.
func (v *Vector) AppendInt64(x int64) {
	v.Int64s = append(v.Int64s, x)
	v.mark(len(v.Int64s)-1, true)
}

// AppendBytes adds a row with a copy of x. It fails with ErrTooLarge, and then changes nothing.
func (v *Vector) AppendBytes(x []byte) error {
	if len(x) > MaxDataBytes-len(v.Data) {
		return ErrTooLarge
	}
	v.Data = append(v.Data, x...)
	v.Ends = append(v.Ends, uint32(len(v.Data)))
	v.mark(len(v.Ends)-1, true)
	return nil
}

// AppendNull adds a row without a value.
func (v *Vector) AppendNull() {
	n := v.slots()
	if v.Valid == nil {
		v.Valid = v.spare[:0]
		for lo := 0; lo < n; lo += 64 {
			v.Valid = append(v.Valid, math.MaxUint64)
		}
		if v.Valid == nil {
			v.Valid = []uint64{}
		}
	}
	switch v.Kind {
	case Int32:
		v.Int32s = append(v.Int32s, 0)
	case Int64:
		v.Int64s = append(v.Int64s, 0)
	case Bytes:
		v.Ends = append(v.Ends, uint32(len(v.Data)))
	}
	v.mark(n, false)
}

// mark notes whether row, the newest, has a value. Without a bitmap every row has one.
func (v *Vector) mark(row int, valid bool) {
	if v.Valid == nil {
		return
	}
	if row>>6 >= len(v.Valid) {
		v.Valid = append(v.Valid, 0)
	}
	bit := uint64(1) << (uint(row) & 63)
	if valid {
		v.Valid[row>>6] |= bit
	} else {
		v.Valid[row>>6] &^= bit
	}
}

// Append adds rows [lo, hi) of src, which has the same Kind and may be Const; v must not be. It fails with
// ErrTooLarge, and then changes nothing.
func (v *Vector) Append(src *Vector, lo, hi int) error {
	if v.Kind != src.Kind || v.Const {
		return fmt.Errorf("append kind %d to kind %d (const %t): append to a plain vector of the same kind", src.Kind, v.Kind, v.Const)
	}
	if src.Const && lo < hi && v.Valid == nil && !src.Null(0) {
		if len(src.Data)*(hi-lo) > MaxDataBytes-len(v.Data) {
			return ErrTooLarge
		}
		v.appendOne(src)
		v.repeat(hi - lo - 1)
		return nil
	}
	if src.Const || len(src.Valid) != 0 || v.Valid != nil {
		return v.appendSlow(src, lo, hi)
	}
	switch v.Kind {
	case Int32:
		v.Int32s = append(v.Int32s, src.Int32s[lo:hi]...)
	case Int64:
		v.Int64s = append(v.Int64s, src.Int64s[lo:hi]...)
	case Bytes:
		span := src.Span(lo, hi)
		if len(span) > MaxDataBytes-len(v.Data) {
			return ErrTooLarge
		}
		shift := uint32(len(v.Data)) - src.start(lo) // wraps around: only sums are used
		v.Data = append(v.Data, span...)
		v.Ends = slices.Grow(v.Ends, hi-lo)
		for _, end := range src.Ends[lo:hi] {
			v.Ends = append(v.Ends, end+shift)
		}
	}
	return nil
}

// appendOne adds the value of a Const src, which is none of null; v has no nulls, and room was checked.
func (v *Vector) appendOne(src *Vector) {
	switch v.Kind {
	case Int32:
		v.Int32s = append(v.Int32s, src.Int32s[0])
	case Int64:
		v.Int64s = append(v.Int64s, src.Int64s[0])
	case Bytes:
		v.Data = append(v.Data, src.Data...)
		v.Ends = append(v.Ends, uint32(len(v.Data)))
	}
}

// appendSlow adds row by row: for nulls.
func (v *Vector) appendSlow(src *Vector, lo, hi int) error {
	if v.Kind == Bytes {
		var total int
		if src.Const {
			total = len(src.Data) * (hi - lo)
		} else {
			total = len(src.Span(lo, hi))
		}
		if total > MaxDataBytes-len(v.Data) {
			return ErrTooLarge
		}
	}
	for row := lo; row < hi; row++ {
		switch {
		case src.Null(row):
			v.AppendNull()
		case v.Kind == Int32:
			v.AppendInt32(src.Int32(row))
		case v.Kind == Int64:
			v.AppendInt64(src.Int64(row))
		default:
			if err := v.AppendBytes(src.Bytes(row)); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetInt32 makes v one value for every row; Kind must be Int32.
func (v *Vector) SetInt32(x int32) {
	v.Reset()
	v.AppendInt32(x)
	v.Const = true
}

// SetInt64 makes v one value for every row; Kind must be Int64.
func (v *Vector) SetInt64(x int64) {
	v.Reset()
	v.AppendInt64(x)
	v.Const = true
}

// SetBytes makes v one value, a copy of x, for every row; Kind must be Bytes.
func (v *Vector) SetBytes(x []byte) error {
	v.Reset()
	err := v.AppendBytes(x)
	v.Const = true
	return err
}

// SetNull makes every row null.
func (v *Vector) SetNull() {
	v.Reset()
	v.AppendNull()
	v.Const = true
}

// Reset empties v and keeps its memory for the next use.
func (v *Vector) Reset() {
	if v.Valid != nil {
		v.spare, v.Valid = v.Valid, nil
	}
	v.Const = false
	v.Int32s, v.Int64s, v.Data, v.Ends = v.Int32s[:0], v.Int64s[:0], v.Data[:0], v.Ends[:0]
}

// capacity counts the bytes held, used or not: what a pool or a memory budget has to count.
func (v *Vector) capacity() int {
	return 4*cap(v.Int32s) + 8*cap(v.Int64s) + cap(v.Data) + 4*cap(v.Ends) + 8*(cap(v.Valid)+cap(v.spare))
}

// size counts the bytes in use.
func (v *Vector) size() int {
	return 4*len(v.Int32s) + 8*len(v.Int64s) + len(v.Data) + 4*len(v.Ends) + 8*len(v.Valid)
}

// validate checks v as a column of n rows of field f.
func (v *Vector) validate(f iceberg.Field, n int) error {
	want, err := KindOf(f.Type)
	if err != nil {
		return err
	}
	if v.Kind != want {
		return fmt.Errorf("kind %d for type %s, want %d", v.Kind, f.Type, want)
	}
	if v.Const {
		n = 1
	}
	if got := v.slots(); got != n {
		return fmt.Errorf("%d values, want %d", got, n)
	}
	if v.Kind == Bytes {
		at := uint32(0)
		for i, end := range v.Ends {
			if end < at {
				return fmt.Errorf("value %d ends at %d, before it starts at %d", i, end, at)
			}
			at = end
		}
		if int(at) != len(v.Data) {
			return fmt.Errorf("values end at %d of %d bytes", at, len(v.Data))
		}
	}
	if v.Valid == nil {
		return nil
	}
	if words := (n + 63) / 64; len(v.Valid) != words {
		return fmt.Errorf("validity has %d words, want %d", len(v.Valid), words)
	}
	if nulls := v.Nulls(n); f.Required && nulls > 0 {
		return fmt.Errorf("%d nulls in a required column", nulls)
	}
	return nil
}
