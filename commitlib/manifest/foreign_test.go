package manifest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/iceberg"
)

// Other engines read what is written here. `make test` and .ci/run set FIRN_PYTHON.
func TestOtherEnginesReadManifests(t *testing.T) {
	python := os.Getenv("FIRN_PYTHON")
	if python == "" {
		t.Skip("FIRN_PYTHON names no Python that has PyIceberg and DuckDB: make test sets it")
	}
	dir := t.TempDir()
	spec := testSpec(t, "hour", "partition")
	entries := testEntries(4)
	ten, one := int64(10), int64(1)
	entries[3].Status, entries[3].SnapshotID, entries[3].SequenceNumber, entries[3].FileSequenceNumber = Existing, &ten, &one, &one

	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	data := mustWrite(t, spec, entries)
	fresh, err := Summarize(testSchema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	fresh.Path, fresh.Length = put("m.avro", data), int64(len(data))
	fresh.MinSequenceNumber = 1
	list, err := WriteList([]ListEntry{fresh}, 77, 10, 2)
	if err != nil {
		t.Fatal(err)
	}
	m := iceberg.NewMetadata(uuid.New(), dir, testSchema, spec, nil, time.Now())
	for _, s := range []*iceberg.Snapshot{
		{ID: 10, SequenceNumber: 1, ManifestList: "gone.avro", Summary: map[string]string{"operation": iceberg.OpAppend}},
		{ID: 77, ParentID: 10, SequenceNumber: 2, ManifestList: put("list.avro", list), Summary: map[string]string{"operation": iceberg.OpAppend}},
	} {
		if m, err = m.WithSnapshot(s, nil, "", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	encoded, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, "-B", "testdata/read_table.py", put("v2.metadata.json", encoded)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var want strings.Builder
	fmt.Fprintln(&want, "list 2 1 77 3 1 3003 False:988d0700:9b8d0700 False:00000000:03000000")
	var duckdb strings.Builder
	for i := range entries {
		f := testFile(i)
		status := "ADDED 77 2 2"
		if i == 3 {
			status = "EXISTING 10 1 1"
		}
		fmt.Fprintf(&want, "pyiceberg %s %s %d %d %d %d value %010d [4, 500000]\n", status, f.Path, 495_000+i, i, f.RecordCount, f.ColumnSizes[7], i)
		fmt.Fprintf(&duckdb, "duckdb 2 %s %s %d\n", strings.Fields(status)[0], f.Path, f.RecordCount)
	}
	fmt.Fprintln(&want, "planned", testFile(2).Path)
	want.WriteString(duckdb.String())
	if string(out) != want.String() {
		t.Errorf("engines read\n%s\nwant\n%s", out, want.String())
	}
}
