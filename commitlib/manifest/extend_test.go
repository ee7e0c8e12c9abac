package manifest

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"
)

// freshEntry is the list's record of the n-th manifest that a test adds.
func freshEntry(t testing.TB, n int) ListEntry {
	t.Helper()
	e, err := Summarize(testSchema, testSpec(t, "hour", "partition"), testEntries(2))
	if err != nil {
		t.Fatal(err)
	}
	e.Path, e.Length = fmt.Sprintf("s3://bucket/default/clicks/metadata/%08d-m0.avro", n), int64(1000+n)
	return e
}

// A list that was extended many times, reopened now and then as a cold committer does, holds what a list of all
// entries at once holds, in the same order; and every list on the way says its own snapshot's numbers.
func TestExtendedListHoldsAll(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	l, want := new(List), []ListEntry(nil)
	pattern := freshEntry(t, 0)
	kept := 0
	for snapshot := 1; snapshot <= 80; snapshot++ {
		var fresh []ListEntry
		for range 1 + rng.IntN(60) {
			fresh = append(fresh, pattern)
			fresh[len(fresh)-1].Path = fmt.Sprintf("s3://bucket/default/clicks/metadata/%08d-m0.avro", len(want)+len(fresh))
		}
		before := slices.Clone(fresh)
		next, data, err := l.Extend(fresh, int64(snapshot)<<20, int64(snapshot-1)<<20, int64(snapshot))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(fresh, before) {
			t.Fatal("Extend changed its input, which the next attempt needs")
		}
		for i := range fresh {
			fresh[i].AddedSnapshotID, fresh[i].SequenceNumber, fresh[i].MinSequenceNumber = int64(snapshot)<<20, int64(snapshot), int64(snapshot)
		}
		want = append(fresh, want...)
		if l = next; next.Len() != len(want) {
			t.Fatalf("snapshot %d: %d entries, want %d", snapshot, next.Len(), len(want))
		}
		if rng.IntN(8) == 0 || snapshot == 80 {
			got, err := ReadList(data)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("snapshot %d: %d entries, %v; want %d, or they differ", snapshot, len(got), err, len(want))
			}
			// What the list became is what a reader of its file would make of it: the next files are equal.
			reopened, err := OpenList(data)
			if err != nil {
				t.Fatal(err)
			}
			if reopened.Len() != len(want) {
				t.Fatalf("snapshot %d: %d entries after it was read, want %d", snapshot, reopened.Len(), len(want))
			}
			if !bytes.Equal(extendBytes(t, next, snapshot), extendBytes(t, reopened, snapshot)) {
				t.Fatalf("snapshot %d: the next list differs when this one is read from its file", snapshot)
			}
			l = reopened
		}
		kept = len(l.blocks)
	}
	if kept < 2 {
		t.Errorf("%d entries left %d full blocks: nothing was kept", len(want), kept)
	}
}

func extendBytes(t *testing.T, l *List, snapshot int) []byte {
	t.Helper()
	_, data, err := l.Extend([]ListEntry{freshEntry(t, 1<<20)}, 1<<40, int64(snapshot)<<20, int64(snapshot)+1)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Two attempts on one list do not disturb each other.
func TestExtendLeavesTheListAlone(t *testing.T) {
	l, _, err := new(List).Extend(manyFresh(t, 400), 1, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	first := extendBytes(t, l, 1)
	for range 10 {
		extendBytes(t, l, 1)
	}
	if again := extendBytes(t, l, 1); !bytes.Equal(first, again) {
		t.Error("the same extension gives another file later")
	}
}

func manyFresh(t testing.TB, n int) []ListEntry {
	t.Helper()
	one := freshEntry(t, 0)
	list := make([]ListEntry, n)
	for i := range list {
		list[i] = one
		list[i].Path = fmt.Sprintf("s3://bucket/default/clicks/metadata/%08d-m0.avro", i)
	}
	return list
}

// What an append encodes does not grow with the list: with 20 times the manifests it allocates little more than
// what copying the compressed blocks takes.
func TestExtendCostsWhatIsOpen(t *testing.T) {
	cost := func(n int) (allocated int64, size int) {
		l, _, err := new(List).Extend(manyFresh(t, n), 1, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		fresh := []ListEntry{freshEntry(t, n)}
		allocated = math.MaxInt64 // the least of some: now and then a pooled compressor is made anew
		for range 20 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, data, err := l.Extend(fresh, 2, 1, 2)
			runtime.ReadMemStats(&after)
			if err != nil {
				t.Fatal(err)
			}
			allocated, size = min(allocated, int64(after.TotalAlloc-before.TotalAlloc)), len(data)
		}
		return allocated, size
	}
	small, smallSize := cost(1000)
	large, largeSize := cost(20_000)
	if grew := large - small; grew > 2*int64(largeSize-smallSize) {
		t.Errorf("with 19,000 more manifests an append allocates %d more bytes; the file is %d bytes longer", grew, largeSize-smallSize)
	}
}

// A list that another writer made, in another schema, is taken in whole, and written as ours from then on.
func TestExtendForeignList(t *testing.T) {
	data := mustRead(t, "testdata/java/v2", "list.avro")
	want, err := ReadList(data)
	if err != nil {
		t.Fatal(err)
	}
	l, err := OpenList(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.blocks) > 0 {
		t.Fatal("blocks of another writer's schema were kept")
	}
	fresh := freshEntry(t, 1)
	_, data, err = l.Extend([]ListEntry{fresh}, 99, 98, 1000)
	if err != nil {
		t.Fatal(err)
	}
	fresh.AddedSnapshotID, fresh.SequenceNumber, fresh.MinSequenceNumber = 99, 1000, 1000
	got, err := ReadList(data)
	if err != nil || !reflect.DeepEqual(got, append([]ListEntry{fresh}, want...)) {
		t.Errorf("read back %v\n%+v\nwant after the fresh entry\n%+v", err, got, want)
	}
}

// A list whose kept blocks name a later sequence number than the snapshot's is refused, as open entries are.
func TestExtendRefusesAnEarlierSequence(t *testing.T) {
	l, _, err := new(List).Extend(manyFresh(t, 1000), 1, 0, 7)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.blocks) == 0 {
		t.Fatal("a thousand entries filled no block")
	}
	if _, _, err := l.Extend([]ListEntry{freshEntry(t, 0)}, 2, 1, 6); err == nil {
		t.Error("a list was extended by a snapshot with an earlier sequence number than its entries'")
	}
}

// An entry that no writer may leave unsettled is not copied into the next list as it is.
func TestOpenListKeepsNoUnsettledBlock(t *testing.T) {
	entries := manyFresh(t, 1000)
	entries[900].AddedFiles = Unknown
	p := packer{meta: []string{keySchema, listSchema, keyCodec, codecDeflate}}
	for i := range entries {
		entries[i].settle(1, 1)
		p.open.listEntry(listLayout(), &entries[i])
		if err := p.record(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := p.finish(nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := OpenList(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.blocks) > 0 {
		t.Error("a block with an entry that lacks a count was kept")
	}
	if _, _, err := l.Extend(nil, 2, 1, 2); err == nil {
		t.Error("an entry that lacks a count was written into a list of format version 2")
	}
}
