package datafile

import (
	"fmt"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// lane is one partition field's view of a batch: its source column and the transform.
type lane struct {
	v    *column.Vector // nil: void, always null
	kind column.Kind    // of the partition value

	of   func(int64) int64 // the transform; nil: identity
	unit int64             // microseconds within which a time's partition value cannot change, from a multiple of it
	low  int64             // value holds for times in [low, low+span)
	span int64
	last int64

	block []int64 // the partition values of a block of rows; of one when v is Const
	from  int     // the block's first row
	end   int     // place in the block where the run of equal values ends that was asked for last
}

func newLane(b *column.Batch, f iceberg.PartitionField) (lane, error) {
	src, ok := b.Schema.FieldByID(f.SourceID)
	if !ok {
		return lane{}, fmt.Errorf("source column %d is not in the batch", f.SourceID)
	}
	if f.Transform == iceberg.TransformVoid {
		return lane{}, nil
	}
	const hour = 3_600_000_000
	v := b.Col(f.SourceID)
	l := lane{v: v, kind: column.Int32, unit: 24 * hour, block: make([]int64, splitBlock)}
	switch f.Transform {
	case iceberg.TransformHour:
		l.of, l.unit = widen(iceberg.HourOf), hour
	case iceberg.TransformDay:
		l.of = widen(iceberg.DayOf)
	case iceberg.TransformMonth:
		l.of = widen(iceberg.MonthOf)
	case iceberg.TransformYear:
		l.of = widen(iceberg.YearOf)
	case iceberg.TransformIdentity:
		if v.Kind != column.Bytes {
			l.kind = v.Kind
			return l, nil
		}
		return lane{}, fmt.Errorf("identity of a %s column: partition by a number or a time", src.Type)
	default:
		return lane{}, fmt.Errorf("transform %q is not one that Firn applies", f.Transform)
	}
	if src.Type != iceberg.TimestampTZ {
		return lane{}, fmt.Errorf("%s of a %s column: it takes a timestamptz", f.Transform, src.Type)
	}
	return l, nil
}

func widen(of func(int64) int32) func(int64) int64 {
	return func(x int64) int64 { return int64(of(x)) }
}

// fill transforms n rows from row from on: a block.
func (l *lane) fill(from, n int) {
	l.from, l.end = from, 0
	switch {
	case l.v == nil:
		return
	case l.v.Const && l.v.Kind == column.Int32:
		l.block[0], n = int64(l.v.Int32s[0]), 1
	case l.v.Const:
		l.block[0], n = l.v.Int64s[0], 1
	case l.v.Kind == column.Int32:
		for i, x := range l.v.Int32s[from : from+n] {
			l.block[i] = int64(x)
		}
	default:
		copy(l.block, l.v.Int64s[from:from+n])
	}
	if l.of == nil {
		return
	}
	// Most times lie in the unit of the one before: a subtraction and a comparison
	// instead of the transform's divisions.
	low, span, last := l.low, l.span, l.last
	for i, x := range l.block[:n] {
		if uint64(x-low) >= uint64(span) {
			low, span, last = x-mod(x, l.unit), l.unit, l.of(x)
			if low > x || low+span < low { // the unit reaches beyond the numbers, at either end
				low, span = x, 1
			}
		}
		l.block[i] = last
	}
	l.low, l.span, l.last = low, span, last
}

// mod is what x lies above a multiple of unit.
func mod(x, unit int64) int64 {
	if m := x % unit; m >= 0 {
		return m
	} else {
		return m + unit
	}
}

// run returns the value at place i of the block, and for how many of the next limit rows it stays.
func (l *lane) run(i, limit int) (ordinal, int) {
	switch {
	case l.v == nil:
		return ordinal{}, limit
	case l.v.Const:
		return ordinal{value: l.block[0], valid: true}.orNull(l.v.Null(0)), limit
	case len(l.v.Valid) > 0:
		return ordinal{value: l.block[i], valid: true}.orNull(l.v.Null(l.from + i)), 1
	}
	x := l.block[i]
	if i >= l.end { // another lane may have cut the run short before: its end is not looked for again
		l.end = i + 1
		for l.end < i+limit && l.block[l.end] == x {
			l.end++
		}
	}
	return ordinal{value: x, valid: true}, min(limit, l.end-i)
}

func (o ordinal) orNull(null bool) ordinal {
	if null {
		return ordinal{}
	}
	return o
}
