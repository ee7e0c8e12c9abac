package datafile

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/iceberg"
)

// source says where a file keeps a column.
type source struct {
	leaf     int // place among the row group's column chunks; -1: the file does not have it
	physical format.Type
	optional bool
}

// leavesOf returns, for each leaf column in order, its place in the schema's elements, or -1 for one inside a group.
func leavesOf(all []format.SchemaElement) ([]int, error) {
	if len(all) == 0 {
		return nil, errors.New("the footer has no schema: damaged")
	}
	var leaves []int
	left := []int32{all[0].NumChildren.V} // children that each open group still lacks
	for i := 1; i < len(all); i++ {
		for len(left) > 0 && left[len(left)-1] == 0 {
			left = left[:len(left)-1]
		}
		if len(left) == 0 {
			return nil, errors.New("the footer's schema has elements outside its root: damaged")
		}
		left[len(left)-1]--
		switch e := &all[i]; {
		case e.NumChildren.Valid && e.NumChildren.V > 0:
			left = append(left, e.NumChildren.V)
		case len(left) == 1 && e.Type.Valid:
			leaves = append(leaves, i)
		default:
			leaves = append(leaves, -1)
		}
	}
	for _, n := range left {
		if n != 0 {
			return nil, errors.New("the footer's schema lacks elements: damaged")
		}
	}
	return leaves, nil
}

// sourceOf finds the column with the field's id and checks that it holds the field's type.
func sourceOf(field iceberg.Field, all []format.SchemaElement, leaves []int) (source, error) {
	for at, i := range leaves {
		if i < 0 || int(all[i].FieldID) != field.ID || field.ID == 0 {
			continue
		}
		e := &all[i]
		s := source{leaf: at, physical: e.Type.V, optional: e.RepetitionType.V == format.Optional}
		if e.RepetitionType.V == format.Repeated {
			return source{}, errors.New("the file repeats it: not a flat column")
		}
		if !holds(e, field.Type) {
			return source{}, fmt.Errorf("the file holds %s (%s), not %s", e.Type.V, &e.LogicalType, field.Type)
		}
		return s, nil
	}
	if field.Required {
		return source{}, fmt.Errorf("required, but the file has no column with field id %d", field.ID)
	}
	return source{leaf: -1}, nil
}

// holds reports whether values of a leaf are values of t as they are, or after the promotion from int to long.
func holds(e *format.SchemaElement, t iceberg.Type) bool {
	logical := e.LogicalType.Value
	switch t {
	case iceberg.Int:
		return e.Type.V == format.Int32 && integer(logical, 32)
	case iceberg.Long:
		return e.Type.V == format.Int64 && integer(logical, 64) || e.Type.V == format.Int32 && integer(logical, 32)
	case iceberg.TimestampTZ:
		ts, ok := logical.(*format.TimestampType)
		if !ok {
			return false
		}
		_, micros := ts.Unit.Value.(*format.MicroSeconds)
		return e.Type.V == format.Int64 && ts.IsAdjustedToUTC && micros
	case iceberg.String:
		_, text := logical.(*format.StringType)
		return e.Type.V == format.ByteArray && text
	case iceberg.Binary:
		return e.Type.V == format.ByteArray && logical == nil
	}
	return false
}

// integer reports whether a logical type is a signed integer of that many bits, or none.
func integer(logical format.LogicalTypeValue, bits int8) bool {
	if logical == nil {
		return true
	}
	t, ok := logical.(*format.IntType)
	return ok && t.IsSigned && t.BitWidth == bits
}
