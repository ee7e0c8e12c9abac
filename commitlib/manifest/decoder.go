package manifest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/hamba/avro/v2"
)

var errShort = errors.New("it ends early")

// decoder reads Avro values from a block. The first error sticks; after it every read returns a zero. Byte slices that
// it returns share memory with the block.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
		d.b = nil
	}
}

func (d *decoder) varint() int64 {
	u, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail(errShort)
		return 0
	}
	d.b = d.b[n:]
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) take(n int64) []byte {
	if n < 0 || n > int64(len(d.b)) {
		d.fail(errShort)
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// present reads the branch of a union, and says whether a value of l follows.
func (d *decoder) present(l *layout) bool {
	if !l.optional && !l.wrapped {
		return d.err == nil
	}
	switch branch := d.varint(); {
	case d.err != nil:
		return false
	case branch == l.value:
		return true
	case l.optional && branch == l.null:
		return false
	default:
		d.fail(fmt.Errorf("a union has no branch %d", branch))
		return false
	}
}

// number reads an int or a long.
func (d *decoder) number(l *layout) int64 {
	if l.kind != avro.Int && l.kind != avro.Long {
		d.fail(fmt.Errorf("field %d is a %s, want a number", l.id, l.kind))
		return 0
	}
	return d.varint()
}

// id reads a number that the specification bounds to 32 bits.
func (d *decoder) id(l *layout) int {
	n := d.number(l)
	if n < math.MinInt32 || n > math.MaxInt32 {
		d.fail(fmt.Errorf("field %d is %d, beyond 32 bits", l.id, n))
		return 0
	}
	return int(n)
}

func (d *decoder) numberPointer(l *layout) *int64 {
	n := d.number(l)
	return &n
}

func (d *decoder) boolean(l *layout) bool {
	if l.kind != avro.Boolean {
		d.fail(fmt.Errorf("field %d is a %s, want a boolean", l.id, l.kind))
		return false
	}
	v := d.take(1)
	return len(v) == 1 && v[0] != 0
}

// bytes reads bytes, a string or a fixed. It is never nil.
func (d *decoder) bytes(l *layout) []byte {
	var v []byte
	switch l.kind {
	case avro.Bytes, avro.String:
		v = d.take(d.varint())
	case avro.Fixed:
		v = d.take(int64(l.size))
	default:
		d.fail(fmt.Errorf("field %d is a %s, want bytes", l.id, l.kind))
	}
	if v == nil {
		v = []byte{}
	}
	return v
}

// each calls fn for every item of an array or map.
func (d *decoder) each(l *layout, fn func(item *layout)) {
	if l.kind != avro.Array && l.kind != avro.Map {
		d.fail(fmt.Errorf("field %d is a %s, want an array", l.id, l.kind))
	}
	for d.err == nil {
		n := d.varint()
		if n < 0 { // a block that also states its size in bytes
			d.varint()
			n = -n
		}
		if n == 0 {
			return
		}
		// No item takes less than a byte: parse saw to it.
		if n < 0 || n > int64(len(d.b)) {
			d.fail(errShort)
			return
		}
		for ; n > 0 && d.err == nil; n-- {
			if l.kind == avro.Map {
				d.take(d.varint())
			}
			if d.present(l.items) {
				fn(l.items)
			}
		}
	}
}

// skip reads over a value whose presence was read.
func (d *decoder) skip(l *layout) {
	switch l.kind {
	case avro.Null:
	case avro.Boolean:
		d.take(1)
	case avro.Int, avro.Long:
		d.varint()
	case avro.Float, avro.Double:
		d.take(int64(l.floatWidth()))
	case avro.Bytes, avro.String, avro.Fixed:
		d.bytes(l)
	case avro.Record:
		for _, f := range l.fields {
			if d.present(f) {
				d.skip(f)
			}
		}
	case avro.Array, avro.Map:
		d.each(l, d.skip)
	default:
		d.fail(fmt.Errorf("field %d has type %s, which cannot be skipped", l.id, l.kind))
	}
}

// floatWidth is the width of a floating-point number.
func (l *layout) floatWidth() int {
	if l.kind == avro.Float {
		return 4
	}
	return 8
}
