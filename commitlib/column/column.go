// Package column is the one in-memory form of rows in Firn: columns of typed vectors that follow an Iceberg schema. The
// decoders fill it, the log stores it, the data-file writer encodes it; a new typed column needs no second path.
//
// Invariants: every vector of a batch has the batch's length; a vector holds either one value a row or, when Const, one
// value for all rows. Vectors hold no pointers per row, so that the collector never walks rows.
// A Batch is not safe for concurrent mutation; it may be shared once nobody writes to it.
package column

import (
	"fmt"

	"firn/commitlib/iceberg"
)

// Kind is a vector's physical form.
type Kind uint8

// The physical forms. Numbers are stored in log blocks: a released number keeps its meaning.
const (
	Int32 Kind = 1 // int
	Int64 Kind = 2 // long, timestamptz
	Bytes Kind = 3 // string, binary
)

// KindOf returns the physical form of an Iceberg type that Firn can write.
func KindOf(t iceberg.Type) (Kind, error) {
	switch t {
	case iceberg.Int:
		return Int32, nil
	case iceberg.Long, iceberg.TimestampTZ:
		return Int64, nil
	case iceberg.String, iceberg.Binary:
		return Bytes, nil
	}
	return 0, fmt.Errorf("column type %q is not one that Firn writes", t)
}

// Vector is one column's values.
type Vector struct {
	Kind  Kind
	Const bool // the single value at index 0 stands for every row

	Int32s []int32
	Int64s []int64
	Data   []byte   // Kind Bytes: all values end to end
	Ends   []uint32 // Kind Bytes: Ends[i] is the end of value i in Data; its start is Ends[i-1], or 0

	// Valid has bit i%64 of word i/64 set where row i has a value; nil when every row has one. A null row still
	// occupies its slot (zero, or empty) in the value slices.
	Valid []uint64

	spare []uint64 // Valid's memory between a Reset and the next null
}

// Batch is a run of rows. Cols follow Schema.Fields.
type Batch struct {
	Schema *iceberg.Schema
	Len    int
	Cols   []Vector
}
