package datafile

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// Writer writes one data file row group by row group, for a file that is larger than the memory for it. It holds one row
// group's pages at a time, and the footer. One Writer of an Encoder is under way at a time, and Encode is not called
// meanwhile. After an error the file is of no use.
type Writer struct {
	e    *Encoder
	dst  io.Writer
	buf  bytes.Buffer
	rows int64
	err  error // sticks
}

// Begin starts a file that goes to dst.
func (e *Encoder) Begin(dst io.Writer) *Writer {
	w := &Writer{e: e, dst: dst}
	e.begin(&w.buf)
	w.buf.WriteString(magic)
	return w
}

// Write adds the rows of b that are chosen by rows, which rise, or all rows when rows is nil, as Encode does: in row
// groups of their own. b is not kept.
func (w *Writer) Write(b *column.Batch, rows []uint32) error {
	return w.do(func() error {
		if err := w.e.fits(b); err != nil {
			return err
		}
		p, err := newPick(b, rows)
		if err != nil || p.len() == 0 {
			return err
		}
		w.rows += int64(p.len())
		return p.rowGroups(b, w.e.cfg.RowGroupBytes, func(p pick) error { return w.e.rowGroup(b, p) })
	})
}

// do runs a step and passes on what it wrote.
func (w *Writer) do(step func() error) error {
	if w.err != nil {
		return w.err
	}
	if err := step(); err != nil {
		w.err = fmt.Errorf("write data file: %w", err)
		return w.err
	}
	f := &w.e.file
	for i := range f.bounds { // else they share the batch's memory
		f.bounds[i].low, f.bounds[i].top = bytes.Clone(f.bounds[i].low), bytes.Clone(f.bounds[i].top)
	}
	f.base -= w.buf.Len()
	if _, err := w.dst.Write(w.buf.Bytes()); err != nil {
		w.err = fmt.Errorf("write data file: %w", err)
		return w.err
	}
	w.buf.Reset()
	return nil
}

// Groups is the number of row groups so far.
func (w *Writer) Groups() int { return len(w.e.file.groups) }

// Close writes the footer and returns what a manifest says of the file; Path and Partition are the caller's to set. It
// does not close dst. ErrNoRows where there are none.
func (w *Writer) Close() (d iceberg.DataFile, err error) {
	err = w.do(func() error {
		if w.rows == 0 {
			return ErrNoRows
		}
		return w.e.footer(w.rows)
	})
	if err == nil {
		d = w.e.describe(w.rows)
		w.err = errors.New("write data file: it is closed")
	}
	w.e.file.dst = nil
	return d, err
}
