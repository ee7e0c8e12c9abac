package datafile

import (
	"fmt"

	"firn/commitlib/column"
)

// pick is a choice of a batch's rows, rising: rows when it is set, else the range [lo, hi).
type pick struct {
	rows   []uint32
	lo, hi int
}

// newPick checks rows (nil: all of b). That they rise is what lets slice find ranges by their ends alone.
func newPick(b *column.Batch, rows []uint32) (pick, error) {
	if rows == nil {
		return pick{lo: 0, hi: b.Len}, nil
	}
	last := -1
	for i, r := range rows {
		if int(r) <= last {
			return pick{}, fmt.Errorf("row %d of the choice is %d, after %d: give rising row numbers", i, r, last)
		}
		last = int(r)
	}
	if last >= b.Len {
		return pick{}, fmt.Errorf("row %d chosen of a batch of %d", last, b.Len)
	}
	return pick{rows: rows}.dense(), nil
}

func (p pick) len() int {
	if p.rows != nil {
		return len(p.rows)
	}
	return p.hi - p.lo
}

// dense turns rows without a gap into a range.
func (p pick) dense() pick {
	if n := len(p.rows); n > 0 && int(p.rows[n-1]-p.rows[0]) == n-1 {
		return pick{lo: int(p.rows[0]), hi: int(p.rows[0]) + n}
	}
	return p
}

// slice is the choice's rows i to j, as a range where they have no gap: long runs are the usual input.
func (p pick) slice(i, j int) pick {
	if p.rows == nil {
		return pick{lo: p.lo + i, hi: p.lo + j}
	}
	return pick{rows: p.rows[i:j]}.dense()
}

// row is the batch's row at place i of the choice.
func (p pick) row(i int) int {
	if p.rows != nil {
		return int(p.rows[i])
	}
	return p.lo + i
}

// bytesOf sums the lengths of v's values in the choice.
func (p pick) bytesOf(v *column.Vector) int {
	switch {
	case v.Const:
		return p.len() * len(v.Data)
	case p.rows == nil:
		return len(v.Span(p.lo, p.hi))
	}
	n := 0
	for _, r := range p.rows {
		n += len(v.Bytes(int(r)))
	}
	return n
}

// rowGroups calls fn for consecutive parts of the choice, each of at most limit bytes of values, or of one row.
func (p pick) rowGroups(b *column.Batch, limit int, fn func(pick) error) error {
	fixed, total := 0, 0
	var wide []*column.Vector
	for i := range b.Cols {
		switch v := &b.Cols[i]; {
		case v.Const:
		case v.Kind == column.Int32:
			fixed += 4
		case v.Kind == column.Int64:
			fixed += 8
		default:
			fixed += 4
			total += p.bytesOf(v)
			wide = append(wide, v)
		}
	}
	if total += fixed * p.len(); total <= limit {
		return fn(p)
	}
	start, used := 0, 0
	for i := range p.len() {
		row, size := p.row(i), fixed
		for _, v := range wide {
			size += len(v.Bytes(row))
		}
		if used+size > limit && i > start {
			if err := fn(p.slice(start, i)); err != nil {
				return err
			}
			start, used = i, 0
		}
		used += size
	}
	return fn(p.slice(start, p.len()))
}
