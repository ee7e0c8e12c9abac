package datafile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
)

// plain appends n rows to v from PLAIN values; valid (nil: all) says which rows have one.
func (c *chunkReader) plain(v *column.Vector, body []byte, n int, valid []uint32) error {
	if v.Kind == column.Bytes {
		return c.plainBytes(v, body, n, valid)
	}
	width := 8
	if c.src.physical == format.Int32 {
		width = 4
	}
	for i := range n {
		if valid != nil && valid[i] == 0 {
			v.AppendNull()
			continue
		}
		if len(body) < width {
			return errPageShort
		}
		var x int64
		if width == 4 {
			x = int64(int32(binary.LittleEndian.Uint32(body)))
		} else {
			x = int64(binary.LittleEndian.Uint64(body))
		}
		body = body[width:]
		if v.Kind == column.Int32 {
			v.AppendInt32(int32(x)) // from 32 bits: sourceOf has checked
		} else {
			v.AppendInt64(x)
		}
	}
	return nil
}

func (c *chunkReader) plainBytes(v *column.Vector, body []byte, n int, valid []uint32) error {
	if err := c.f.spend(int64(len(body))); err != nil {
		return err
	}
	for i := range n {
		if valid != nil && valid[i] == 0 {
			v.AppendNull()
			continue
		}
		if len(body) < 4 {
			return errPageShort
		}
		size := int64(binary.LittleEndian.Uint32(body))
		if body = body[4:]; size > int64(len(body)) {
			return errPageShort
		}
		if err := v.AppendBytes(body[:size]); err != nil {
			return err
		}
		body = body[size:]
	}
	return nil
}

// indexed appends n rows, of which values have a value, from indexes into the chunk's dictionary.
func (c *chunkReader) indexed(body []byte, n, values int, valid []uint32) error {
	if c.dict == nil {
		return errors.New("a page refers to a dictionary that the column chunk does not have: damaged")
	}
	c.index = c.index[:0]
	if values > 0 {
		if len(body) < 1 || body[0] > 32 {
			return errors.New("a page's index width is damaged")
		}
		last := c.dictLen() - 1
		if last < 0 {
			return errors.New("a page refers to an empty dictionary: damaged")
		}
		var err error
		if c.index, err = decodeHybrid(c.index, body[1:], uint(body[0]), values, uint32(min(last, math.MaxUint32))); err != nil {
			return fmt.Errorf("read dictionary indexes: %w", err)
		}
	}
	next := 0
	for i := range n {
		if valid != nil && valid[i] == 0 {
			c.v.AppendNull()
			continue
		}
		at := int(c.index[next])
		next++
		switch c.v.Kind {
		case column.Int32:
			c.v.AppendInt32(c.dict.Int32s[at])
		case column.Int64:
			c.v.AppendInt64(c.dict.Int64s[at])
		default:
			x := c.dict.Bytes(at)
			if err := c.f.spend(int64(len(x))); err != nil {
				return err
			}
			if err := c.v.AppendBytes(x); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *chunkReader) dictLen() int {
	switch c.v.Kind {
	case column.Int32:
		return len(c.dict.Int32s)
	case column.Int64:
		return len(c.dict.Int64s)
	}
	return len(c.dict.Ends)
}
