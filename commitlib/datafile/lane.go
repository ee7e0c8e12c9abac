package datafile

import (
	"fmt"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// lane is one partition field's view of a batch: its source column and the transform.
type lane struct {
	v         *column.Vector // nil: void, always null
	kind      column.Kind    // of the partition value
	transform func(int64) int64
	block     []int64 // the transformed values of the block's rows
	from      int     // the block's first row
}

func newLane(b *column.Batch, f iceberg.PartitionField) (lane, error) {
	src, ok := b.Schema.FieldByID(f.SourceID)
	if !ok {
		return lane{}, fmt.Errorf("source column %d is not in the batch", f.SourceID)
	}
	if f.Transform == iceberg.TransformVoid {
		return lane{}, nil
	}
	v := b.Col(f.SourceID)
	l := lane{v: v, kind: column.Int32, block: make([]int64, splitBlock)}
	switch f.Transform {
	case iceberg.TransformHour:
		l.transform = func(x int64) int64 { return int64(iceberg.HourOf(x)) }
	case iceberg.TransformDay:
		l.transform = func(x int64) int64 { return int64(iceberg.DayOf(x)) }
	case iceberg.TransformMonth:
		l.transform = byDay(iceberg.MonthOf)
	case iceberg.TransformYear:
		l.transform = byDay(iceberg.YearOf)
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

// byDay spares a calendar computation for each row: month and year change only with the day.
func byDay(of func(int64) int32) func(int64) int64 {
	day, value, known := int32(0), int64(0), false
	return func(x int64) int64 {
		if d := iceberg.DayOf(x); !known || d != day {
			day, value, known = d, int64(of(x)), true
		}
		return value
	}
}

// fill transforms the rows of the block that starts at row from.
func (l *lane) fill(from, n int) {
	l.from = from
	switch {
	case l.v == nil:
		return
	case l.v.Const && l.v.Kind == column.Int32:
		l.block[0] = int64(l.v.Int32s[0])
		n = 1
	case l.v.Const:
		l.block[0] = l.v.Int64s[0]
		n = 1
	case l.v.Kind == column.Int32:
		for i, x := range l.v.Int32s[from : from+n] {
			l.block[i] = int64(x)
		}
	default:
		copy(l.block, l.v.Int64s[from:from+n])
	}
	if l.transform != nil {
		for i, x := range l.block[:n] {
			l.block[i] = l.transform(x)
		}
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
	x, n := l.block[i], 1
	for n < limit && l.block[i+n] == x {
		n++
	}
	return ordinal{value: x, valid: true}, n
}

func (o ordinal) orNull(null bool) ordinal {
	if null {
		return ordinal{}
	}
	return o
}
