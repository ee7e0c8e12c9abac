package manifest

import (
	"errors"
	"reflect"
	"testing"

	"firn/commitlib/iceberg"
)

// TestEachIsRead: entries come one at a time as Read gives them, and what Read refuses is refused.
func TestEachIsRead(t *testing.T) {
	schema := iceberg.EventSchema(iceberg.String)
	spec, err := iceberg.EventSpec(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, sequence := int64(7), int64(3)
	var entries []Entry
	for i := range 5_000 { // several blocks
		e := Add(iceberg.DataFile{
			Path: "s3://b/t/data/" + string(rune('a'+i%26)), Partition: [][]byte{iceberg.EncodeInt(int32(i))}, RecordCount: 3, FileSizeInBytes: 9,
			LowerBounds: map[int][]byte{iceberg.FieldSequence: iceberg.EncodeLong(int64(i))},
		})
		if i%3 > 0 {
			e = Entry{Status: Status(2 * (i % 2)), SnapshotID: &id, SequenceNumber: &sequence, FileSequenceNumber: &sequence, File: e.File}
		}
		entries = append(entries, e)
	}
	data, err := Write(schema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Summarize(schema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	l.Path, l.Length, l.SequenceNumber, l.AddedSnapshotID = "m", int64(len(data)), 9, 11
	_, want, err := l.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	var got []Entry
	if err := l.Each(data, func(e *Entry) error { got = append(got, *e); return nil }); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%d entries of %d, or others (%v)", len(got), len(want), err)
	}
	stop := errors.New("enough")
	if err := l.Each(data, func(*Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
	fewer := l
	fewer.AddedFiles--
	other := l
	other.SpecID++
	for _, l := range []ListEntry{fewer, other} {
		if err := l.Each(data, func(*Entry) error { return nil }); err == nil {
			t.Errorf("a manifest that is not the listed one was taken: %+v", l)
		}
	}
	if err := l.Each(data[:len(data)-1], func(*Entry) error { return nil }); err == nil {
		t.Error("a manifest that was cut off was taken")
	}
}
