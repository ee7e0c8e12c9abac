package manifest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hamba/avro/v2"

	"firn/commitlib/iceberg"
)

// wideSchema has a column of every type that a partition value can have.
func wideSchema() (*iceberg.Schema, iceberg.PartitionSpec, [][]byte) {
	values := []struct {
		t iceberg.Type
		v []byte
	}{
		{iceberg.Boolean, iceberg.EncodeBool(true)}, {iceberg.Int, iceberg.EncodeInt(-5)}, {iceberg.Long, iceberg.EncodeLong(-1 << 40)},
		{iceberg.Float, iceberg.EncodeFloat(1.5)}, {iceberg.Double, iceberg.EncodeDouble(-2.5)}, {iceberg.String, []byte("ü")},
		{iceberg.Binary, []byte{0, 255}}, {iceberg.Date, iceberg.EncodeInt(20_000)}, {iceberg.Time, iceberg.EncodeLong(5)},
		{iceberg.Timestamp, iceberg.EncodeLong(-6)}, {iceberg.TimestampTZ, iceberg.EncodeLong(7)}, {iceberg.TimestampNS, iceberg.EncodeLong(8)},
		{iceberg.TimestampTZNS, iceberg.EncodeLong(9)}, {iceberg.UUID, []byte("0123456789abcdef")}, {iceberg.UUID, []byte("fedcba9876543210")},
		{"fixed[3]", []byte("abc")}, {"decimal(9,2)", []byte{0xff, 0x7f}}, {"decimal(38,0)", []byte{0x7f}}, {"decimal(20, 10)", []byte{0, 0x80}},
	}
	schema, spec, tuple := &iceberg.Schema{ID: 3}, iceberg.PartitionSpec{ID: 2}, [][]byte(nil)
	for i, v := range values {
		schema.Fields = append(schema.Fields, iceberg.Field{ID: i + 1, Name: fmt.Sprintf("%d-%s", i, v.t), Type: v.t})
		spec.Fields = append(spec.Fields, iceberg.PartitionField{SourceID: i + 1, FieldID: 1000 + i, Name: fmt.Sprintf("%d-%s", i, v.t), Transform: iceberg.TransformIdentity})
		tuple = append(tuple, v.v)
	}
	// A field whose column was dropped since.
	spec.Fields = append(spec.Fields, iceberg.PartitionField{SourceID: 99, FieldID: 1099, Name: "gone", Transform: iceberg.TransformVoid})
	return schema, spec, append(tuple, nil)
}

func TestEveryPartitionTypeReadsBack(t *testing.T) {
	schema, spec, tuple := wideSchema()
	file := testFile(1)
	file.Partition = tuple
	empty := testFile(2)
	empty.Partition = make([][]byte, len(tuple))
	entries := []Entry{Add(file), Add(empty)}
	data, err := Write(schema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range tuple {
		if hexOf(got[0].File.Partition[i]) != hexOf(tuple[i]) || got[1].File.Partition[i] != nil {
			t.Errorf("field %q reads back as %s and %s, want %s and null", spec.Fields[i].Name, hexOf(got[0].File.Partition[i]), hexOf(got[1].File.Partition[i]), hexOf(tuple[i]))
		}
	}
	l, err := Summarize(schema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range l.Partitions {
		if !s.ContainsNull || hexOf(s.Lower) != hexOf(tuple[i]) || hexOf(s.Upper) != hexOf(tuple[i]) {
			t.Errorf("summary of field %q is %+v", spec.Fields[i].Name, s)
		}
	}
}

// Engines find fields by id alone: each must stand in the file's own header.
func TestHeadersCarryEveryFieldID(t *testing.T) {
	schema, spec, tuple := wideSchema()
	file := testFile(1)
	file.Partition = tuple
	manifest, err := Write(schema, spec, []Entry{Add(file)})
	if err != nil {
		t.Fatal(err)
	}
	list, err := WriteList([]ListEntry{{Path: "p", Length: 1}}, 7, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"manifest": manifest, "list": list} {
		c, err := openContainer(data)
		if err != nil {
			t.Fatal(err)
		}
		var parsed any
		if err := json.Unmarshal([]byte(c.meta[keySchema]), &parsed); err != nil {
			t.Fatal(err)
		}
		seen := map[float64]bool{}
		checkFieldIDs(t, name, parsed, seen)
		if want := map[string]int{"manifest": 35 + len(spec.Fields), "list": 20}[name]; len(seen) != want {
			t.Errorf("%s: header has %d ids, want %d", name, len(seen), want)
		}
	}
}

func checkFieldIDs(t *testing.T, path string, v any, seen map[float64]bool) {
	id := func(o map[string]any, key string) {
		n, ok := o[key].(float64)
		if !ok || seen[n] {
			t.Errorf("%s: %s is %v, want a number that no other field has", path, key, o[key])
		}
		seen[n] = true
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			checkFieldIDs(t, path, e, seen)
		}
	case map[string]any:
		if fields, ok := v["fields"].([]any); ok {
			for _, f := range fields {
				f := f.(map[string]any)
				id(f, "field-id")
				checkFieldIDs(t, path+"."+f["name"].(string), f["type"], seen)
			}
		}
		if v["type"] == "array" {
			if v["logicalType"] != "map" {
				id(v, "element-id")
			}
			checkFieldIDs(t, path+"[]", v["items"], seen)
		}
	}
}

// What is written here by hand, another decoder reads by the header's schema alone.
func TestAnotherDecoderReadsTheRecords(t *testing.T) {
	spec := testSpec(t, "hour", "partition")
	c, err := openContainer(mustWrite(t, spec, testEntries(200)))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := avro.ParseWithCache(c.meta[keySchema], "", &avro.SchemaCache{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := readLayout(c.meta[keySchema])
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = c.each(l, func(d *decoder) {
		rest := d.b
		d.skip(l)
		var got map[string]any
		if err := avro.Unmarshal(schema, rest[:len(rest)-len(d.b)], &got); err != nil {
			t.Fatalf("entry %d: %v", n, err)
		}
		want, file := testFile(n), got["data_file"].(map[string]any)
		text := fmt.Sprint(got["status"], got["snapshot_id"], got["sequence_number"], file["file_path"], file["record_count"], file["split_offsets"], file["partition"])
		wantText := fmt.Sprint(1, nil, nil, want.Path, want.RecordCount, map[string]any{"array": want.SplitOffsets},
			map[string]any{"event_time_hour": 495_000 + n, "partition": n})
		if text != wantText {
			t.Fatalf("entry %d is\n%s\nwant\n%s", n, text, wantText)
		}
		if bounds := fmt.Sprint(file["upper_bounds"]); !strings.Contains(bounds, fmt.Sprint(want.UpperBounds[1])) {
			t.Fatalf("entry %d has upper bounds %s", n, bounds)
		}
		n++
	})
	if err != nil || n != 200 {
		t.Errorf("read %d records, %v", n, err)
	}
}

func TestAvroNames(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := avroName(in); got != want {
			t.Errorf("name of %q is %q, want %q", in, got, want)
		}
	}
	f("event_time_hour", "event_time_hour")
	f("2nd-name", "_2nd_x2Dname") // as the reference implementation's golden file has it
	f("ü", "_xFC")
	f("a.b c9", "a_x2Eb_x20c9")
}
