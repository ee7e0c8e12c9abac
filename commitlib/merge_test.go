package commitlib

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// listed is a list's record of a manifest of so many files, at the size that full statistics give it.
func listed(path string, files int) manifest.ListEntry {
	const head, perFile = 5000, 160 // bytes, as a table of events has them
	return manifest.ListEntry{Path: path, AddedFiles: files, Length: head + perFile*int64(files)}
}

// TestMergingKeepsTheListShort makes tables of a million files, file by file and in batches: the list has at most 100
// manifests all the way, and no entry is written more than log n times.
func TestMergingKeepsTheListShort(t *testing.T) {
	f := func(name string, most int, files func(commit int) int) {
		t.Run(name, func(t *testing.T) {
			var list []manifest.ListEntry // newest first
			written := map[string]int{}   // how often the entries of a manifest were, at the most
			total, longest, often := 0, 0, 0
			for commit := 0; total < 1_000_000; commit++ {
				if group, _ := mergeable(list, mergeAt); len(group) > 0 {
					one := listed(fmt.Sprintf("merged-%d", commit), 0)
					for _, e := range group {
						one.ExistingFiles += e.AddedFiles + e.ExistingFiles
						written[one.Path] = max(written[one.Path], written[e.Path]+1)
						delete(written, e.Path)
					}
					one.Length += 160 * int64(one.ExistingFiles)
					if one.Length > mergeTarget {
						t.Fatalf("a merged manifest has %d bytes", one.Length)
					}
					often = max(often, written[one.Path])
					list = slices.DeleteFunc(list, func(e manifest.ListEntry) bool {
						return slices.ContainsFunc(group, func(g manifest.ListEntry) bool { return g.Path == e.Path })
					})
					list = append([]manifest.ListEntry{one}, list...)
				}
				n := files(commit)
				total += n
				list = append([]manifest.ListEntry{listed(fmt.Sprint(commit), n)}, list...)
				longest = max(longest, len(list))
			}
			t.Logf("%d files: %d manifests, %d at the most, each entry was merged %d times at the most", total, len(list), longest, often)
			if longest > 100 || often > most {
				t.Errorf("want 100 manifests and %d times at the most", most)
			}
		})
	}
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	f("10 files a commit", 5, func(int) int { return 10 })
	f("300 files a commit", 3, func(int) int { return 300 })
	f(fmt.Sprintf("any number of files a commit, seed %d", seed), 6, func(int) int { return 1 + rng.IntN(1<<rng.IntN(12)) })
	f("first one by one", 6, func(commit int) int {
		if commit < 30_000 {
			return 1
		}
		return 500
	})
}

func TestMergeable(t *testing.T) {
	of := func(prefix string, n, files int, more ...func(*manifest.ListEntry)) (list []manifest.ListEntry) {
		for i := range n {
			e := listed(fmt.Sprint(prefix, i), files)
			for _, change := range more {
				change(&e)
			}
			list = append(list, e)
		}
		return list
	}
	spec := func(id int) func(*manifest.ListEntry) { return func(e *manifest.ListEntry) { e.SpecID = id } }
	bytes := func(n int64) func(*manifest.ListEntry) { return func(e *manifest.ListEntry) { e.Length = n } }
	f := func(what string, list []manifest.ListEntry, wantGroup, wantEmpty int, wantFirst string) {
		t.Helper()
		group, empty := mergeable(list, 3)
		first := ""
		if len(group) > 0 {
			first = group[0].Path
		}
		if len(group) != wantGroup || len(empty) != wantEmpty || first != wantFirst {
			t.Errorf("%s: merges %d from %q on and drops %d, want %d from %q and %d", what, len(group), first, len(empty), wantGroup, wantFirst, wantEmpty)
		}
	}
	f("nothing", nil, 0, 0, "")
	f("too few", of("a", 2, 1), 0, 0, "")
	f("enough, the oldest first", of("a", 3, 1), 3, 0, "a2")
	f("more than enough", of("a", 40, 2), 40, 0, "a39")
	f("of two levels", slices.Concat(of("a", 2, 1), of("b", 2, 3)), 0, 0, "")
	f("the lower level first", slices.Concat(of("b", 3, 3), of("a", 3, 2)), 3, 0, "a2")
	f("of two specs", slices.Concat(of("a", 2, 1), of("b", 2, 1, spec(1))), 0, 0, "")
	f("the other spec", slices.Concat(of("a", 2, 1), of("b", 3, 1, spec(1))), 3, 0, "b2")
	f("delete manifests", of("a", 9, 1, func(e *manifest.ListEntry) { e.Content = manifest.Deletes }), 0, 0, "")
	f("encrypted", of("a", 9, 1, func(e *manifest.ListEntry) { e.KeyMetadata = []byte{1} }), 0, 0, "")
	f("counts that an old writer left out", of("a", 9, manifest.Unknown), 0, 0, "")
	f("full ones", of("a", 9, 900, bytes(mergeTarget/2)), 0, 0, "")
	f("full of files", of("a", 9, mergeFiles/2), 0, 0, "")
	f("nearly full ones", of("a", 9, 900, bytes(mergeTarget/2-1)), 2, 0, "a8")
	f("as many as one reads", of("a", 900, 1), mergeMost, 0, "a899")
	f("those that only tell of deletions", of("a", 2, 0, func(e *manifest.ListEntry) { e.DeletedFiles = 4 }), 0, 2, "")
	f("delete files' deletions", of("a", 2, 0, func(e *manifest.ListEntry) { e.DeletedFiles, e.Content = 4, manifest.Deletes }), 0, 0, "")
}

// entries reads the live entries of main's head, by file, and the manifests that its list names.
func (w *world) entries() (files map[string]manifest.Entry, list []manifest.ListEntry) {
	w.Helper()
	list, err := manifest.ReadList(w.object(w.load().Metadata.CurrentSnapshot().ManifestList))
	w.must(err)
	files = make(map[string]manifest.Entry)
	for i := range list {
		_, entries, err := list[i].Read(w.object(list[i].Path))
		w.must(err)
		for _, e := range entries {
			if e.Status == manifest.Deleted {
				continue
			}
			if _, twice := files[e.File.Path]; twice {
				w.Errorf("file %s is live twice", e.File.Path)
			}
			files[e.File.Path] = e
		}
	}
	return files, list
}

// Commits on each catalog merge as they go. Each file stays live once, of the snapshot that added it, with its sequence
// numbers; what it is told by is EXISTING from the first merge on.
func TestCommitsMergeManifests(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		t.Run(mode.String(), func(t *testing.T) {
			w := newWorldOn(t, mode)
			a := w.log()
			c, merged := New(w.cat, w.store, w.tidy()), uint64(0)
			type origin struct{ snapshot, sequence int64 }
			origins := map[string]origin{}
			for n := Seq(1); n <= 90; n++ {
				w.pass(time.Second)
				if n%30 == 0 {
					merged += c.Counters().Merged
					c = New(w.reopen(), w.store, w.tidy()) // reads the list from its file
				}
				r := w.request(a, n, n)
				res := w.commit(c, applied, r)
				origins[r.Files[0].Path] = origin{res[0].SnapshotID, w.load().Metadata.LastSequenceNumber}
				if n%15 != 0 {
					continue
				}
				files, list := w.entries()
				if len(files) != int(n) || len(list) > 3+2*4 {
					t.Fatalf("after %d commits: %d live files in %d manifests", n, len(files), len(list))
				}
				existing := 0
				for path, e := range files {
					if (origin{*e.SnapshotID, *e.SequenceNumber}) != origins[path] || *e.FileSequenceNumber != *e.SequenceNumber {
						t.Fatalf("file %s is of snapshot %d with sequence numbers %d and %d, want %+v", path, *e.SnapshotID, *e.SequenceNumber, *e.FileSequenceNumber, origins[path])
					}
					if e.Status == manifest.Existing {
						existing++
					}
				}
				if existing < int(n)-4 {
					t.Errorf("after %d commits %d entries are EXISTING", n, existing)
				}
			}
			if merged < 60 {
				t.Errorf("%d manifests were merged in 90 commits", merged)
			}
			w.holds(map[uuid.UUID]Seq{a: 90})
		})
	}
}

// A manifest that only tells what a rewrite deleted leaves the list with a commit that looks for what to merge, and what
// another engine wrote is merged with the rest.
func TestMergingBesideOthers(t *testing.T) {
	w := newWorld(t)
	a := w.log()
	c := New(w.cat, w.store, w.tidy())
	first := w.request(a, 1, 1)
	w.commit(c, applied, first)
	w.commit(c, applied, w.request(a, 2, 2))
	w.commit(c, applied, w.request(a, 3, 3))
	f := first.Files[0]
	res, err := c.Rewrite(t.Context(), &Rewrite{
		Table: w.id, TableUUID: first.TableUUID, Operation: iceberg.OpDelete, Remove: []Removal{{Path: f.Path, SpecID: 0, Partition: f.Partition}},
	})
	w.must(err)
	if res.Outcome != Applied {
		t.Fatalf("rewrite: %+v", res)
	}
	if _, list := w.entries(); len(list) != 3 || list[0].DeletedFiles+list[1].DeletedFiles+list[2].DeletedFiles != 1 {
		t.Fatalf("after the rewrite the list is %+v", list)
	}
	w.commit(c, applied, w.request(a, 4, 4))
	if _, list := w.entries(); len(list) != 3 || list[0].AddedFiles+list[1].AddedFiles+list[2].AddedFiles != 3 {
		t.Errorf("after the next commit the list is %+v", list)
	}
	for range 4 {
		_, err := w.foreign().Append(t.Context(), w.id, f)
		w.must(err)
		f.Path += "x"
	}
	c = New(w.reopen(), w.store, w.tidy())
	w.commit(c, applied, w.request(a, 5, 5))
	files, list := w.entries()
	if len(list) != 2 || len(files) != 8 || c.Counters().Merged != 7 {
		t.Errorf("%d files in %d manifests, %d were merged", len(files), len(list), c.Counters().Merged)
	}
}

// due is a world whose next commit by cfg's committer merges manifests and expires snapshots.
func due(t *testing.T, mode twin.Mode) (w *world, c *Committer, log uuid.UUID, last Seq) {
	w = newWorldOn(t, mode)
	w.setProperties(map[string]string{propMaxSnapshotAge: "4000"})
	c, log = New(w.cat, w.store, w.tidy()), w.log()
	idle := w.config() // merges and expires nothing yet
	idle.MergeManifests = 1000
	first := New(w.cat, w.store, idle)
	for last = 1; last < 9; last++ {
		w.commit(first, applied, w.request(log, last, last))
	}
	w.pass(time.Hour)
	w.commit(c, skipped, w.request(log, 1, 1)) // warm
	return w, c, log, last - 1
}

// TestFaultAtEachCallOfHousekeeping breaks the k-th call of a commit that merges and expires, for every k and in each way:
// its events are in once, and so is all that was there before.
func TestFaultAtEachCallOfHousekeeping(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		for name, fault := range faultKinds {
			t.Run(fmt.Sprintf("%s, %s", mode, name), func(t *testing.T) {
				hits := 0
				for k := 1; ; k++ {
					w, c, log, last := due(t, mode)
					r := w.request(log, last+1, last+1)
					calls := 0
					hit := func() bool { calls++; return calls == k }
					w.store.SetFault(func(call objstore.Call) objstore.Fault {
						switch {
						case !hit():
							return objstore.Fault{}
						case call.Op != objstore.OpPut:
							return objstore.Fault{Err: errBroken}
						}
						return fault
					})
					twins, _ := w.cat.(*twin.Catalog)
					if twins != nil {
						twins.SetFault(func(call twin.Call) twin.Fault {
							switch {
							case !hit():
								return twin.Fault{}
							case call.Op != twin.OpSwap || errors.Is(fault.Err, errBroken):
								return twin.Fault{Err: errBroken}
							}
							return twin.Fault{Applied: fault.Applied, Late: fault.Late}
						})
					}
					for delivery := 1; ; delivery++ {
						res, err := c.Commit(t.Context(), w.id, []*Request{r})
						if err == nil && (res[0].Outcome == Applied || res[0].Outcome == Skipped) {
							break
						}
						if delivery == 5 {
							t.Fatalf("k=%d: %+v, %v", k, res, err)
						}
					}
					done := calls < k
					if n := c.Counters(); done && (n.Merged != 8 || n.Expired < 6) {
						t.Fatalf("without a fault it merges %d manifests and expires %d snapshots", n.Merged, n.Expired)
					}
					w.store.SetFault(nil)
					w.store.Settle()
					if twins != nil {
						twins.SetFault(nil)
						twins.Settle()
					}
					w.holds(map[uuid.UUID]Seq{log: last + 1})
					if files, _ := w.entries(); len(files) != int(last)+1 || t.Failed() {
						t.Fatalf("k=%d: %d files are live, want %d", k, len(files), last+1)
					}
					if done {
						break
					}
					hits++
				}
				if hits < 12 { // eight manifests are read
					t.Errorf("the faults hit %d calls", hits)
				}
			})
		}
	}
}

// Whatever goes wrong in merging, the commit goes on without, and does not try again in each one that follows.
func TestTroubleInMergingHoldsUpNothing(t *testing.T) {
	f := func(name string, spoil func(w *world, manifests []string)) {
		t.Run(name, func(t *testing.T) {
			w, c, log, last := due(t, 0)
			_, list := w.entries()
			var keys []string
			for _, e := range list {
				key, _ := objstore.Key(w.store, e.Path)
				keys = append(keys, key)
			}
			spoil(w, keys)
			for range 20 {
				last++
				w.commit(c, applied, w.request(log, last, last))
			}
			if c.Counters().Merged > 0 {
				t.Error("manifests were merged")
			}
			gets := 0
			w.store.SetFault(func(call objstore.Call) objstore.Fault {
				if call.Op == objstore.OpGet {
					gets++
				}
				return objstore.Fault{}
			})
			w.commit(c, applied, w.request(log, last+1, last+1))
			if gets > 0 {
				t.Errorf("a commit that follows reads %d objects", gets)
			}
		})
	}
	f("a manifest is gone", func(w *world, keys []string) { w.must(w.store.Delete(context.Background(), keys[5])) })
	f("a manifest is damaged", func(w *world, keys []string) {
		body, info, err := w.store.Get(context.Background(), keys[5])
		w.must(err)
		body = slices.Clone(body)
		body[len(body)/2] ^= 1
		_, err = w.store.Put(context.Background(), keys[5], body, objstore.Condition{ETag: info.ETag})
		w.must(err)
	})
	broken := func(op objstore.Op) func(w *world, keys []string) {
		return func(w *world, keys []string) {
			_, listed := w.entries()
			own := len(listed)
			w.store.SetFault(func(call objstore.Call) objstore.Fault {
				if call.Op == op && strings.HasSuffix(call.Key, "-m0.avro") && (op == objstore.OpGet || own > 0) {
					own = 0 // of writes the first: the merged manifest's
					return objstore.Fault{Err: errBroken}
				}
				return objstore.Fault{}
			})
		}
	}
	f("the store does not answer reads", broken(objstore.OpGet))
	f("the store does not take the merged manifest", broken(objstore.OpPut))
}

// Manifests of a spec whose column was dropped cannot be written anew: they stay, and keep no others from being merged.
func TestManifestsOfADroppedColumnHoldUpNoOthers(t *testing.T) {
	w := newWorld(t)
	m := *w.load().Metadata
	m.Specs = append(slices.Clone(m.Specs),
		iceberg.PartitionSpec{ID: 7, Fields: []iceberg.PartitionField{{SourceID: 4711, FieldID: 1007, Name: "dropped", Transform: "identity"}}},
		iceberg.PartitionSpec{ID: 8, Fields: []iceberg.PartitionField{{SourceID: 4711, FieldID: 1008, Name: "void", Transform: iceberg.TransformVoid}}})
	at := m.DefaultSpecID
	f := func(want int, specs ...int) {
		t.Helper()
		var entries []manifest.ListEntry
		for _, id := range specs {
			for range 3 {
				entries = append(entries, manifest.ListEntry{Path: fmt.Sprint(len(entries)), SpecID: id, AddedFiles: 1, Length: 1})
			}
		}
		entries = append(entries, manifest.ListEntry{Path: "gone", SpecID: specs[0], DeletedFiles: 1})
		group, empty := mergeable(writable(&m, entries), 3)
		if len(empty) != 1 || (want < 0) != (len(group) == 0) || want >= 0 && group[0].SpecID != want {
			t.Errorf("of the specs %v: merged %+v, left out %+v", specs, group, empty)
		}
	}
	f(at, 7, at)
	f(at, at, 7)
	f(-1, 7)
	f(8, 7, 8)
	f(-1, 99)
}

// A caller that is short of time gets its commit without the merge.
func TestMergeLeavesTheCallerItsTime(t *testing.T) {
	w, c, log, last := due(t, 0)
	p, err := c.inspect(t.Context(), w.load(), nil, w.clock())
	w.must(err)
	list, err := c.manifests(t.Context(), p)
	w.must(err)
	r := &run{Committer: c, id: w.id, parent: p}
	over, stop := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer stop()
	if m := r.merge(over, list); m != nil || r.plain != plainCommits {
		t.Errorf("with no time left %+v was merged", m)
	}
	r.plain = 0
	if m := r.merge(t.Context(), list); m == nil || len(m.gone) != 8 {
		t.Errorf("with time %+v was merged", m)
	}
	w.commit(c, applied, w.request(log, last+1, last+1))
}
