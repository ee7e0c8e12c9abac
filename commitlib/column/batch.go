package column

import (
	"fmt"

	"firn/commitlib/iceberg"
)

// New returns an empty batch over schema. It fails on a type that Firn does not write.
func New(schema *iceberg.Schema) (*Batch, error) {
	b := &Batch{Schema: schema, Cols: make([]Vector, len(schema.Fields))}
	for i, f := range schema.Fields {
		kind, err := KindOf(f.Type)
		if err != nil {
			return nil, fmt.Errorf("make batch: column %q: %w", f.Name, err)
		}
		b.Cols[i].Kind = kind
	}
	return b, nil
}

// Reset empties b and keeps its memory for the next use.
func (b *Batch) Reset() {
	b.Len = 0
	for i := range b.Cols {
		b.Cols[i].Reset()
	}
}

// Col returns the vector of the column with that field id, or nil.
func (b *Batch) Col(fieldID int) *Vector {
	for i, f := range b.Schema.Fields {
		if f.ID == fieldID {
			return &b.Cols[i]
		}
	}
	return nil
}

// Append adds rows [lo, hi) of src, whose columns have the same kinds in the same order; src's may be Const, b's must
// not be. After an error b is not to be used before the next Reset.
func (b *Batch) Append(src *Batch, lo, hi int) error {
	if len(b.Cols) != len(src.Cols) || lo < 0 || hi < lo || hi > src.Len {
		return fmt.Errorf("append rows %d to %d of %d, %d columns to %d: take a batch over the same schema and rows that it has",
			lo, hi, src.Len, len(src.Cols), len(b.Cols))
	}
	for i := range b.Cols {
		if err := b.Cols[i].Append(&src.Cols[i], lo, hi); err != nil {
			return fmt.Errorf("append column %q: %w", b.Schema.Fields[i].Name, err)
		}
	}
	b.Len += hi - lo
	return nil
}

// Size counts the bytes that the rows use.
func (b *Batch) Size() int {
	n := 0
	for i := range b.Cols {
		n += b.Cols[i].size()
	}
	return n
}

// Capacity counts the bytes that b holds, used or not: what a pool or a memory budget has to count.
func (b *Batch) Capacity() int {
	n := 0
	for i := range b.Cols {
		n += b.Cols[i].capacity()
	}
	return n
}

// Validate checks every invariant of b in one pass over the rows: the encoder and its readers index without
// further checks. Bytes of string columns are not looked at; the decoders refuse invalid UTF-8 before.
func (b *Batch) Validate() error {
	if b.Schema == nil || len(b.Cols) != len(b.Schema.Fields) {
		return fmt.Errorf("validate batch: %d columns do not follow its schema", len(b.Cols))
	}
	if b.Len < 0 {
		return fmt.Errorf("validate batch: %d rows", b.Len)
	}
	for i, f := range b.Schema.Fields {
		if err := b.Cols[i].validate(f, b.Len); err != nil {
			return fmt.Errorf("validate batch: column %q: %w", f.Name, err)
		}
	}
	return nil
}
