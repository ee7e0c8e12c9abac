package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

const (
	vectorConst    = 1 // flag: one value for all rows
	vectorNullable = 2 // flag: a validity bitmap precedes the values
)

// encodeColumns writes: number of columns · for each: field id, kind, flags [, validity words] , values. Integers are
// zigzag differences to the one before, bytes are lengths and then the data end to end: both compress well and cost a
// nanosecond or two a value.
func encodeColumns(dst []byte, b *column.Batch) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b.Cols)))
	for i := range b.Cols {
		v := &b.Cols[i]
		dst = binary.AppendUvarint(dst, uint64(b.Schema.Fields[i].ID))
		var flags byte
		if v.Const {
			flags |= vectorConst
		}
		if len(v.Valid) > 0 {
			flags |= vectorNullable
		}
		dst = append(dst, byte(v.Kind), flags)
		n := b.Len
		if v.Const {
			n = 1
		}
		if flags&vectorNullable != 0 {
			for _, w := range v.Valid[:(n+63)/64] {
				dst = binary.BigEndian.AppendUint64(dst, w)
			}
		}
		switch v.Kind {
		case column.Int32:
			at := int64(0)
			for _, x := range v.Int32s[:n] {
				dst = binary.AppendVarint(dst, int64(x)-at)
				at = int64(x)
			}
		case column.Int64:
			at := int64(0)
			for _, x := range v.Int64s[:n] {
				dst = binary.AppendVarint(dst, x-at) // wraps around, and back
				at = x
			}
		case column.Bytes:
			at := uint32(0)
			for _, end := range v.Ends[:n] {
				dst = binary.AppendUvarint(dst, uint64(end-at))
				at = end
			}
			dst = append(dst, v.Data[:at]...)
		}
	}
	return dst
}

var errColumns = errors.New("decode block: columns are cut short or malformed")

// decodeColumns reads rows rows into dst. A column that dst does not have is skipped, one that is missing becomes null.
func decodeColumns(raw []byte, dst *column.Batch, rows int) error {
	n, size := binary.Uvarint(raw)
	if size <= 0 || n > uint64(len(raw)) {
		return errColumns
	}
	raw = raw[size:]
	var skipped column.Vector
	var seen uint64 // bit i: column i of dst was read
	for range n {
		id, size := binary.Uvarint(raw)
		if size <= 0 || len(raw)-size < 2 || id > math.MaxInt32 {
			return errColumns
		}
		kind, flags := column.Kind(raw[size]), raw[size+1]
		raw = raw[size+2:]
		v := &skipped
		for i, f := range dst.Schema.Fields {
			if f.ID == int(id) && i < 64 {
				v = &dst.Cols[i]
				if v.Kind != kind || seen>>i&1 != 0 {
					return fmt.Errorf("decode block: column %d has kind %d, want %d once", id, kind, v.Kind)
				}
				seen |= 1 << i
			}
		}
		if v == &skipped {
			skipped = column.Vector{Kind: kind}
		}
		var err error
		if raw, err = decodeVector(raw, v, rows, flags); err != nil {
			return err
		}
	}
	if len(raw) != 0 {
		return errColumns
	}
	for i := range dst.Cols {
		if seen>>i&1 == 0 {
			dst.Cols[i].SetNull()
		}
	}
	dst.Len = rows
	if err := dst.Validate(); err != nil {
		return fmt.Errorf("decode block: %w", err)
	}
	return nil
}

func decodeVector(raw []byte, v *column.Vector, n int, flags byte) ([]byte, error) {
	if flags&^(vectorConst|vectorNullable) != 0 {
		return nil, errColumns
	}
	if v.Const = flags&vectorConst != 0; v.Const {
		n = 1
	}
	if flags&vectorNullable != 0 {
		words := (n + 63) / 64
		if len(raw) < 8*words {
			return nil, errColumns
		}
		valid := make([]uint64, words)
		for i := range valid {
			valid[i] = binary.BigEndian.Uint64(raw[8*i:])
		}
		v.Valid, raw = valid, raw[8*words:]
	}
	if len(raw) < n { // each value takes a byte at least
		return nil, errColumns
	}
	switch v.Kind {
	case column.Int32, column.Int64:
		at := int64(0)
		for range n {
			d, size := binary.Varint(raw)
			if size <= 0 {
				return nil, errColumns
			}
			at, raw = at+d, raw[size:]
			if v.Kind == column.Int64 {
				v.Int64s = append(v.Int64s, at)
			} else if at != int64(int32(at)) {
				return nil, errColumns
			} else {
				v.Int32s = append(v.Int32s, int32(at))
			}
		}
	case column.Bytes:
		at := uint64(0)
		for range n {
			d, size := binary.Uvarint(raw)
			if at += d; size <= 0 || d > maxBlockRaw || at > maxBlockRaw {
				return nil, errColumns
			}
			raw = raw[size:]
			v.Ends = append(v.Ends, uint32(at))
		}
		if uint64(len(raw)) < at {
			return nil, errColumns
		}
		v.Data, raw = append(v.Data, raw[:at]...), raw[at:]
	default:
		return nil, fmt.Errorf("decode block: column of unknown kind %d", v.Kind)
	}
	return raw, nil
}

// newBatch makes a batch that blocks are decoded into.
func newBatch(schema *iceberg.Schema) *column.Batch {
	b, err := column.New(schema)
	if err != nil {
		panic(err) // Config.Validate made one already
	}
	return b
}
