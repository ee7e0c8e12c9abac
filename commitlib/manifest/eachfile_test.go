package manifest

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// EachFile tells of each file what Read does, also of manifests that others wrote, and refuses what Read refuses.
func TestEachFileReadsAsRead(t *testing.T) {
	check := func(name string, l ListEntry, data []byte) {
		t.Helper()
		_, entries, err := l.Read(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var want, got []FileRef
		for _, e := range entries {
			want = append(want, FileRef{e.File.Path, e.File.FileSizeInBytes, e.Status})
		}
		if err := l.EachFile(data, func(f FileRef) { got = append(got, f) }); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want)
		}
	}
	dirs, err := filepath.Glob("testdata/*/v*")
	if err != nil || len(dirs) < 4 {
		t.Fatalf("testdata has the folders %q, %v", dirs, err)
	}
	for _, dir := range dirs {
		list, err := ReadList(mustRead(t, dir, "list.avro"))
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range list {
			check(dir, l, mustRead(t, dir, fmt.Sprintf("m%d.avro", i)))
		}
	}
	entry, data := eachFileManifest(t)
	check("ours", entry, data)

	refused := func(name string, l ListEntry, data []byte) {
		t.Helper()
		if err := l.EachFile(data, func(FileRef) {}); err == nil {
			t.Errorf("%s: was read", name)
		}
	}
	refused("cut off", entry, data[:len(data)-1])
	damaged := slices.Clone(data)
	damaged[len(damaged)-1]++ // of the sync marker
	refused("damaged", entry, damaged)
	short := entry
	short.AddedFiles++
	refused("an entry short", short, data)
	list, err := WriteList([]ListEntry{entry}, 1, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	entry.Length = int64(len(list))
	refused("a manifest list", entry, list)
}

func eachFileManifest(t testing.TB) (ListEntry, []byte) {
	t.Helper()
	spec := testSpec(t, "hour", "partition")
	entries := testEntries(200)
	ten, one := int64(10), int64(1)
	entries[3].Status, entries[3].SnapshotID, entries[3].SequenceNumber, entries[3].FileSequenceNumber = Deleted, &ten, &one, &one
	data := mustWrite(t, spec, entries)
	l, err := Summarize(testSchema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	l.Path, l.Length = "s3://bucket/t/metadata/m.avro", int64(len(data))
	l.SequenceNumber, l.MinSequenceNumber = 2, 1
	return l, data
}

// Whatever a manifest claims, EachFile ends, and tells of no more files than a manifest may have.
func FuzzEachFile(f *testing.F) {
	_, data := eachFileManifest(f)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		l := ListEntry{Path: "m", Length: int64(len(data)), AddedFiles: Unknown, ExistingFiles: Unknown, DeletedFiles: Unknown}
		n := 0
		err := l.EachFile(data, func(FileRef) { n++ })
		if err == nil && n > maxRecords {
			t.Errorf("%d files", n)
		}
	})
}

func BenchmarkEachFile(b *testing.B) {
	l, data := eachFileManifest(b)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.EachFile(data, func(FileRef) {}); err != nil {
			b.Fatal(err)
		}
	}
}
