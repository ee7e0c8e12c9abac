package column

import (
	"bytes"
	"fmt"
	"slices"
)

// Concat is Append for a v that has rows rows and may be Const: it stays so while all that is added is Const and equal,
// and costs nothing then; else its value is written out once. After ErrTooLarge v's rows are as before.
func (v *Vector) Concat(rows int, src *Vector, lo, hi int) error {
	switch {
	case v.Kind != src.Kind:
		return fmt.Errorf("concat kind %d to kind %d: append to a vector of the same kind", src.Kind, v.Kind)
	case lo == hi:
		return nil
	case rows == 0:
		v.Reset() // a Const v has a value although it has no rows
		if !src.Const {
			break
		}
		if err := v.Append(src, 0, 1); err != nil {
			return err
		}
		v.Const = true
		return nil
	case v.Const && src.Const && v.equals(src):
		return nil
	}
	if v.Const {
		if err := v.writeOut(rows); err != nil {
			return err
		}
	}
	return v.Append(src, lo, hi)
}

// equals compares the single values of two Const vectors of one kind.
func (v *Vector) equals(o *Vector) bool {
	switch {
	case v.Null(0) || o.Null(0):
		return v.Null(0) && o.Null(0)
	case v.Kind == Int32:
		return v.Int32s[0] == o.Int32s[0]
	case v.Kind == Int64:
		return v.Int64s[0] == o.Int64s[0]
	}
	return bytes.Equal(v.Data, o.Data)
}

// writeOut makes a Const vector a plain one of n rows.
func (v *Vector) writeOut(n int) error {
	if v.Kind == Bytes && len(v.Data)*n > MaxDataBytes {
		return ErrTooLarge
	}
	v.Const = false
	if v.Null(0) {
		for range n - 1 {
			v.AppendNull()
		}
		return nil
	}
	v.Valid = nil
	v.repeat(n - 1)
	return nil
}

// repeat adds the last value n times; no row of v is null, and the bytes were checked to fit.
func (v *Vector) repeat(n int) {
	switch v.Kind {
	case Int32:
		v.Int32s = fill(v.Int32s, n)
	case Int64:
		v.Int64s = fill(v.Int64s, n)
	case Bytes:
		last := len(v.Ends) - 1
		from, size := v.start(last), v.Ends[last]-v.start(last)
		v.Data, v.Ends = slices.Grow(v.Data, n*int(size)), slices.Grow(v.Ends, n)
		for range n {
			v.Data = append(v.Data, v.Data[from:from+size]...)
			v.Ends = append(v.Ends, uint32(len(v.Data)))
		}
	}
}

// fill adds the last of s n times.
func fill[T int32 | int64](s []T, n int) []T {
	from, x := len(s), s[len(s)-1]
	s = slices.Grow(s, n)[:from+n]
	for i := range s[from:] {
		s[from+i] = x
	}
	return s
}
