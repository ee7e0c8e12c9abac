package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"firn/commitlib/iceberg"
)

// listed writes a manifest of entries as one that a snapshot with that id and sequence number added.
func listed(t testing.TB, spec iceberg.PartitionSpec, snapshot int64, entries []Entry) Source {
	t.Helper()
	l, err := Summarize(testSchema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	s := Source{ListEntry: l, Data: mustWrite(t, spec, entries)}
	s.Path, s.Length = fmt.Sprintf("s3://bucket/default/clicks/metadata/%d.avro", snapshot), int64(len(s.Data))
	s.settle(snapshot, snapshot)
	return s
}

// live returns the entries of a manifest that count, by path, as a reader takes them.
func live(t testing.TB, s Source) map[string]Entry {
	t.Helper()
	_, entries, err := s.Read(s.Data)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]Entry{}
	for _, e := range entries {
		if e.Status != Deleted {
			if _, twice := found[e.File.Path]; twice {
				t.Fatalf("file %s is there twice", e.File.Path)
			}
			e.Status = Existing
			found[e.File.Path] = e
		}
	}
	return found
}

// Manifests of every kind, merged again and again, hold the live files of those they came from, each with the snapshot
// and the sequence numbers that it had; and the list says of them what is in them.
func TestMergedHoldsWhatWasLive(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	spec := testSpec(t, "hour", "partition")
	file, copied := 0, false
	for range 4 {
		snapshot := int64(0)
		fresh := func() Source {
			snapshot++
			var entries []Entry
			for range 1 + rng.IntN([]int{3, 30, 400}[rng.IntN(3)]) {
				file++
				e := Add(testFile(file))
				n, id := rng.Int64N(snapshot)+1, rng.Int64()
				switch rng.IntN(5) {
				case 0:
					e = Entry{Status: Existing, SnapshotID: &id, SequenceNumber: &n, FileSequenceNumber: &n, File: e.File}
				case 1:
					e = Entry{Status: Deleted, SequenceNumber: &n, FileSequenceNumber: &n, File: e.File}
				case 2:
					e.SequenceNumber = &n // a rewritten file: the data is older than the file
				case 3:
					e.File.Partition[1] = nil
				}
				entries = append(entries, e)
			}
			return listed(t, spec, snapshot, entries)
		}
		sources := []Source{fresh(), fresh()}
		for range 6 {
			sources = append(sources, fresh())
			from := sources[rng.IntN(len(sources)):]
			want := map[string]Entry{}
			for _, s := range from {
				maps.Copy(want, live(t, s))
			}
			body, l, err := Merge(t.Context(), testSchema, spec, from)
			if err != nil {
				t.Fatal(err)
			}
			if len(want) == 0 {
				if body != nil {
					t.Fatal("a manifest without live entries was written")
				}
				continue
			}
			snapshot++
			merged := Source{ListEntry: l, Data: body}
			merged.Path = "s3://bucket/default/clicks/metadata/merged.avro"
			merged.settle(snapshot, snapshot)
			if got := live(t, merged); !reflect.DeepEqual(got, want) {
				t.Fatalf("%d files, want %d, or they differ", len(got), len(want))
			}
			_, entries, err := Read(body)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if !e.settled() {
					t.Fatalf("entry %+v leaves something to be inherited", e)
				}
			}
			said, err := Summarize(testSchema, spec, entries)
			if err != nil {
				t.Fatal(err)
			}
			if said.Length = int64(len(body)); !reflect.DeepEqual(said, l) {
				t.Fatalf("the list says\n%+v\nthe entries say\n%+v", l, said)
			}
			sources = append(sources[:len(sources)-len(from)], merged)
			copied = copied || holdsBlockOf(t, body, from)
		}
	}
	if !copied {
		t.Error("no block was copied as it is: that was not tested")
	}
}

func holdsBlockOf(t *testing.T, body []byte, from []Source) (holds bool) {
	t.Helper()
	for _, s := range from {
		m, err := open(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		err = m.eachBlock(m.layout, func(d *decoder) { m.next(d) }, func(b block, expanded int) {
			holds = holds || expanded >= blockBytes && bytes.Contains(body, b.packed)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return holds
}

// Merging takes equal sources to equal bytes, so that tests repeat.
func TestMergeIsDeterministic(t *testing.T) {
	spec := testSpec(t, "hour", "partition")
	from := []Source{listed(t, spec, 1, testEntries(30)), listed(t, spec, 2, testEntries(3))}
	one, _, err := Merge(t.Context(), testSchema, spec, from)
	if err != nil {
		t.Fatal(err)
	}
	two, _, err := Merge(t.Context(), testSchema, spec, from)
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("the second time it differs (%v)", err)
	}
}

// What is not the manifest that the list describes, or of another partitioning, is merged into nothing.
func TestMergeRefuses(t *testing.T) {
	spec := testSpec(t, "hour", "partition")
	good := listed(t, spec, 1, testEntries(300))
	f := func(what string, spoil func(s *Source)) {
		t.Helper()
		s := good
		s.Data = slices.Clone(s.Data)
		spoil(&s)
		if body, _, err := Merge(t.Context(), testSchema, spec, []Source{good, s}); err == nil || body != nil {
			t.Errorf("%s: merged into %d bytes, %v", what, len(body), err)
		}
	}
	other := testSpec(t, "day", "partition")
	ofOther := listed(t, other, 1, testEntries(3))
	c, err := openContainer(good.Data)
	if err != nil {
		t.Fatal(err)
	}
	block := 0 // the file's end before its last block
	d := decoder{b: c.blocks}
	for len(d.b) > 0 {
		block = len(good.Data) - len(d.b)
		d.varint()
		d.take(d.varint())
		d.take(syncLength)
	}
	f("another length", func(s *Source) { s.Length++ })
	f("cut between blocks", func(s *Source) { s.Data = s.Data[:block]; s.Length = int64(block) })
	f("a damaged block", func(s *Source) { s.Data[block+20] ^= 0x55 })
	f("another count", func(s *Source) { s.AddedFiles-- })
	f("no manifest", func(s *Source) { s.Data = bytes.Repeat([]byte("x"), int(s.Length)) })
	f("a list entry of delete files", func(s *Source) { s.Content = Deletes })
	f("another spec id", func(s *Source) { s.SpecID = 7 })
	f("another spec under that id", func(s *Source) { *s = ofOther })
	if _, _, err := Merge(t.Context(), &iceberg.Schema{ID: 9}, spec, []Source{good}); err == nil {
		t.Error("merged over a schema without the partition fields' columns")
	}
}

// A caller whose time is over waits for one block at the most.
func TestMergeEndsWithItsContext(t *testing.T) {
	spec := testSpec(t, "hour", "partition")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if body, _, err := Merge(ctx, testSchema, spec, []Source{listed(t, spec, 1, testEntries(300))}); !errors.Is(err, context.Canceled) || body != nil {
		t.Errorf("merged into %d bytes, %v", len(body), err)
	}
}

// Manifests that Java wrote are merged, also with ours.
func TestMergeForeign(t *testing.T) {
	list, err := ReadList(mustRead(t, "testdata/java/v2", "list.avro"))
	if err != nil {
		t.Fatal(err)
	}
	merged := 0
	for i, l := range list {
		if l.Content != Data {
			continue
		}
		s := Source{ListEntry: l, Data: mustRead(t, "testdata/java/v2", fmt.Sprintf("m%d.avro", i))}
		h, _, err := l.Read(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		want := live(t, s)
		body, out, err := Merge(t.Context(), h.Schema, h.Spec, []Source{s})
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 {
			continue
		}
		out.Path = "merged"
		out.settle(1<<40, 1<<40)
		if got := live(t, Source{ListEntry: out, Data: body}); !reflect.DeepEqual(got, want) {
			t.Errorf("manifest %s became\n%+v\nwant\n%+v", l.Path, got, want)
		}
		merged++
	}
	if merged == 0 {
		t.Error("there was nothing to merge")
	}
}

// BenchmarkMerge merges ten manifests; of full blocks what was merged before is copied.
func BenchmarkMerge(b *testing.B) {
	spec := testSpec(b, "hour", "partition")
	for _, files := range []int{1, 1000} {
		var fresh []Source
		for i := range int64(10) {
			fresh = append(fresh, listed(b, spec, i+1, testEntries(files)))
		}
		b.Run(fmt.Sprintf("fresh/files=%d", files), func(b *testing.B) { benchmarkMerge(b, spec, fresh) })
		body, l, err := Merge(b.Context(), testSchema, spec, fresh)
		if err != nil {
			b.Fatal(err)
		}
		l.Path = "merged"
		l.settle(11, 11)
		again := slices.Repeat([]Source{{ListEntry: l, Data: body}}, 10)
		b.Run(fmt.Sprintf("again/files=%d", files*10), func(b *testing.B) { benchmarkMerge(b, spec, again) })
	}
}

func benchmarkMerge(b *testing.B, spec iceberg.PartitionSpec, sources []Source) {
	b.ReportAllocs()
	size := int64(0)
	for i := range sources {
		size += sources[i].Length
	}
	b.SetBytes(size)
	for b.Loop() {
		if _, _, err := Merge(b.Context(), testSchema, spec, sources); err != nil {
			b.Fatal(err)
		}
	}
}
