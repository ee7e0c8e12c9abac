package datafile

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"reflect"
	"slices"

	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
)

// Copies reports whether the file's row groups can be taken over by their bytes into a file of e's: it was written by this
// encoder's kind, with the same columns in the same order, so that nothing of it means anything else there.
func (e *Encoder) Copies(f *File) bool {
	meta := f.l.meta
	if meta.CreatedBy != createdBy || len(f.l.leaves) != len(e.kinds) || len(meta.Schema) != len(e.elements) {
		return false
	}
	for i := range meta.Schema {
		if !reflect.DeepEqual(meta.Schema[i], e.elements[i]) {
			return false
		}
	}
	return true
}

// Copy adds a row group of f as its bytes are: pages are checked by their checksums, and neither decoded nor made anew; their indexes and statistics
// go along. The file must be one that the encoder Copies. also is given the bytes of its columns, one after the other, as
// Chunk would give them.
func (w *Writer) Copy(f *File, group int, also io.Writer) error {
	if !w.e.Copies(f) {
		return errors.New("write data file: the row group to copy is of other columns, or of another writer")
	}
	return w.do(func() error { return guarded("copy row group", func() error { return w.copy(f, group, also) }) })
}

func (w *Writer) copy(f *File, g int, also io.Writer) error {
	e := w.e
	to := &e.file
	from := &f.l.meta.RowGroups[g]
	if len(to.groups) == math.MaxInt16 {
		return fmt.Errorf("more than %d row groups", math.MaxInt16)
	}
	group := format.RowGroup{
		Columns: slices.Clone(from.Columns), TotalByteSize: from.TotalByteSize, NumRows: from.NumRows,
		TotalCompressedSize: from.TotalCompressedSize, FileOffset: to.at(), Ordinal: int16(len(to.groups)),
	}
	for i := range group.Columns {
		c := &group.Columns[i]
		pages, index, err := f.index(g, i)
		if err != nil {
			return fmt.Errorf("column %q: %w", e.schema.Fields[i].Name, err)
		}
		start, _, err := f.place(g, i)
		if err != nil {
			return fmt.Errorf("column %q: %w", e.schema.Fields[i].Name, err)
		}
		shift := to.at() - start
		if err := f.Chunk(g, i, io.MultiWriter(also, passing{w})); err != nil {
			return fmt.Errorf("column %q: %w", e.schema.Fields[i].Name, err)
		}
		c.FileOffset, c.ColumnIndexOffset, c.ColumnIndexLength, c.OffsetIndexOffset, c.OffsetIndexLength = 0, 0, 0, 0, 0
		c.MetaData.DataPageOffset += shift
		if c.MetaData.DictionaryPageOffset > 0 {
			c.MetaData.DictionaryPageOffset += shift
		}
		for k := range pages.PageLocations {
			pages.PageLocations[k].Offset += shift
		}
		to.pages = append(to.pages, *pages)
		b, known := indexed(index, c.MetaData.Statistics.NullCount, from.NumRows, e.kinds[i])
		if index == nil {
			index = new(format.ColumnIndex)
			to.noIndex = append(to.noIndex, true)
		} else {
			to.noIndex = append(to.noIndex, false)
		}
		to.columns = append(to.columns, *index)
		to.unbounded[i] = to.unbounded[i] || !known
		to.bounds[i].merge(b, e.kinds[i])
	}
	to.groups = append(to.groups, group)
	w.rows += from.NumRows
	return nil
}

// passing writes behind what the writer holds, and passes all of it on.
type passing struct{ w *Writer }

func (p passing) Write(b []byte) (int, error) {
	f := &p.w.e.file
	if p.w.buf.Len() > 0 {
		f.base -= p.w.buf.Len()
		if _, err := p.w.dst.Write(p.w.buf.Bytes()); err != nil {
			return 0, err
		}
		p.w.buf.Reset()
	}
	n, err := p.w.dst.Write(b)
	f.base -= n
	return n, err
}

// place is where a column chunk lies in the file.
func (f *File) place(g, i int) (start, n int64, err error) {
	m := &f.l.meta.RowGroups[g].Columns[i].MetaData
	start, n = m.DataPageOffset, m.TotalCompressedSize
	if d := m.DictionaryPageOffset; d > 0 && d < start {
		start = d
	}
	if start < int64(len(magic)) || n < 0 || start > f.f.end-n {
		return 0, 0, fmt.Errorf("%d bytes at %d lie outside the file's column chunks: damaged", n, start)
	}
	return start, n, nil
}

// Chunk reads the bytes of a row group's column, the i-th of the file, checks them by their pages' checksums, and writes
// them to dst. They are in memory whole meanwhile.
func (f *File) Chunk(g, i int, dst io.Writer) error {
	return guarded("read column chunk", func() error {
		start, n, err := f.place(g, i)
		if err != nil {
			return err
		}
		f.raw = slices.Grow(f.raw[:0], int(n))[:n]
		if err := f.f.readAt(f.raw, start); err != nil {
			return err
		}
		if err := checkPages(f.raw); err != nil {
			return err
		}
		_, err = dst.Write(f.raw)
		return err
	})
}

// checkPages verifies the checksum of each page of a column chunk.
func checkPages(raw []byte) error {
	for len(raw) > 0 {
		n, err := thriftLen(raw, maxHeaderElements)
		if err != nil {
			return fmt.Errorf("read page header: %w", err)
		}
		var h format.PageHeader
		if err := decodeThrift(raw[:n], &h); err != nil {
			return fmt.Errorf("read page header: %w", err)
		}
		if raw = raw[n:]; h.CompressedPageSize < 0 || int(h.CompressedPageSize) > len(raw) {
			return fmt.Errorf("page of %d bytes, %d left: damaged", h.CompressedPageSize, len(raw))
		}
		if h.CRC != int32(crc32.ChecksumIEEE(raw[:h.CompressedPageSize])) {
			return errors.New("page checksum does not match: damaged")
		}
		raw = raw[h.CompressedPageSize:]
	}
	return nil
}

// index reads a column chunk's page index; the column index is nil where there is none.
func (f *File) index(g, i int) (*format.OffsetIndex, *format.ColumnIndex, error) {
	c := &f.l.meta.RowGroups[g].Columns[i]
	pages := new(format.OffsetIndex)
	if err := f.readIndex(c.OffsetIndexOffset, c.OffsetIndexLength, pages); err != nil {
		return nil, nil, fmt.Errorf("read offset index: %w", err)
	}
	if c.ColumnIndexOffset == 0 {
		return pages, nil, nil
	}
	index := new(format.ColumnIndex)
	if err := f.readIndex(c.ColumnIndexOffset, c.ColumnIndexLength, index); err != nil {
		return nil, nil, fmt.Errorf("read column index: %w", err)
	}
	if n := len(pages.PageLocations); len(index.NullPages) != n || len(index.MinValues) != n || len(index.MaxValues) != n {
		return nil, nil, errors.New("the column index is of other pages than the offset index: damaged")
	}
	return pages, index, nil
}

func (f *File) readIndex(at int64, n int32, v any) error {
	if n <= 0 || n > maxFooterBytes || at < int64(len(magic)) || at > f.f.end-int64(n) {
		return fmt.Errorf("%d bytes at %d lie outside the file: damaged", n, at)
	}
	raw := make([]byte, n)
	if err := f.f.readAt(raw, at); err != nil {
		return err
	}
	if _, err := thriftLen(raw, maxFooterElements); err != nil {
		return err
	}
	return decodeThrift(raw, v)
}

// indexed is what a column index says of the values of a column chunk; known is false where there is none although there
// are values.
func indexed(index *format.ColumnIndex, nulls, rows int64, k column.Kind) (b bounds, known bool) {
	b.nulls = int(nulls)
	if nulls == rows {
		return b, true
	}
	if index == nil {
		return b, false
	}
	for i, null := range index.NullPages {
		if null {
			continue
		}
		page := bounds{any: true, low: index.MinValues[i], top: index.MaxValues[i]}
		if k != column.Bytes {
			var okLow, okTop bool
			page.min, okLow = plainInt(page.low, k)
			page.max, okTop = plainInt(page.top, k)
			if !okLow || !okTop {
				return bounds{nulls: b.nulls}, false
			}
			page.low, page.top = nil, nil
		}
		b.merge(page, k)
	}
	return b, b.any
}

// Outline is what a file says of a column of one of its row groups without its pages being read.
type Outline struct {
	Nulls    int64
	Any      bool // a row has a value, and the bounds are known; else they mean nothing
	Min, Max int64
	Low, Top []byte // of string and binary: no value lies outside; they may be shortened
}

// Outline reads the outline of the i-th column of a row group.
func (f *File) Outline(g, i int) (o Outline, err error) {
	err = guarded("read page index", func() error {
		group := &f.l.meta.RowGroups[g]
		_, index, err := f.index(g, i)
		if err != nil {
			return err
		}
		kind, err := column.KindOf(f.l.schema.Fields[i].Type)
		if err != nil {
			return err
		}
		b, _ := indexed(index, group.Columns[i].MetaData.Statistics.NullCount, group.NumRows, kind)
		o = Outline{Nulls: int64(b.nulls), Any: b.any, Min: b.min, Max: b.max, Low: bytes.Clone(b.low), Top: bytes.Clone(b.top)}
		return nil
	})
	return o, err
}
