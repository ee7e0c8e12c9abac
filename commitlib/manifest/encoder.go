package manifest

import (
	"encoding/binary"
	"fmt"

	"github.com/hamba/avro/v2"
)

// encoder appends Avro values as a layout has them. The first error sticks.
type encoder struct {
	b    []byte
	keys []int // scratch: a map's keys in order
	err  error
}

func (e *encoder) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}

func (e *encoder) varint(n int64) { e.b = binary.AppendUvarint(e.b, uint64(n)<<1^uint64(n>>63)) }

// present writes the branch of a union where l is one, and returns has.
func (e *encoder) present(l *layout, has bool) bool {
	switch {
	case has && (l.optional || l.wrapped):
		e.varint(l.value)
	case !has && l.optional:
		e.varint(l.null)
	case !has:
		e.fail(fmt.Errorf("field %d has no value, and cannot be null", l.id))
	}
	return has
}

func (e *encoder) number(l *layout, n int64) {
	e.present(l, true)
	if l.kind == avro.Int && n != int64(int32(n)) {
		e.fail(fmt.Errorf("field %d is %d, beyond 32 bits", l.id, n))
	}
	e.varint(n)
}

func (e *encoder) optionalNumber(l *layout, n *int64) {
	if e.present(l, n != nil) {
		e.varint(*n)
	}
}

func (e *encoder) boolean(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) text(l *layout, v string) {
	e.present(l, true)
	e.varint(int64(len(v)))
	e.b = append(e.b, v...)
}

// optionalBytes writes nil as null.
func (e *encoder) optionalBytes(l *layout, v []byte) {
	if e.present(l, v != nil) {
		e.varint(int64(len(v)))
		e.b = append(e.b, v...)
	}
}

// array writes n items by fn; an empty array is null where it may be.
func (e *encoder) array(l *layout, n int, fn func(i int)) {
	if n == 0 && l.optional {
		e.present(l, false)
		return
	}
	e.present(l, true)
	if n > 0 {
		e.varint(int64(n))
		for i := range n {
			fn(i)
		}
	}
	e.varint(0)
}
