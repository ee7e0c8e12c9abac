package datafile

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
	"firn/commitlib/datafile/zpage"
	"firn/commitlib/iceberg"
)

// chunk writes one column of one row group: a dictionary page where the values are few, then data pages.
type chunk struct {
	e     *Encoder
	field iceberg.Field
	kind  column.Kind
	v     *column.Vector
	p     pick

	meta    format.ColumnMetaData
	index   format.ColumnIndex
	pages   format.OffsetIndex
	noIndex bool   // a page's upper bound cannot be stated shortly: no column index for this chunk
	bounds  bounds // of all pages
	order   order
}

func (c *chunk) write() error {
	c.meta = format.ColumnMetaData{
		Type:         physical(c.kind),
		PathInSchema: []string{c.field.Name},
		Codec:        format.Zstd,
	}
	if !c.field.Required {
		c.meta.Encoding = append(c.meta.Encoding, format.RLE) // definition levels
	}
	var err error
	switch {
	case c.allNull():
		err = c.writeNulls()
	case c.oneValue():
		err = c.writeOne()
	case c.kind == column.Bytes:
		err = c.writeBytes()
	default:
		err = c.writeInts()
	}
	if err != nil {
		return err
	}
	c.finish()
	return nil
}

// allNull reports whether no row has a value. It stops at the first that has.
func (c *chunk) allNull() bool {
	if len(c.v.Valid) == 0 || c.v.Const {
		return c.v.Null(0)
	}
	for i := range c.p.len() {
		if !c.v.Null(c.p.row(i)) {
			return false
		}
	}
	return true
}

// oneValue reports whether all rows have the same value. It stops at the first that differs.
func (c *chunk) oneValue() bool {
	if c.v.Const {
		return true
	}
	if len(c.v.Valid) > 0 {
		return false
	}
	first, n := c.p.row(0), c.p.len()
	switch c.kind {
	case column.Int32:
		for i := 1; i < n; i++ {
			if c.v.Int32s[c.p.row(i)] != c.v.Int32s[first] {
				return false
			}
		}
	case column.Int64:
		for i := 1; i < n; i++ {
			if c.v.Int64s[c.p.row(i)] != c.v.Int64s[first] {
				return false
			}
		}
	default:
		x := c.v.Bytes(first)
		for i := 1; i < n; i++ {
			if !bytes.Equal(c.v.Bytes(c.p.row(i)), x) {
				return false
			}
		}
	}
	return true
}

// writeNulls writes one page that holds definition levels alone.
func (c *chunk) writeNulls() error {
	n := c.p.len()
	c.e.raw = c.levelRun(c.e.raw[:0], n, 0)
	return c.dataPage(n, format.Plain, bounds{nulls: n}, zpage.Rows{})
}

// writeOne writes a dictionary of the one value and one page that repeats its index n times: a few dozen bytes.
func (c *chunk) writeOne() error {
	e, n, row := c.e, c.p.len(), c.p.row(0)
	b := bounds{any: true}
	e.raw = e.raw[:0]
	switch c.kind {
	case column.Int32:
		b.min = int64(c.v.Int32(row))
		e.raw = plain(e.raw, b.min, c.kind)
	case column.Int64:
		b.min = c.v.Int64(row)
		e.raw = plain(e.raw, b.min, c.kind)
	default:
		b.low = c.v.Bytes(row)
		b.top = b.low
		if len(b.low) > maxValueBytes {
			return errTooLong(row, len(b.low))
		}
		e.raw = appendValue(e.raw, b.low)
	}
	b.max = b.min
	if err := c.dictionaryPage(1); err != nil {
		return err
	}
	e.raw = c.levelRun(e.raw[:0], n, 1)
	e.raw = append(e.raw, 1) // bits of an index: 0 would do, but not every reader takes it
	e.raw = binary.AppendUvarint(e.raw, uint64(n)<<1)
	e.raw = append(e.raw, 0)
	return c.dataPage(n, format.RLEDictionary, b, zpage.Rows{})
}

// writeBytes writes PLAIN pages.
func (c *chunk) writeBytes() error {
	n := c.p.len()
	for from := 0; from < n; {
		to, err := c.cutBytes(from)
		if err != nil {
			return err
		}
		p := c.p.slice(from, to)
		b := bounds{}
		raw := c.defLevels(c.e.raw[:0], p, &b)
		c.e.starts = c.e.starts[:0]
		for i := range p.len() {
			row := p.row(i)
			if b.nulls > 0 && c.v.Null(row) {
				continue
			}
			x := c.v.Bytes(row)
			c.e.starts = append(c.e.starts, uint32(len(raw)))
			raw = appendValue(raw, x)
			b.addBytes(x)
		}
		c.e.raw = raw
		if err := c.dataPage(to-from, format.Plain, b, zpage.Rows{Starts: c.e.starts}); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// cutBytes ends the page that starts at place from of the choice.
func (c *chunk) cutBytes(from int) (int, error) {
	size, n := 0, c.p.len()
	for i := from; i < n; i++ {
		row := c.p.row(i)
		x := len(c.v.Bytes(row))
		if x > maxValueBytes {
			return 0, errTooLong(row, x)
		}
		size += 4 + x
		if i > from && (size > c.e.cfg.PageBytes || i-from == maxPageRows) {
			return i, nil
		}
	}
	return n, nil
}

// writeInts writes indexes into a dictionary where the values are few, else PLAIN pages.
func (c *chunk) writeInts() error {
	e, n := c.e, c.p.len()
	few := c.gatherDictionary()
	if few {
		e.raw = e.raw[:0]
		for _, x := range e.dict.values {
			e.raw = plain(e.raw, x, c.kind)
		}
		if err := c.dictionaryPage(len(e.dict.values)); err != nil {
			return err
		}
	}
	step := c.intsAPage()
	for from := 0; from < n; from += step {
		p := c.p.slice(from, min(from+step, n))
		b := bounds{}
		raw := c.defLevels(e.raw[:0], p, &b)
		values := c.values(p, b.nulls)
		b.addInts(values)
		encoding, rows := format.Plain, zpage.Rows{}
		if few {
			encoding = format.RLEDictionary
			var err error
			if raw, err = e.appendIndexes(raw, values); err != nil {
				return err
			}
		} else if c.kind == column.Int32 {
			rows.Stride, rows.First = 4, len(raw)
			for _, x := range values {
				raw = binary.LittleEndian.AppendUint32(raw, uint32(x))
			}
		} else {
			rows.Stride, rows.First = 8, len(raw)
			for _, x := range values {
				raw = binary.LittleEndian.AppendUint64(raw, uint64(x))
			}
		}
		e.raw = raw
		if err := c.dataPage(p.len(), encoding, b, rows); err != nil {
			return err
		}
	}
	return nil
}

func (c *chunk) intsAPage() int { return min(maxPageRows, c.e.cfg.PageBytes/8) }

// gatherDictionary collects the chunk's distinct values; it gives up as soon as they are too many to be worth it.
func (c *chunk) gatherDictionary() bool {
	c.e.dict.reset(c.p.len())
	step := c.intsAPage()
	for from := 0; from < c.p.len(); from += step {
		p := c.p.slice(from, min(from+step, c.p.len()))
		nulls := 0
		if len(c.v.Valid) > 0 {
			for i := range p.len() {
				if c.v.Null(p.row(i)) {
					nulls++
				}
			}
		}
		if !c.e.dict.add(c.values(p, nulls)) {
			return false
		}
	}
	return true
}

// values lists the values of p's rows, widened; in place where they lie side by side. Valid until the next call.
func (c *chunk) values(p pick, nulls int) []int64 {
	if c.kind == column.Int64 && p.rows == nil && nulls == 0 {
		return c.v.Int64s[p.lo:p.hi]
	}
	dst := c.e.ints[:0]
	switch {
	case nulls > 0:
		for i := range p.len() {
			row := p.row(i)
			if c.v.Null(row) {
				continue
			}
			if c.kind == column.Int32 {
				dst = append(dst, int64(c.v.Int32s[row]))
			} else {
				dst = append(dst, c.v.Int64s[row])
			}
		}
	case c.kind == column.Int32 && p.rows == nil:
		for _, x := range c.v.Int32s[p.lo:p.hi] {
			dst = append(dst, int64(x))
		}
	case c.kind == column.Int32:
		for _, r := range p.rows {
			dst = append(dst, int64(c.v.Int32s[r]))
		}
	default:
		for _, r := range p.rows {
			dst = append(dst, c.v.Int64s[r])
		}
	}
	c.e.ints = dst
	return dst
}

// defLevels appends the definition levels of p's rows, when the column is optional, and counts its nulls in b.
func (c *chunk) defLevels(raw []byte, p pick, b *bounds) []byte {
	if c.field.Required {
		return raw
	}
	if len(c.v.Valid) == 0 {
		return c.levelRun(raw, p.len(), 1)
	}
	levels := c.e.levels[:0]
	for i := range p.len() {
		level := byte(1)
		if c.v.Null(p.row(i)) {
			level = 0
			b.nulls++
		}
		levels = append(levels, level)
	}
	c.e.levels = levels
	at := len(raw)
	packed, _ := (&rle.Encoding{BitWidth: 1}).EncodeLevels(c.e.packed[:0], levels) // fails on widths above 8 only
	c.e.packed = packed
	raw = append(append(raw, 0, 0, 0, 0), packed...)
	binary.LittleEndian.PutUint32(raw[at:], uint32(len(packed)))
	return raw
}

// levelRun appends n equal definition levels, when the column is optional.
func (c *chunk) levelRun(raw []byte, n int, level byte) []byte {
	if c.field.Required {
		return raw
	}
	at := len(raw)
	raw = append(raw, 0, 0, 0, 0)
	raw = append(binary.AppendUvarint(raw, uint64(n)<<1), level)
	binary.LittleEndian.PutUint32(raw[at:], uint32(len(raw)-at-4))
	return raw
}

// appendValue appends x as PLAIN has it.
func appendValue(raw, x []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(raw, uint32(len(x))), x...)
}

func errTooLong(row, n int) error {
	return fmt.Errorf("row %d has %d bytes, more than %d: refuse such events at the door", row, n, maxValueBytes)
}
