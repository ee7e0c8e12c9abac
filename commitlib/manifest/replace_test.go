package manifest

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// Over many snapshots that add, replace and take away, reopened now and then, a list holds what a plain slice of its
// entries holds, in memory and in its file.
func TestReplacedListHoldsTheRest(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	l, want := new(List), map[string]ListEntry{}
	packed := false
	for snapshot := int64(1); snapshot <= 60; snapshot++ {
		fresh := manyFresh(t, 1+rng.IntN(400))
		for i := range fresh {
			fresh[i].Path += string(rune('a' + snapshot%26)) // names of 26 snapshots in turn
		}
		share := []int{0, 1, 50, 100}[rng.IntN(4)] // percent
		gone := map[string]bool{}
		for path := range want {
			gone[path] = rng.IntN(100) < share
		}
		fresh = slices.DeleteFunc(fresh, func(e ListEntry) bool { _, have := want[e.Path]; return have })
		before := extendBytes(t, l, int(snapshot))
		next, data, err := l.Replace(func(path string) bool { return gone[path] }, fresh, snapshot, snapshot-1, snapshot)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, extendBytes(t, l, int(snapshot))) {
			t.Fatalf("snapshot %d: Replace changed its list, which the next attempt needs", snapshot)
		}
		for path := range gone {
			if gone[path] {
				delete(want, path)
			}
		}
		for _, e := range fresh {
			e.SequenceNumber, e.MinSequenceNumber, e.AddedSnapshotID = snapshot, snapshot, snapshot
			want[e.Path] = e
		}
		packed = packed || len(next.blocks) > 1
		held, err := next.Entries()
		if err != nil {
			t.Fatal(err)
		}
		inFile, err := ReadList(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(held, inFile) {
			t.Fatalf("snapshot %d: %d entries in memory and %d in the file, or they differ", snapshot, len(held), len(inFile))
		}
		if len(held) != len(want) || next.Len() != len(want) {
			t.Fatalf("snapshot %d: %d entries, Len %d, want %d", snapshot, len(held), next.Len(), len(want))
		}
		for _, e := range held {
			if !reflect.DeepEqual(e, want[e.Path]) {
				t.Fatalf("snapshot %d: %+v, want %+v", snapshot, e, want[e.Path])
			}
		}
		if l = next; rng.IntN(4) == 0 {
			if l, err = OpenList(data); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !packed {
		t.Error("no list held packed blocks: they were not tested")
	}
}

// Fresh entries stand first, and blocks in which nothing is gone are copied as they are.
func TestReplaceKeepsWhatIsUntouchedPacked(t *testing.T) {
	l, _, err := new(List).Extend(manyFresh(t, 3000), 1, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.blocks) < 3 {
		t.Fatalf("3000 entries fill %d blocks", len(l.blocks))
	}
	last, err := l.blocks[len(l.blocks)-1].entries()
	if err != nil {
		t.Fatal(err)
	}
	fresh := freshEntry(t, 1<<20)
	next, _, err := l.Replace(func(path string) bool { return path == last[0].Path }, []ListEntry{fresh}, 2, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range l.blocks[:len(l.blocks)-1] {
		if !slices.ContainsFunc(next.blocks, func(n listBlock) bool { return &n.packed[0] == &b.packed[0] }) {
			t.Error("a block in which nothing was replaced was packed anew")
		}
	}
	got, err := next.Entries()
	if err != nil || len(got) != 3000 || got[0].Path != fresh.Path {
		t.Errorf("%d entries, %v, the first is %q", len(got), err, got[0].Path)
	}
}

// A block that was damaged in memory is an error, not fewer entries.
func TestReplaceRefusesADamagedBlock(t *testing.T) {
	l, _, err := new(List).Extend(manyFresh(t, 1000), 1, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	l.blocks[0].packed = l.blocks[0].packed[:len(l.blocks[0].packed)/2]
	if _, err := l.Entries(); err == nil {
		t.Error("half a block was read")
	}
	if _, _, err := l.Replace(func(string) bool { return false }, nil, 2, 1, 2); err == nil {
		t.Error("half a block was written")
	}
}
