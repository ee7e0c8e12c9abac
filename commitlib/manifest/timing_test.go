package manifest

import (
	"fmt"
	"testing"
)

// A commit writes one manifest and one manifest list. Beside it stands the same work with the schemas parsed at each
// use, which is what a writer without the cache does: the difference is what the cache saves on every commit.
func BenchmarkAppendSnapshot(b *testing.B) {
	spec := testSpec(b, "hour", "partition")
	for _, files := range []int{1, 10, 100} {
		entries := testEntries(files)
		run := func(name string, write func() ([]byte, error), writeList func([]ListEntry) ([]byte, error)) {
			b.Run(fmt.Sprintf("schemas=%s/files=%d", name, files), func(b *testing.B) {
				parent := make([]ListEntry, 20)
				for i := range parent {
					parent[i], _ = Summarize(testSchema, spec, entries)
					parent[i].Path, parent[i].Length = fmt.Sprintf("s3://bucket/default/clicks/metadata/%d.avro", i), 9000
				}
				b.ReportAllocs()
				for b.Loop() {
					data, err := write()
					if err != nil {
						b.Fatal(err)
					}
					fresh, err := Summarize(testSchema, spec, entries)
					if err != nil {
						b.Fatal(err)
					}
					fresh.Path, fresh.Length = "s3://bucket/default/clicks/metadata/fresh.avro", int64(len(data))
					list, err := writeList(append([]ListEntry{fresh}, parent...))
					if err != nil {
						b.Fatal(err)
					}
					b.SetBytes(int64(len(data) + len(list)))
				}
			})
		}
		run("parsed-once",
			func() ([]byte, error) { return Write(testSchema, spec, entries) },
			func(l []ListEntry) ([]byte, error) { return WriteList(l, 7, 6, 5) })
		run("parsed-at-each-use",
			func() ([]byte, error) { return writeUncached(spec, entries) },
			func(l []ListEntry) ([]byte, error) {
				if _, err := parse(listSchema); err != nil {
					return nil, err
				}
				return WriteList(l, 7, 6, 5)
			})
	}
}
