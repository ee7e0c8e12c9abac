package datafile

import (
	"bytes"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// written encodes batches into one file, each a row group.
func written(t *testing.T, e *Encoder, parts ...*column.Batch) (*File, []byte, iceberg.DataFile) {
	t.Helper()
	var buf bytes.Buffer
	w := e.Begin(&buf)
	for _, b := range parts {
		if err := w.Write(b, nil); err != nil {
			t.Fatal(err)
		}
	}
	d, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()), e.schema)
	if err != nil {
		t.Fatal(err)
	}
	return f, buf.Bytes(), d
}

// TestCopyIsWriting: a file whose row groups were copied, from several files and beside ones that were written, is the file
// that writing the same rows makes: the same pages, indexes, statistics and description, byte for byte.
func TestCopyIsWriting(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 20 {
		var parts []*column.Batch
		schema := randomBatch(t, 1, r).Schema
		for len(parts) < 4 {
			if b := randomBatch(t, 1+r.IntN(3000), r); reflect.DeepEqual(b.Schema, schema) {
				b.Schema = schema
				parts = append(parts, b)
			}
		}
		e, err := NewEncoder(schema, Default())
		if err != nil {
			t.Fatal(err)
		}
		_, want, wanted := written(t, e, parts...)
		first, _, _ := written(t, e, parts[0], parts[1])
		second, _, _ := written(t, e, parts[3])

		var buf, also, chunks bytes.Buffer
		w := e.Begin(&buf)
		for _, step := range []func() error{
			func() error { return w.Copy(first, 0, io.Discard) },
			func() error { return w.Copy(first, 1, io.Discard) },
			func() error { return w.Write(parts[2], nil) },
			func() error { return w.Copy(second, 0, &also) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		got, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		for i := range schema.Fields {
			if err := second.Chunk(0, i, &chunks); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(also.Bytes(), chunks.Bytes()) {
			t.Error("Copy passed on other bytes than Chunk")
		}
		if !bytes.Equal(buf.Bytes(), want) {
			t.Errorf("the file differs: %d bytes, want %d", buf.Len(), len(want))
		}
		if !reflect.DeepEqual(got, wanted) {
			// Where an upper bound has no short form, its page's is longer: the description may leave out the bound.
			for id, v := range wanted.LowerBounds {
				if low, ok := got.LowerBounds[id]; ok && !bytes.Equal(low, v) {
					t.Errorf("lower bound of column %d: %x, want %x", id, low, v)
				}
			}
			for id, v := range got.UpperBounds {
				if !bytes.Equal(wanted.UpperBounds[id], v) {
					t.Errorf("upper bound of column %d: %x, want %x", id, v, wanted.UpperBounds[id])
				}
			}
			if got.RecordCount != wanted.RecordCount || !reflect.DeepEqual(got.NullValueCounts, wanted.NullValueCounts) ||
				!reflect.DeepEqual(got.ColumnSizes, wanted.ColumnSizes) || !reflect.DeepEqual(got.SplitOffsets, wanted.SplitOffsets) {
				t.Errorf("description %+v, want %+v", got, wanted)
			}
		}
		f, err := Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()), schema)
		if err != nil {
			t.Fatal(err)
		}
		for g := range f.Groups() {
			b, err := column.New(schema)
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Read(g, b, MaxDecodedBytes); err != nil {
				t.Fatal(err)
			}
			if err := equalRows(parts[g], nil, b); err != nil {
				t.Errorf("row group %d: %v", g, err)
			}
		}
	}
}

// TestCopyRefuses: row groups of other columns, or of another writer, are not taken over; nor are damaged ones.
func TestCopyRefuses(t *testing.T) {
	b := events(t, 100, page, 1)
	e, err := NewEncoder(b.Schema, Default())
	if err != nil {
		t.Fatal(err)
	}
	f, body, _ := written(t, e, b)
	if !e.Copies(f) {
		t.Fatal("a file of its own is not taken")
	}
	renamed := *b.Schema
	renamed.Fields = append([]iceberg.Field(nil), b.Schema.Fields...)
	renamed.Fields[0].Name = "other"
	other, err := NewEncoder(&renamed, Default())
	if err != nil {
		t.Fatal(err)
	}
	if other.Copies(f) || other.Begin(new(bytes.Buffer)).Copy(f, 0, io.Discard) == nil {
		t.Error("a file with another name of a column was taken")
	}
	f.l.meta.CreatedBy = "someone else"
	if e.Copies(f) {
		t.Error("a file of another writer was taken")
	}
	turned := bytes.Clone(body)
	turned[60] ^= 4
	damaged, err := Open(bytes.NewReader(turned), int64(len(turned)), b.Schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Begin(new(bytes.Buffer)).Copy(damaged, 0, io.Discard); err == nil {
		t.Error("a page with a bit turned was copied")
	}
	// Footers that lie about where chunks and indexes are.
	for _, lie := range []func(*File){
		func(f *File) { f.l.meta.RowGroups[0].Columns[2].MetaData.TotalCompressedSize = 1 << 40 },
		func(f *File) { f.l.meta.RowGroups[0].Columns[2].MetaData.DataPageOffset = -5 },
		func(f *File) { f.l.meta.RowGroups[0].Columns[2].OffsetIndexOffset = int64(len(body)) },
		func(f *File) { f.l.meta.RowGroups[0].Columns[2].OffsetIndexLength = 0 },
		func(f *File) { f.l.meta.RowGroups[0].Columns[2].ColumnIndexOffset = 4 },
	} {
		f, err := Open(bytes.NewReader(body), int64(len(body)), b.Schema)
		if err != nil {
			t.Fatal(err)
		}
		lie(f)
		w := e.Begin(new(bytes.Buffer))
		if err := w.Copy(f, 0, io.Discard); err == nil {
			t.Error("a footer that lies was believed")
		}
		if _, err := w.Close(); err == nil {
			t.Error("the file was closed all the same")
		}
	}
}
