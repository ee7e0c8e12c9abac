package iceberg

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// foreignMetadata are the metadata files that the manifests' golden files belong to, by "writer/version", and what
// the specification allows that no writer at hand writes.
func foreignMetadata(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../manifest/testdata/*/v*/metadata.json")
	if err != nil || len(files) < 5 {
		t.Fatalf("found the golden files %q, %v", files, err)
	}
	found := map[string][]byte{"handmade/v2": mustReadFile(t, "testdata/everything.metadata.json"), "handmade/v1": mustReadFile(t, "testdata/v1.metadata.json")}
	for _, f := range files {
		dir := filepath.Dir(f)
		found[filepath.Base(filepath.Dir(dir))+"/"+filepath.Base(dir)] = mustReadFile(t, f)
	}
	return found
}

func mustReadFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// plainJSON reads JSON with its numbers as text, so that no digit is lost to the comparison.
func plainJSON(t testing.TB, b []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	return m
}

// Reading and writing loses and changes nothing, known to Firn or not. What Firn adds is what the specification lets a
// reader assume: see the deletions.
func TestForeignMetadataSurvivesARoundTrip(t *testing.T) {
	for name, data := range foreignMetadata(t) {
		t.Run(name, func(t *testing.T) {
			m, err := ParseMetadata(data)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(name, "v1") {
				if _, err := m.Encode(); err == nil {
					t.Error("format version 1 was written")
				}
				return
			}
			for _, sealed := range []bool{true, false} {
				if !sealed { // encode each snapshot from its fields, not from its text
					for i, s := range m.Snapshots {
						c := *s
						m.Snapshots[i] = &c
					}
				}
				encoded, err := m.Encode()
				if err != nil {
					t.Fatal(err)
				}
				got, want := plainJSON(t, encoded), plainJSON(t, data)
				for key, v := range want {
					if v == nil && key == "current-snapshot-id" {
						continue
					}
					if !reflect.DeepEqual(got[key], v) {
						t.Errorf("member %q is %v, want %v", key, got[key], v)
					}
					delete(got, key)
				}
				for _, optional := range []string{"refs", "snapshots", "snapshot-log", "metadata-log", "properties", "current-snapshot-id"} {
					delete(got, optional)
				}
				if len(got) > 0 {
					t.Errorf("members %v were made up", got)
				}
			}
		})
	}
}

func TestVersion1IsFilledIn(t *testing.T) {
	for _, name := range []string{"java/v1", "pyiceberg/v1", "handmade/v1"} {
		m, err := ParseMetadata(foreignMetadata(t)[name])
		if err != nil {
			t.Fatal(err)
		}
		if m.FormatVersion != 1 || m.CurrentSchema() == nil || len(m.DefaultSpec().Fields) == 0 || m.LastPartitionID < FirstPartitionFieldID ||
			len(m.SortOrders) == 0 || m.CurrentSnapshot() == nil || m.Refs[MainBranch].SnapshotID != m.CurrentSnapshotID {
			t.Errorf("%s: read as %+v", name, m)
		}
	}
	m, err := ParseMetadata(foreignMetadata(t)["handmade/v1"])
	if err != nil {
		t.Fatal(err)
	}
	f := m.DefaultSpec().Fields
	if len(f) != 2 || f[0].FieldID != 1000 || f[1].FieldID != 1001 || m.LastPartitionID != 1001 {
		t.Errorf("partition fields without ids read as %+v, last id %d", f, m.LastPartitionID)
	}
	if s := m.CurrentSnapshot(); s.SchemaID != NoSchemaID || s.ManifestList != "" || s.SequenceNumber != 0 {
		t.Errorf("snapshot reads as %+v", s)
	}
	if _, err := m.WithProperties(map[string]string{"a": "b"}, nil, "", testTime); err == nil {
		t.Error("a table of format version 1 was changed")
	}
}

func TestWhatFirnDoesNotNameIsCarriedThroughAChange(t *testing.T) {
	m, err := ParseMetadata(foreignMetadata(t)["handmade/v2"])
	if err != nil {
		t.Fatal(err)
	}
	s := &Snapshot{ID: 99, ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1, ManifestList: "s3://b/l.avro", Summary: map[string]string{"operation": OpAppend}}
	next, err := m.WithSnapshot(s, nil, "s3://b/old.metadata.json", testTime)
	if err != nil {
		t.Fatal(err)
	}
	encoded := mustEncode(t, next)
	for _, member := range []string{`"future-member":{"a": [1, 2.50, "\u00fc"]}`, `"statistics":[{"snapshot-id": 11`, `"partition-statistics":[`, `"encryption-keys":[`,
		`"identifier-field-ids":[1]`, `"write-default":7`, `"max-snapshot-age-ms":5`, `"future-of-snapshot": 1e400`, `"future-of-field":null`,
		`"future-of-spec":true`, `"future-of-partition-field":[]`, `"future-of-order":{}`, `"future-of-sort-field":"x"`, `"future-of-ref":12345678901234567890`} {
		if !strings.Contains(encoded, member) {
			t.Errorf("%s was not carried", member)
		}
	}
	if next.Refs[MainBranch].SnapshotID != 99 || !strings.Contains(encoded, `"min-snapshots-to-keep":3`) {
		t.Error("main lost its retention when it moved")
	}
}
