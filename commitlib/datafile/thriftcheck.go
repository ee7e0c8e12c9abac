package datafile

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// maxThriftDepth is far above what Parquet's metadata nests (about 6), and far below what a stack holds.
	maxThriftDepth = 16

	// maxFooterElements bounds the list elements of a footer: parquet-go makes a list of the length that the bytes
	// claim, some 600 bytes for each column of each row group, before it reads the first. 1,100 row groups of Firn's
	// schema fit.
	maxFooterElements = 1 << 16

	// maxHeaderElements is for page headers, which have no lists.
	maxHeaderElements = 16
)

var errThriftShort = errors.New("metadata ends early")

// thriftLen walks one struct in Thrift's compact protocol at the start of data and returns its length. It exists
// because parquet-go's decoder trusts lengths and recurses without bound: what passes here decodes within memory in
// proportion to elements.
func thriftLen(data []byte, elements int) (int, error) {
	w := thriftWalk{rest: data, elements: elements}
	if err := w.structure(0); err != nil {
		return 0, err
	}
	return len(data) - len(w.rest), nil
}

type thriftWalk struct {
	rest     []byte
	elements int // that may still come
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.rest)) {
		return errThriftShort
	}
	w.rest = w.rest[n:]
	return nil
}

func (w *thriftWalk) byte() (byte, error) {
	if len(w.rest) == 0 {
		return 0, errThriftShort
	}
	b := w.rest[0]
	w.rest = w.rest[1:]
	return b, nil
}

func (w *thriftWalk) varint() (uint64, error) {
	x, n := binary.Uvarint(w.rest)
	if n <= 0 {
		return 0, errThriftShort
	}
	w.rest = w.rest[n:]
	return x, nil
}

func (w *thriftWalk) structure(depth int) error {
	if depth > maxThriftDepth {
		return fmt.Errorf("metadata nests deeper than %d", maxThriftDepth)
	}
	for {
		head, err := w.byte()
		if err != nil || head == 0 {
			return err
		}
		if head>>4 == 0 { // the field's id follows; else it is a step from the last one
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if err := w.value(head&0xf, depth, false); err != nil {
			return err
		}
	}
}

// value skips a value of that wire type. A boolean field lies in its header; a boolean in a list has a byte.
func (w *thriftWalk) value(kind byte, depth int, listed bool) error {
	switch kind {
	case 1, 2: // boolean
		if !listed {
			return nil
		}
		return w.skip(1)
	case 3: // byte
		return w.skip(1)
	case 4, 5, 6: // integers
		_, err := w.varint()
		return err
	case 7: // double
		return w.skip(8)
	case 8: // binary, string
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case 9, 10: // list, set
		return w.list(depth)
	case 12:
		return w.structure(depth + 1)
	}
	return fmt.Errorf("metadata has a value of unknown type %d", kind)
}

func (w *thriftWalk) list(depth int) error {
	if depth >= maxThriftDepth {
		return fmt.Errorf("metadata nests deeper than %d", maxThriftDepth)
	}
	head, err := w.byte()
	if err != nil {
		return err
	}
	n := uint64(head >> 4)
	if n == 0xf {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	if n > uint64(w.elements) {
		return errors.New("metadata has too many list elements")
	}
	w.elements -= int(n)
	for range n {
		if err := w.value(head&0xf, depth+1, true); err != nil {
			return err
		}
	}
	return nil
}
