package manifest

import (
	"reflect"
	"testing"

	"firn/commitlib/iceberg"
)

func TestFreshEntryTakesTheSnapshotsNumbers(t *testing.T) {
	spec := testSpec(t, "hour", "partition")
	l, err := Summarize(testSchema, spec, testEntries(3))
	if err != nil {
		t.Fatal(err)
	}
	l.Path, l.Length = "s3://bucket/default/clicks/metadata/m.avro", 4321
	parent := ListEntry{
		Path: "s3://bucket/default/clicks/metadata/old.avro", Length: 1, SpecID: 0, SequenceNumber: 3, MinSequenceNumber: 2,
		AddedSnapshotID: 9, DeletedFiles: 4, DeletedRows: 5, Content: Deletes, KeyMetadata: []byte{7}, Partitions: []FieldSummary{},
	}
	data, err := WriteList([]ListEntry{l, parent}, 77, 66, 5)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadList(data)
	if err != nil {
		t.Fatal(err)
	}
	want := l
	want.SequenceNumber, want.MinSequenceNumber, want.AddedSnapshotID = 5, 5, 77
	want.AddedFiles, want.AddedRows = 3, 1000+1001+1002
	want.Partitions = []FieldSummary{
		{Lower: iceberg.EncodeInt(495_000), Upper: iceberg.EncodeInt(495_002)},
		{Lower: iceberg.EncodeInt(0), Upper: iceberg.EncodeInt(2)},
	}
	if !reflect.DeepEqual(got, []ListEntry{want, parent}) {
		t.Errorf("read back\n%+v\nwant\n%+v", got, []ListEntry{want, parent})
	}
	if l.SequenceNumber != Unassigned || l.AddedSnapshotID != 0 {
		t.Error("WriteList changed its input, which the next attempt needs")
	}
}
