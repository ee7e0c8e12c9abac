package manifest

import (
	"fmt"
	"math"

	"github.com/hamba/avro/v2"

	"firn/commitlib/iceberg"
)

// Partition values are numbers, strings and so on in Avro, and single values (Appendix D) in an iceberg.DataFile. The
// Avro type alone says how one becomes the other.

func (e *encoder) partitionValue(l *layout, v []byte) {
	if !e.present(l, v != nil) {
		return
	}
	var err error
	switch l.kind {
	case avro.Int:
		var n int32
		n, err = iceberg.DecodeInt(v)
		e.varint(int64(n))
	case avro.Long:
		var n int64
		n, err = iceberg.DecodeLong(v)
		e.varint(n)
	case avro.Boolean:
		var b bool
		b, err = iceberg.DecodeBool(v)
		e.boolean(b)
	case avro.Float, avro.Double: // little-endian in both forms
		if len(v) != l.floatWidth() {
			err = fmt.Errorf("it has %d bytes, want %d", len(v), l.floatWidth())
		}
		e.b = append(e.b, v...)
	case avro.String, avro.Bytes:
		e.varint(int64(len(v)))
		e.b = append(e.b, v...)
	case avro.Fixed:
		err = e.fixed(l, v)
	default:
		err = fmt.Errorf("it has Avro type %s", l.kind)
	}
	if err != nil {
		e.fail(fmt.Errorf("partition field %d: %w", l.id, err))
	}
}

// fixed writes v, filling a decimal, whose single value has no more bytes than it needs, with its sign.
func (e *encoder) fixed(l *layout, v []byte) error {
	if len(v) > l.size || len(v) < l.size && (!l.decimal || len(v) == 0) {
		return fmt.Errorf("it has %d bytes, want %d", len(v), l.size)
	}
	for range l.size - len(v) {
		e.b = append(e.b, byte(int8(v[0])>>7))
	}
	e.b = append(e.b, v...)
	return nil
}

func (d *decoder) partitionValue(l *layout) []byte {
	switch l.kind {
	case avro.Int:
		n := d.varint()
		if n < math.MinInt32 || n > math.MaxInt32 {
			d.fail(fmt.Errorf("partition field %d is %d, beyond 32 bits", l.id, n))
		}
		return iceberg.EncodeInt(int32(n))
	case avro.Long:
		return iceberg.EncodeLong(d.varint())
	case avro.Boolean:
		return iceberg.EncodeBool(d.boolean(l))
	case avro.Float, avro.Double:
		return d.take(int64(l.floatWidth()))
	case avro.String, avro.Bytes, avro.Fixed:
		v := d.bytes(l)
		if l.decimal {
			v = shortest(v)
		}
		return v
	}
	d.fail(fmt.Errorf("partition field %d has Avro type %s", l.id, l.kind))
	return nil
}

// shortest drops the leading bytes of two's complement that only repeat the sign.
func shortest(v []byte) []byte {
	for len(v) > 1 && (v[0] == 0 && v[1] < 0x80 || v[0] == 0xff && v[1] >= 0x80) {
		v = v[1:]
	}
	return v
}
