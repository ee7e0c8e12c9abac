package manifest

import (
	"fmt"
	"sync"
	"testing"

	"firn/commitlib/iceberg"
)

// appendSnapshot does what a commit does here: one manifest, one list over it and its parents.
func appendSnapshot(t testing.TB, spec iceberg.PartitionSpec, entries []Entry, parents []ListEntry) {
	t.Helper()
	data := mustWrite(t, spec, entries)
	fresh, err := Summarize(testSchema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	fresh.Path, fresh.Length = "s3://bucket/default/clicks/metadata/fresh.avro", int64(len(data))
	if _, err := WriteList(append([]ListEntry{fresh}, parents...), 7, 6, 5); err != nil {
		t.Fatal(err)
	}
}

func TestWarmCommitsParseNothing(t *testing.T) {
	hour, lane := testSpec(t, "hour", "partition"), testSpec(t, "none", "partition")
	hourEntries, laneEntries := testEntries(3), testEntries(3)
	for i := range laneEntries {
		laneEntries[i].File.Partition = laneEntries[i].File.Partition[1:]
	}
	data := mustWrite(t, hour, hourEntries)
	mustWrite(t, lane, laneEntries)
	if _, _, err := Read(data); err != nil {
		t.Fatal(err)
	}
	before, hits := Parses.Load(), Hits.Load()
	for range 500 {
		appendSnapshot(t, hour, hourEntries, nil)
		appendSnapshot(t, lane, laneEntries, nil)
		if _, _, err := Read(data); err != nil {
			t.Fatal(err)
		}
	}
	if n := Parses.Load() - before; n != 0 {
		t.Errorf("1,000 warm commits parsed %d schemas", n)
	}
	// A commit takes the manifest's schema and the list's, and reading takes one.
	if n := Hits.Load() - hits; n != 1000*2+500 {
		t.Errorf("1,000 warm commits took %d schemas from memory", n)
	}
	if _, err := writeUncached(hour, hourEntries); err != nil {
		t.Fatal(err)
	}
	if n := Parses.Load() - before; n != 1 {
		t.Errorf("one write past the cache counted %d parses: the counter does not count", n)
	}
}

// What this process wrote it reads without parsing: the first merge of a table is no dearer than the next.
func TestOwnManifestsAreReadWithoutParsing(t *testing.T) {
	spec := testSpec(t, "day")
	spec.Fields[0].Name = "a_name_that_only_this_test_uses"
	entries := testEntries(1)
	entries[0].File.Partition = entries[0].File.Partition[:1]
	data := mustWrite(t, spec, entries)
	before := Parses.Load()
	if _, _, err := Read(data); err != nil {
		t.Fatal(err)
	}
	if n := Parses.Load() - before; n != 0 {
		t.Errorf("parsed %d schemas", n)
	}
}

// Goroutines that meet a partition type at the same moment parse it once.
func TestConcurrentFirstUseParsesOnce(t *testing.T) {
	spec := testSpec(t, "day")
	spec.Fields[0].Name = "a_name_that_no_other_test_uses"
	entries := testEntries(1)
	entries[0].File.Partition = entries[0].File.Partition[:1]
	before := Parses.Load()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := Write(testSchema, spec, entries); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := Parses.Load() - before; n != 1 {
		t.Errorf("parsed %d times, want 1", n)
	}
}

func TestCacheIsBoundedAndKeepsWhatIsUsed(t *testing.T) {
	var c cache[int]
	made := 0
	get := func(key string) {
		t.Helper()
		if _, err := c.get(key, func() (int, error) { made++; return made, nil }); err != nil {
			t.Fatal(err)
		}
	}
	get("used")
	for i := range 3 * cacheSize {
		get(fmt.Sprint(i))
		get("used")
	}
	if len(c.byKey) != cacheSize || c.order.Len() != cacheSize {
		t.Errorf("cache holds %d and %d, want %d", len(c.byKey), c.order.Len(), cacheSize)
	}
	if want := 1 + 3*cacheSize; made != want {
		t.Errorf("made %d values, want %d", made, want)
	}
	if _, err := c.get("bad", func() (int, error) { return 0, errShort }); err == nil || c.byKey["bad"] != nil {
		t.Errorf("a value that could not be made is kept; error %v", err)
	}
}
