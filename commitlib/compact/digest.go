package compact

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"math/bits"

	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
)

// digest sums up rows so that two sets of rows with equal digests are, but for a chance of 2^-64 that no input can
// steer, the same rows, in whatever order: per column nulls and bounds, and two sums over a keyed hash of each row.
type digest struct {
	schema *iceberg.Schema
	rows   int64
	copied int64 // of rows, those whose bytes stand for them
	sums   [2]uint64
	cols   []columnDigest

	hashes []uint64 // scratch
}

type columnDigest struct {
	nulls    int64
	any      bool // a row has a value; else the others mean nothing
	min, max int64
	low, top []byte
}

// The keys of the hash, drawn at start: both digests that are compared are of one process.
var (
	textKey = maphash.MakeSeed()
	key     = [4]uint64{randomKey(1), randomKey(2), randomKey(3), randomKey(4)}
)

func randomKey(n byte) uint64 { return maphash.Bytes(textKey, []byte{n}) | 1 }

func newDigest(schema *iceberg.Schema) *digest {
	return &digest{schema: schema, cols: make([]columnDigest, len(schema.Fields))}
}

// mix is a multiplication of 64 by 64 bits, folded: each bit of both moves about half of the result's.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^key[0], b^key[1])
	return hi ^ lo
}

// add takes the rows of b in.
func (d *digest) add(b *column.Batch) {
	d.rows += int64(b.Len)
	if cap(d.hashes) < b.Len {
		d.hashes = make([]uint64, b.Len)
	}
	h := d.hashes[:b.Len]
	clear(h)
	for i, f := range d.schema.Fields {
		d.cols[i].add(&b.Cols[i], b.Len)
		hashColumn(h, &b.Cols[i], uint64(f.ID)*key[2])
	}
	for _, x := range h {
		d.sums[0] += x
		d.sums[1] += mix(x, key[3])
	}
}

// addCopied takes in a row group whose bytes are copied: what its file states of it, and a keyed hash of its columns' bytes
// in the place of its values'. Bytes that are the same, under the same schema, are the same rows.
func (d *digest) addCopied(f *datafile.File, group int, hash uint64) error {
	rows := f.Rows(group)
	d.rows, d.copied = d.rows+rows, d.copied+rows
	for i := range d.cols {
		o, err := f.Outline(group, i)
		if err != nil {
			return err
		}
		c := &d.cols[i]
		switch c.nulls += o.Nulls; {
		case !o.Any:
		case o.Low == nil && o.Top == nil:
			c.addInt(o.Min)
			c.addInt(o.Max)
		default:
			c.addBytes(o.Low)
			c.addBytes(o.Top)
		}
	}
	h := mix(hash+uint64(rows), key[2])
	d.sums[0] += h
	d.sums[1] += mix(h, key[3])
	return nil
}

// newHash is a hash for the bytes of a row group that is copied.
func newHash() *maphash.Hash {
	h := new(maphash.Hash)
	h.SetSeed(textKey)
	return h
}

// hashColumn mixes a column's values into the hashes of their rows.
func hashColumn(h []uint64, v *column.Vector, field uint64) {
	const null = 0x9e3779b97f4a7c15
	switch {
	case v.Const || len(v.Valid) > 0:
		for i := range h {
			x := uint64(null)
			if !v.Null(i) {
				switch v.Kind {
				case column.Int32:
					x = uint64(v.Int32(i))
				case column.Int64:
					x = uint64(v.Int64(i))
				default:
					x = maphash.Bytes(textKey, v.Bytes(i))
				}
				x = mix(x, field)
			}
			h[i] = mix(h[i]+field, x)
		}
	case v.Kind == column.Int32:
		for i, x := range v.Int32s[:len(h)] {
			h[i] = mix(h[i]+field, mix(uint64(x), field))
		}
	case v.Kind == column.Int64:
		for i, x := range v.Int64s[:len(h)] {
			h[i] = mix(h[i]+field, mix(uint64(x), field))
		}
	default:
		for i := range h {
			h[i] = mix(h[i]+field, mix(maphash.Bytes(textKey, v.Bytes(i)), field))
		}
	}
}

func (c *columnDigest) add(v *column.Vector, n int) {
	nulls := v.Nulls(n)
	c.nulls += int64(nulls)
	if nulls == n {
		return
	}
	if v.Const {
		n = 1
	}
	for i := range n {
		if nulls > 0 && v.Null(i) {
			continue
		}
		switch v.Kind {
		case column.Int32:
			c.addInt(int64(v.Int32s[i]))
		case column.Int64:
			c.addInt(v.Int64s[i])
		default:
			c.addBytes(v.Bytes(i))
		}
	}
}

func (c *columnDigest) addInt(x int64) {
	if !c.any {
		c.any, c.min, c.max = true, x, x
	}
	c.min, c.max = min(c.min, x), max(c.max, x)
}

func (c *columnDigest) addBytes(x []byte) {
	switch {
	case !c.any:
		c.any, c.low, c.top = true, bytes.Clone(x), bytes.Clone(x)
	case bytes.Compare(x, c.top) > 0:
		c.top = append(c.top[:0], x...)
	case bytes.Compare(x, c.low) < 0:
		c.low = append(c.low[:0], x...)
	}
}

// differs says in what two digests differ; nil: in nothing.
func (d *digest) differs(o *digest) error {
	if d.rows != o.rows {
		return fmt.Errorf("%d rows were read and %d written", d.rows, o.rows)
	}
	for i := range d.cols {
		a, b, name := &d.cols[i], &o.cols[i], d.schema.Fields[i].Name
		switch {
		case a.nulls != b.nulls:
			return fmt.Errorf("column %q had %d nulls and has %d", name, a.nulls, b.nulls)
		case a.any != b.any || a.min != b.min || a.max != b.max || !bytes.Equal(a.low, b.low) || !bytes.Equal(a.top, b.top):
			return fmt.Errorf("column %q has another least or greatest value", name)
		}
	}
	if d.sums != o.sums {
		return fmt.Errorf("values of %d rows differ", d.rows)
	}
	return nil
}

// states says whether what a manifest is to say of a file is true of its rows.
func (d *digest) states(f *iceberg.DataFile) error {
	if f.RecordCount != d.rows {
		return fmt.Errorf("the new file's description counts %d rows of %d", f.RecordCount, d.rows)
	}
	for i, field := range d.schema.Fields {
		c := &d.cols[i]
		if f.NullValueCounts[field.ID] != c.nulls || f.ValueCounts[field.ID] != d.rows {
			return fmt.Errorf("the new file's description counts %d values and %d nulls of column %q, which has %d and %d",
				f.ValueCounts[field.ID], f.NullValueCounts[field.ID], field.Name, d.rows, c.nulls)
		}
		low, hasLow := f.LowerBounds[field.ID]
		top, hasTop := f.UpperBounds[field.ID]
		if !c.any {
			continue
		}
		least, greatest := c.bounds(field.Type)
		if hasLow {
			if o, err := iceberg.CompareValues(field.Type, low, least); err != nil || o > 0 {
				return fmt.Errorf("the new file's lower bound of column %q lies above a value", field.Name)
			}
		}
		if hasTop {
			if o, err := iceberg.CompareValues(field.Type, top, greatest); err != nil || o < 0 {
				return fmt.Errorf("the new file's upper bound of column %q lies below a value", field.Name)
			}
		}
	}
	return nil
}

// bounds are the exact ones, as single values.
func (c *columnDigest) bounds(t iceberg.Type) (least, greatest []byte) {
	switch kind, _ := column.KindOf(t); kind {
	case column.Int32:
		return iceberg.EncodeInt(int32(c.min)), iceberg.EncodeInt(int32(c.max))
	case column.Int64:
		return iceberg.EncodeLong(c.min), iceberg.EncodeLong(c.max)
	}
	return c.low, c.top
}
