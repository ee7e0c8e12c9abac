package manifest

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"firn/commitlib/iceberg"
)

// The files under testdata/java and testdata/pyiceberg were written by others (see the scripts beside them), with
// what their writers read in them in expected.txt.
func TestForeignFilesReadAsTheirWritersDo(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*/v*")
	if err != nil || len(dirs) < 4 {
		t.Fatalf("testdata has the folders %q, %v", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(strings.TrimPrefix(dir, "testdata/"), func(t *testing.T) {
			got := describe(t, dir)
			want := string(mustRead(t, dir, "expected.txt"))
			if got != want {
				gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
				for i := range min(len(gotLines), len(wantLines)) {
					if gotLines[i] != wantLines[i] {
						t.Fatalf("line %d is\n%s\nwant\n%s", i+1, gotLines[i], wantLines[i])
					}
				}
				t.Fatalf("read %d lines, want %d", len(gotLines), len(wantLines))
			}
		})
	}
}

func mustRead(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// describe prints a folder's manifest list and manifests in the words of expected.txt.
func describe(t *testing.T, dir string) string {
	list, err := ReadList(mustRead(t, dir, "list.avro"))
	if err != nil {
		t.Fatal(err)
	}
	meta, err := iceberg.ParseMetadata(mustRead(t, dir, "metadata.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, l := range list {
		fmt.Fprintf(&b, "manifest %d spec=%d content=%d seq=%d min=%d added=%d files=%d/%d/%d rows=%d/%d/%d key=%s\n", l.Length, l.SpecID, l.Content,
			l.SequenceNumber, l.MinSequenceNumber, l.AddedSnapshotID, l.AddedFiles, l.ExistingFiles, l.DeletedFiles, l.AddedRows, l.ExistingRows, l.DeletedRows, hexOf(l.KeyMetadata))
		for _, s := range l.Partitions {
			nan := "null"
			if s.ContainsNaN != nil {
				nan = fmt.Sprint(*s.ContainsNaN)
			}
			fmt.Fprintf(&b, "summary null=%v nan=%s %s %s\n", s.ContainsNull, nan, hexOf(s.Lower), hexOf(s.Upper))
		}
		data := mustRead(t, dir, fmt.Sprintf("m%d.avro", i))
		h, entries, err := l.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		spec, _ := meta.Spec(h.Spec.ID)
		if len(spec.Fields) != len(h.Spec.Fields) || meta.Schema(h.Schema.ID) == nil {
			t.Errorf("manifest's header has spec %+v and schema %d, the table spec %+v", h.Spec, h.Schema.ID, spec)
		}
		for _, e := range entries {
			describeEntry(&b, &e)
		}
	}
	return b.String()
}

func describeEntry(b *strings.Builder, e *Entry) {
	f := e.File
	format := f.Format
	if format == "" {
		format = "PARQUET"
	}
	fmt.Fprintf(b, "entry %d snap=%d seq=%d fileseq=%d content=%d %s %s rows=%d size=%d sort=%d key=%s\n", e.Status, *e.SnapshotID, *e.SequenceNumber,
		*e.FileSequenceNumber, f.Content, f.Path, format, f.RecordCount, f.FileSizeInBytes, f.SortOrderID, hexOf(f.KeyMetadata))
	b.WriteString("partition")
	for _, v := range f.Partition {
		b.WriteString(" " + hexOf(v))
	}
	b.WriteByte('\n')
	number := func(n int64) string { return fmt.Sprint(n) }
	describeMap(b, "sizes", f.ColumnSizes, number)
	describeMap(b, "values", f.ValueCounts, number)
	describeMap(b, "nulls", f.NullValueCounts, number)
	describeMap(b, "nans", f.NaNValueCounts, number)
	describeMap(b, "lower", f.LowerBounds, hexOf)
	describeMap(b, "upper", f.UpperBounds, hexOf)
	fmt.Fprintf(b, "splits %v equality %v\n", f.SplitOffsets, f.EqualityIDs)
}

func describeMap[V any](b *strings.Builder, name string, m map[int]V, text func(V) string) {
	b.WriteString(name)
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(b, " %d=%s", k, text(m[k]))
	}
	b.WriteByte('\n')
}

func hexOf(v []byte) string {
	if v == nil {
		return "null"
	}
	return hex.EncodeToString(v)
}

// Entries of a foreign manifest can be written again as existing ones, which is what merging does.
func TestForeignEntriesCanBeMerged(t *testing.T) {
	for _, dir := range []string{"testdata/java/v2", "testdata/pyiceberg/v2"} {
		list, err := ReadList(mustRead(t, dir, "list.avro"))
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range list {
			h, entries, err := l.Read(mustRead(t, dir, fmt.Sprintf("m%d.avro", i)))
			if err != nil {
				t.Fatal(err)
			}
			for i := range entries {
				entries[i].Status = Existing
			}
			data, err := Write(h.Schema, h.Spec, entries)
			if h.Content == Deletes {
				if err == nil {
					t.Error("delete files were written into a data manifest")
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			h2, again, err := Read(data)
			if err != nil {
				t.Fatal(err)
			}
			if h2.FormatVersion = h.FormatVersion; !reflect.DeepEqual(h2, h) {
				t.Errorf("%s: header reads back as %+v, want %+v", dir, h2, h)
			}
			if !reflect.DeepEqual(again, entries) {
				t.Errorf("%s: entries read back as\n%+v\nwant\n%+v", dir, again, entries)
			}
			summary, err := Summarize(h.Schema, h.Spec, entries)
			if err != nil {
				t.Fatal(err)
			}
			for j, s := range summary.Partitions {
				if was := l.Partitions[j]; s.ContainsNull != was.ContainsNull || hexOf(s.Lower) != hexOf(was.Lower) || hexOf(s.Upper) != hexOf(was.Upper) {
					t.Errorf("%s: summary of field %d is %+v, its writer's %+v", dir, j, s, was)
				}
			}
		}
	}
}
