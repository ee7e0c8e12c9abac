package manifest

import (
	"fmt"
	"reflect"
	"testing"

	"firn/commitlib/iceberg"
)

var testSchema = iceberg.EventSchema(iceberg.String)

func testSpec(t testing.TB, words ...string) iceberg.PartitionSpec {
	t.Helper()
	spec, err := iceberg.EventSpec(words)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// testFile is a file of the shape that ingestd stages, in hour 495,000+i of lane i.
func testFile(i int) iceberg.DataFile {
	f := iceberg.DataFile{
		Path:            fmt.Sprintf("s3://bucket/default/clicks/data/018f3b1e-0000-7000-8000-%012d.parquet", i),
		Partition:       [][]byte{iceberg.EncodeInt(495_000 + int32(i)), iceberg.EncodeInt(int32(i))},
		RecordCount:     1000 + int64(i),
		FileSizeInBytes: 1 << 20,
		ColumnSizes:     map[int]int64{},
		ValueCounts:     map[int]int64{},
		NullValueCounts: map[int]int64{},
		LowerBounds:     map[int][]byte{},
		UpperBounds:     map[int][]byte{},
		SplitOffsets:    []int64{4, 500_000},
	}
	for _, c := range testSchema.Fields {
		f.ColumnSizes[c.ID] = int64(1000*c.ID + i)
		f.ValueCounts[c.ID] = f.RecordCount
		f.NullValueCounts[c.ID] = 0
		bound := iceberg.EncodeLong(int64(1_790_000_000_000_000 + i))
		switch c.Type {
		case iceberg.Int:
			bound = iceberg.EncodeInt(int32(i))
		case iceberg.String:
			bound = []byte(fmt.Sprintf("value %010d", i))
		}
		f.LowerBounds[c.ID], f.UpperBounds[c.ID] = bound, bound
	}
	return f
}

func testEntries(n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Add(testFile(i))
	}
	return entries
}

func mustWrite(t testing.TB, spec iceberg.PartitionSpec, entries []Entry) []byte {
	t.Helper()
	data, err := Write(testSchema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWrittenManifestReadsBack(t *testing.T) {
	spec := testSpec(t, "hour", "partition")
	one, two, three := int64(1), int64(2), int64(3)
	entries := testEntries(500) // several blocks
	entries[1] = Entry{Status: Existing, SnapshotID: &one, SequenceNumber: &two, FileSequenceNumber: &three, File: testFile(1)}
	entries[2] = Entry{Status: Deleted, SequenceNumber: &two, FileSequenceNumber: &three, File: testFile(2)}
	entries[3].File.Partition[1] = nil
	entries[4].File.Format = "ORC"
	entries[4].File.NaNValueCounts = map[int]int64{3: 5}
	entries[4].File.KeyMetadata = []byte{1, 2}
	entries[4].File.SortOrderID = 3
	data := mustWrite(t, spec, entries)
	h, got, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, entries) {
		t.Errorf("read back %d entries that differ from the %d written", len(got), len(entries))
		for i := range got {
			if !reflect.DeepEqual(got[i], entries[i]) {
				t.Fatalf("entry %d:\n%+v\nwant\n%+v", i, got[i], entries[i])
			}
		}
	}
	want := Header{Schema: testSchema, Spec: spec, FormatVersion: 2, Content: Data}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("header is %+v, want %+v", h, want)
	}
	if again := mustWrite(t, spec, entries); string(again) != string(data) {
		t.Error("equal entries gave another file")
	}
}

// writeUncached is Write with the schema made and parsed anew.
func writeUncached(spec iceberg.PartitionSpec, entries []Entry) ([]byte, error) {
	types, err := partitionTypes(testSchema, spec)
	if err != nil {
		return nil, err
	}
	w, err := makeWritten(types)
	if err != nil {
		return nil, err
	}
	return w.write(testSchema, spec, entries)
}
