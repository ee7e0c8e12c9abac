package datafile

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"firn/commitlib/column"
)

// TestWriterIsEncode: a file written in one piece has Encode's bytes and description; written in several it holds the
// same rows in more row groups, which are read back one at a time, and bounds that hold although the batch is reused.
func TestWriterIsEncode(t *testing.T) {
	b := events(t, 5_000, page, 1)
	e, err := NewEncoder(b.Schema, Default())
	if err != nil {
		t.Fatal(err)
	}
	var whole bytes.Buffer
	want, err := e.Encode(&whole, b, nil)
	if err != nil {
		t.Fatal(err)
	}
	var one bytes.Buffer
	w := e.Begin(&one)
	if err := w.Write(b, nil); err != nil {
		t.Fatal(err)
	}
	got, err := w.Close()
	if err != nil || !bytes.Equal(one.Bytes(), whole.Bytes()) || !reflect.DeepEqual(got, want) {
		t.Fatalf("written in one piece it differs: %v", err)
	}
	if _, err := w.Close(); err == nil {
		t.Error("a second Close succeeded")
	}

	var parts bytes.Buffer
	w = e.Begin(&parts)
	part, err := column.New(b.Schema)
	if err != nil {
		t.Fatal(err)
	}
	for from := 0; from < b.Len; from += 1_700 {
		part.Reset()
		if err := part.Append(b, from, min(from+1_700, b.Len)); err != nil {
			t.Fatal(err)
		}
		if err := w.Write(part, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err = w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.LowerBounds, want.LowerBounds) || !reflect.DeepEqual(got.UpperBounds, want.UpperBounds) ||
		got.RecordCount != want.RecordCount || got.FileSizeInBytes != int64(parts.Len()) || len(got.SplitOffsets) != 3 {
		t.Errorf("written in parts: %+v, want %+v", got, want)
	}
	f, err := Open(bytes.NewReader(parts.Bytes()), int64(parts.Len()), b.Schema)
	if err != nil {
		t.Fatal(err)
	}
	all, err := column.New(b.Schema)
	if err != nil {
		t.Fatal(err)
	}
	for g := range f.Groups() {
		part.Reset()
		if err := f.Read(g, part, MaxDecodedBytes); err != nil {
			t.Fatal(err)
		}
		if lo, hi, ok := f.Range(g, 2); !ok || lo != part.Col(2).Int64(0) || hi != part.Col(2).Int64(part.Len-1) {
			t.Errorf("row group %d: sequences %d to %d (%t)", g, lo, hi, ok)
		}
		if f.Rows(g) != int64(part.Len) || f.Bytes(g) < int64(part.Len) {
			t.Errorf("row group %d: %d rows in %d bytes", g, f.Rows(g), f.Bytes(g))
		}
		if err := all.Append(part, 0, part.Len); err != nil {
			t.Fatal(err)
		}
	}
	if err := equalRows(b, nil, all); err != nil {
		t.Error(err)
	}
	part.Reset()
	if err := f.Read(0, part, 1000); !errors.Is(err, ErrTooLarge) {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestWriterFails(t *testing.T) {
	b := events(t, 10, page, 1)
	e, err := NewEncoder(b.Schema, Default())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Begin(new(bytes.Buffer)).Close(); !errors.Is(err, ErrNoRows) {
		t.Errorf("without rows: %v", err)
	}
	full := errors.New("full")
	w := e.Begin(brokenWriter{full})
	if err := w.Write(b, nil); !errors.Is(err, full) {
		t.Errorf("write: %v", err)
	}
	if _, err := w.Close(); !errors.Is(err, full) {
		t.Errorf("close: %v", err)
	}
	if _, err := e.Encode(new(bytes.Buffer), b, nil); err != nil {
		t.Errorf("the encoder afterwards: %v", err)
	}
}

type brokenWriter struct{ err error }

func (f brokenWriter) Write([]byte) (int, error) { return 0, f.err }
