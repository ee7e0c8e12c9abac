package datafile

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// File is an opened data file whose row groups are read one at a time, so that one larger than memory can be. What Read
// says of damage and of foreign files holds for it. Not safe for concurrent use.
type File struct {
	r io.ReaderAt
	f reader
	l *layout

	raw []byte // scratch of Chunk
}

// Open reads a file's footer and finds the schema's columns in it.
func Open(r io.ReaderAt, size int64, schema *iceberg.Schema) (f *File, err error) {
	f = &File{r: r, f: reader{r: r, size: size}}
	err = guarded("open data file", func() (err error) {
		f.l, err = f.f.layout(schema)
		return err
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// guarded turns a panic of parquet-go's decoder, on bytes that thriftLen let through, into an error.
func guarded(what string, fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: damaged: %v", what, p)
		}
	}()
	if err := fn(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Groups is the number of row groups.
func (f *File) Groups() int { return len(f.l.meta.RowGroups) }

// Rows is the number of rows of a row group.
func (f *File) Rows(group int) int64 { return f.l.meta.RowGroups[group].NumRows }

// Bytes is the size of a row group's pages before compression: what its rows take in memory is of that order.
func (f *File) Bytes(group int) int64 { return max(0, f.l.meta.RowGroups[group].TotalByteSize) }

// Range is the least and the greatest value of a column of whole numbers in a row group, by its statistics; ok is
// false where they do not say.
func (f *File) Range(group, fieldID int) (lo, hi int64, ok bool) {
	for i, field := range f.l.schema.Fields {
		src := f.l.sources[i]
		if field.ID != fieldID || src.leaf < 0 || src.physical != format.Int64 && src.physical != format.Int32 {
			continue
		}
		s := &f.l.meta.RowGroups[group].Columns[src.leaf].MetaData.Statistics
		lo, errLow := iceberg.DecodeLong(s.MinValue)
		hi, errHigh := iceberg.DecodeLong(s.MaxValue)
		return lo, hi, errLow == nil && errHigh == nil && lo <= hi
	}
	return 0, 0, false
}

// Read appends a row group's rows to b, a batch over the schema that the file was opened with; a column that the file
// does not have becomes Const. It fails with ErrTooLarge where they decode to more than limit bytes. After an error b
// is not to be used before the next Reset.
func (f *File) Read(group int, b *column.Batch, limit int64) error {
	if b.Schema != f.l.schema || b.Len != 0 {
		return errors.New("read data file: give an empty batch over the schema that it was opened with")
	}
	f.f.unread, f.f.budget = f.f.size, limit
	return guarded("read data file", func() error { return f.f.group(f.l, group, b) })
}
