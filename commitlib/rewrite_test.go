package commitlib

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// joined is the rewrite that makes one file of those of the requests, which are one log's, side by side. The oracle reads
// the range from its name.
func (w *world) joined(reqs ...*Request) *Rewrite {
	w.Helper()
	first, last := reqs[0], reqs[len(reqs)-1]
	rw := &Rewrite{
		Table: w.id, TableUUID: w.table.Metadata.TableUUID, Operation: iceberg.OpReplace,
		SchemaID: first.SchemaID, SchemaHash: first.SchemaHash, SpecID: first.SpecID, SpecHash: first.SpecHash, Written: w.clock(),
	}
	for _, r := range reqs {
		for i := range r.Files {
			rw.Remove = append(rw.Remove, Removal{r.Files[i].Path, r.SpecID, r.Files[i].Partition})
		}
	}
	key := fmt.Sprintf("default/clicks/data/%s-%d-%d-c%x.parquet", first.Log, first.First, last.Last, w.random())
	_, err := w.store.Put(context.Background(), key, []byte("PAR1"), objstore.Condition{Absent: true})
	w.must(err)
	f := first.Files[0]
	f.Path, f.RecordCount = objstore.Location(w.store, key), int64(last.Last-first.First+1)
	f.UpperBounds = last.Files[0].UpperBounds
	rw.Add = []iceberg.DataFile{f}
	return rw
}

// dropping is the rewrite that deletes the files of the requests.
func (w *world) dropping(reqs ...*Request) *Rewrite {
	rw := &Rewrite{Table: w.id, TableUUID: w.table.Metadata.TableUUID, Operation: iceberg.OpDelete}
	for _, r := range reqs {
		rw.Remove = append(rw.Remove, Removal{r.Files[0].Path, r.SpecID, r.Files[0].Partition})
	}
	return rw
}

// rewrite expects the outcome.
func (w *world) rewrite(c *Committer, want Outcome, rw *Rewrite) Result {
	w.Helper()
	res, err := c.Rewrite(w.Context(), rw)
	if res.Outcome != want || (err != nil) != (want == Undecided) {
		w.Fatalf("rewrite: %+v (%v), want %s", res, err, want)
	}
	return res
}

// live lists the entries of main's head that are live, by the file's name after the log's.
func (w *world) live() map[string]manifest.Entry {
	w.Helper()
	all := make(map[string]manifest.Entry)
	list, err := manifest.ReadList(w.object(w.load().Metadata.CurrentSnapshot().ManifestList))
	w.must(err)
	for _, l := range list {
		if l.Content != manifest.Data {
			continue
		}
		_, entries, err := l.Read(w.object(l.Path))
		w.must(err)
		for _, e := range entries {
			if e.Status != manifest.Deleted {
				all[e.File.Path] = e
			}
		}
	}
	return all
}

func TestRewriteReplaces(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		w := newWorldOn(t, mode)
		c := w.committer()
		a, b := w.log(), w.log()
		reqs := []*Request{w.request(a, 1, 5), w.request(a, 6, 9), w.request(b, 1, 2)}
		w.commit(c, applied, reqs[0])
		w.commit(c, []Outcome{Applied, Applied}, reqs[1], reqs[2]) // one manifest holds a file that leaves and one that stays
		before := w.load()
		head := before.Metadata.CurrentSnapshot()
		rw := w.joined(reqs[0], reqs[1])
		res := w.rewrite(c, Applied, rw)

		now := w.load()
		s := now.Metadata.CurrentSnapshot()
		if s.ID != res.SnapshotID || s.ParentID != head.ID || s.SequenceNumber != 3 || s.SchemaID != head.SchemaID {
			t.Fatalf("head is %+v", s)
		}
		if !maps.Equal(now.Metadata.Properties, before.Metadata.Properties) {
			t.Errorf("properties changed: %v", now.Metadata.Properties)
		}
		want := map[string]string{
			"operation": "replace", "engine-name": "firn", "added-data-files": "1", "deleted-data-files": "2", "added-records": "9",
			"deleted-records": "9", "added-files-size": "4", "removed-files-size": "8", "changed-partition-count": "1",
			"total-data-files": "2", "total-records": "11", "total-files-size": "8",
			"total-delete-files": "0", "total-position-deletes": "0", "total-equality-deletes": "0", PropRanges: "{}",
		}
		if !maps.Equal(s.Summary, want) {
			t.Errorf("summary is %v, want %v", s.Summary, want)
		}

		// What came has the greatest sequence number of what left; what stayed has what it had.
		live := w.live()
		if e := live[rw.Add[0].Path]; e.Status != manifest.Added || *e.SequenceNumber != 2 || *e.FileSequenceNumber != 3 || *e.SnapshotID != s.ID {
			t.Errorf("the new file's entry is %+v", e)
		}
		if e := live[reqs[2].Files[0].Path]; e.Status != manifest.Existing || *e.SequenceNumber != 2 || *e.FileSequenceNumber != 2 || *e.SnapshotID != head.ID {
			t.Errorf("the entry of the file that stayed is %+v", e)
		}
		if len(live) != 2 {
			t.Errorf("%d files are live", len(live))
		}
		list, err := manifest.ReadList(w.object(s.ManifestList))
		w.must(err)
		deleted := 0
		for _, l := range list {
			_, entries, err := l.Read(w.object(l.Path))
			w.must(err)
			for _, e := range entries {
				if e.Status == manifest.Deleted {
					if deleted++; *e.SnapshotID != s.ID || *e.SequenceNumber > 2 {
						t.Errorf("deleted entry is %+v", e)
					}
				}
			}
		}
		if deleted != 2 {
			t.Errorf("%d entries are deleted", deleted)
		}

		// Commits go on from the state that the rewrite left behind, without a load, and drop what is no longer said.
		loads := c.Counters().Loads
		w.commit(c, applied, w.request(a, 10, 12))
		if n := c.Counters().Loads; n != loads {
			t.Errorf("the commit after it loaded the table %d times", n-loads)
		}
		w.commit(c, skipped, reqs[0])
		w.holds(map[uuid.UUID]Seq{a: 12, b: 2})

		// A second one drops the manifest that held nothing but what the first deleted.
		w.rewrite(c, Applied, w.joined(reqs[2]))
		list, err = manifest.ReadList(w.object(w.load().Metadata.CurrentSnapshot().ManifestList))
		w.must(err)
		for _, l := range list {
			if l.AddedFiles+l.ExistingFiles == 0 && l.SequenceNumber < 5 {
				t.Errorf("manifest %s holds nothing live and stayed", l.Path)
			}
		}
		w.holds(map[uuid.UUID]Seq{a: 12, b: 2})
		if w.store.Counts().Of(objstore.OpDelete).Calls != 0 {
			t.Error("something was deleted")
		}
	}
}

func TestRewriteDeletes(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	reqs := []*Request{w.request(a, 1, 5), w.request(a, 6, 9)}
	w.commit(c, []Outcome{Applied, Applied}, reqs...)
	w.rewrite(c, Applied, w.dropping(reqs[0]))
	s := w.load().Metadata.CurrentSnapshot()
	want := map[string]string{
		"operation": "delete", "engine-name": "firn", "deleted-data-files": "1", "deleted-records": "5", "removed-files-size": "4",
		"changed-partition-count": "1", "total-data-files": "1", "total-records": "4", "total-files-size": "4",
		"total-delete-files": "0", "total-position-deletes": "0", "total-equality-deletes": "0", PropRanges: "{}",
	}
	if !maps.Equal(s.Summary, want) {
		t.Errorf("summary is %v, want %v", s.Summary, want)
	}
	if live := w.live(); len(live) != 1 || live[reqs[1].Files[0].Path].File.RecordCount != 4 {
		t.Errorf("live: %v", live)
	}
	w.commit(c, skipped, reqs[0]) // its events were in, and stay out
	w.rewrite(c, Dropped, w.dropping(reqs[0]))
}

// TestRewriteIsRefused: nothing changes where the table is not as it was when the change was planned.
func TestRewriteIsRefused(t *testing.T) {
	type test struct {
		name   string
		want   Outcome
		reason string
		do     func(w *world, rw *Rewrite, reqs []*Request)
	}
	for _, test := range []test{
		{"another rewrote a file", Dropped, "no longer in the table", func(w *world, _ *Rewrite, reqs []*Request) {
			w.rewrite(w.committer(), Applied, w.joined(reqs[1]))
		}},
		{"rolled back", Dropped, "no longer in the table", func(w *world, _ *Rewrite, _ []*Request) {
			_, err := w.foreign().Rollback(context.Background(), w.id, 1)
			w.must(err)
		}},
		{"made anew", Dropped, "the table of that name", func(w *world, rw *Rewrite, _ []*Request) { rw.TableUUID[0]++ }},
		{"another schema", Dropped, "schema", func(w *world, _ *Rewrite, _ []*Request) {
			w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
				s := *m.CurrentSchema()
				s.Fields = append(s.Fields[:len(s.Fields):len(s.Fields)], iceberg.Field{ID: 100, Name: "more", Type: iceberg.Long})
				return m.WithSchema(&s, prev, w.clock())
			})
		}},
		{"the files are old", Dropped, "old", func(w *world, _ *Rewrite, _ []*Request) { w.pass(MaxReuse) }},
		{"rows would be lost", Rejected, "hold", func(_ *world, rw *Rewrite, _ []*Request) { rw.Add[0].RecordCount-- }},
		{"files elsewhere", Dropped, "does not lie in the table", func(_ *world, rw *Rewrite, _ []*Request) { rw.Add[0].Path = "mem://other/x" }},
		{"the table is stopped", Rejected, "", func(w *world, _ *Rewrite, _ []*Request) { w.setProperties(nil, PropWatermarks) }},
		{"the table is gone", Rejected, "", func(w *world, rw *Rewrite, _ []*Request) { rw.Table.Name = "views" }},
		{"a manifest is gone", Rejected, "read manifest", func(w *world, _ *Rewrite, _ []*Request) {
			list, err := manifest.ReadList(w.object(w.load().Metadata.CurrentSnapshot().ManifestList))
			w.must(err)
			key, _ := objstore.Key(w.store, list[0].Path)
			w.must(w.store.Delete(context.Background(), key))
		}},
		{"it asks for nothing", Rejected, "", func(_ *world, rw *Rewrite, _ []*Request) { rw.Remove = nil }},
		{"a file is named twice", Rejected, "twice", func(_ *world, rw *Rewrite, _ []*Request) { rw.Remove = append(rw.Remove, rw.Remove[0]) }},
		{"delete files apply", Dropped, "delete files", func(w *world, _ *Rewrite, _ []*Request) { w.foreignDeletes(498_000) }},
		{"delete files of another partition do not", Applied, "", func(w *world, _ *Rewrite, _ []*Request) { w.foreignDeletes(498_001) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			c := w.committer()
			a := w.log()
			reqs := []*Request{w.request(a, 1, 5), w.request(a, 6, 9)}
			w.commit(c, applied, reqs[0])
			w.commit(c, applied, reqs[1])
			rw := w.joined(reqs...)
			test.do(w, rw, reqs)
			before := w.load().MetadataLocation
			res := w.rewrite(c, test.want, rw)
			if !strings.Contains(res.Reason, test.reason) {
				t.Errorf("reason is %q, want %q in it", res.Reason, test.reason)
			}
			if after := w.load().MetadataLocation; (after == before) != (test.want != Applied) {
				t.Errorf("metadata is at %s, was at %s", after, before)
			}
		})
	}
}

// foreignDeletes adds a manifest of delete files over a partition. It is not read, so that it need not be there.
func (w *world) foreignDeletes(hour int32) {
	w.Helper()
	base := w.load()
	m := base.Metadata
	before, err := manifest.OpenList(w.object(m.CurrentSnapshot().ManifestList))
	w.must(err)
	id, v := int64(w.random()>>1), iceberg.EncodeInt(hour)
	_, body, err := before.Extend([]manifest.ListEntry{{
		Path: base.Location + "/metadata/deletes-m0.avro", Length: 100, Content: manifest.Deletes,
		SequenceNumber: manifest.Unassigned, MinSequenceNumber: manifest.Unassigned, AddedFiles: 1, AddedRows: 1,
		Partitions: []manifest.FieldSummary{{Lower: v, Upper: v}},
	}}, id, m.CurrentSnapshotID, m.LastSequenceNumber+1)
	w.must(err)
	key := fmt.Sprintf("default/clicks/metadata/snap-%d.avro", id)
	_, err = w.store.Put(context.Background(), key, body, objstore.Condition{Absent: true})
	w.must(err)
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		return m.WithSnapshot(&iceberg.Snapshot{
			ID: id, ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1, SchemaID: m.CurrentSchemaID,
			ManifestList: objstore.Location(w.store, key), Summary: map[string]string{"operation": iceberg.OpDelete},
		}, nil, prev, w.clock())
	})
}

// hooked calls before at each call to a store.
type hooked struct {
	objstore.Store
	before func()
}

func (h hooked) Get(ctx context.Context, key string) ([]byte, objstore.Info, error) {
	h.before()
	return h.Store.Get(ctx, key)
}

func (h hooked) Put(ctx context.Context, key string, body []byte, cond objstore.Condition) (objstore.Info, error) {
	h.before()
	return h.Store.Put(ctx, key, body, cond)
}

// TestRewriteBesideRivals lets another change the table before the k-th step of a rewrite, for every k and each kind of
// rival: the rows stay, and of two rewrites of the same files one is made.
func TestRewriteBesideRivals(t *testing.T) {
	rivals := map[string]func(w *world, a uuid.UUID, reqs []*Request) (want Outcome, upTo Seq){
		"an append": func(w *world, a uuid.UUID, _ []*Request) (Outcome, Seq) {
			w.commit(w.committer(), applied, w.request(a, 10, 12))
			return Applied, 12
		},
		"a foreign append": func(w *world, _ uuid.UUID, _ []*Request) (Outcome, Seq) {
			w.foreignAppend()
			return Applied, 9
		},
		"the same rewrite": func(w *world, _ uuid.UUID, reqs []*Request) (Outcome, Seq) {
			w.rewrite(w.committer(), Applied, w.joined(reqs...))
			return Dropped, 9
		},
		"a rewrite of one of the files": func(w *world, _ uuid.UUID, reqs []*Request) (Outcome, Seq) {
			w.rewrite(w.committer(), Applied, w.joined(reqs[1]))
			return Dropped, 9
		},
		"a rewrite of another file of a manifest": func(w *world, _ uuid.UUID, _ []*Request) (Outcome, Seq) {
			w.rewrite(w.committer(), Applied, w.otherFile())
			return Applied, 9
		},
	}
	for name, rival := range rivals {
		for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
			t.Run(fmt.Sprintf("%s, %s", name, mode), func(t *testing.T) {
				k := 1
				for ; ; k++ {
					w := newWorldOn(t, mode)
					a, b := w.log(), w.log()
					reqs := []*Request{w.request(a, 1, 5), w.request(a, 6, 9)}
					other := w.request(b, 1, 2)
					w.commit(w.committer(), applied, reqs[0])
					w.commit(w.committer(), []Outcome{Applied, Applied}, reqs[1], other)
					calls, want, upTo := 0, Applied, Seq(9)
					step := func() {
						if calls++; calls == k {
							want, upTo = rival(w, a, reqs)
						}
					}
					cfg := w.config()
					cfg.Phase = func(_ string, enter bool) {
						if enter {
							step()
						}
					}
					w.rewrite2(New(w.cat, hooked{w.store, step}, cfg), w.joined(reqs...), &want)
					w.holds(map[uuid.UUID]Seq{a: upTo, b: 2})
					if t.Failed() {
						t.Fatalf("at step %d", k)
					}
					if calls < k {
						break
					}
				}
				if k < 8 {
					t.Fatalf("only %d steps were met", k-1)
				}
			})
		}
	}
}

// otherFile rewrites the file that stands beside the ones of the test above.
func (w *world) otherFile() *Rewrite {
	w.Helper()
	for path, e := range w.live() {
		if e.File.RecordCount == 2 {
			name := path[strings.LastIndex(path, "/")+1:]
			r := w.request(uuid.MustParse(name[:36]), 1, 2)
			r.Files[0].Path = path
			return w.joined(r)
		}
	}
	w.Fatal("the file is not in the table")
	return nil
}

// rewrite2 is rewrite with an outcome that is known only afterwards.
func (w *world) rewrite2(c *Committer, rw *Rewrite, want *Outcome) {
	w.Helper()
	if res, err := c.Rewrite(w.Context(), rw); err != nil || res.Outcome != *want {
		w.Fatalf("rewrite: %+v (%v), want %s", res, err, *want)
	}
}

// TestRewriteFaults breaks the k-th call to the store, and to the catalog's service, for every k and in each way, and asks
// again until it is decided: the rows stay, also when what lingered has landed, and the change is made.
func TestRewriteFaults(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		for name, fault := range faultKinds {
			for service := range 2 {
				if mode == 0 && service == 1 {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, service %d", mode, name, service), func(t *testing.T) {
					k := 1
					for rewriteFaultAt(t, mode, fault, service == 1, k) {
						k++
					}
					if least := map[twin.Mode][2]int{0: {8}, twin.Glue: {7, 2}, twin.REST: {6, 2}}[mode][service]; k <= least {
						t.Fatalf("the faults hit %d calls, want at least %d", k-1, least)
					}
				})
			}
		}
	}
}

func rewriteFaultAt(t *testing.T, mode twin.Mode, fault objstore.Fault, service bool, k int) (hit bool) {
	w := newWorldOn(t, mode)
	a, b := w.log(), w.log()
	reqs := []*Request{w.request(a, 1, 5), w.request(a, 6, 9), w.request(b, 1, 2)}
	w.commit(w.committer(), applied, reqs[0])
	w.commit(w.committer(), []Outcome{Applied, Applied}, reqs[1:]...)
	rw := w.joined(reqs[0], reqs[1])
	calls := 0
	at := func() bool {
		calls++
		hit = hit || calls == k
		return calls == k
	}
	twins, _ := w.cat.(*twin.Catalog)
	if service {
		twins.SetFault(func(c twin.Call) twin.Fault {
			switch {
			case !at():
				return twin.Fault{}
			case c.Op != twin.OpSwap || errors.Is(fault.Err, errBroken):
				return twin.Fault{Err: errBroken}
			}
			return twin.Fault{Applied: fault.Applied, Late: fault.Late}
		})
	} else {
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			switch {
			case !at():
				return objstore.Fault{}
			case c.Op != objstore.OpPut:
				return objstore.Fault{Err: errBroken}
			}
			return fault
		})
	}
	c := New(w.reopen(), w.store, w.config())
	for try := 1; ; try++ {
		res, err := c.Rewrite(t.Context(), rw)
		if res.Outcome == Applied || try > 1 && res.Outcome == Dropped && strings.Contains(res.Reason, "no longer in the table") {
			break // dropped: an earlier one was applied, of which its Rewrite could not learn
		}
		if res.Outcome != Undecided || err == nil || try == 5 {
			t.Fatalf("k=%d, try %d: %+v (%v)", k, try, res, err)
		}
	}
	w.store.SetFault(nil)
	if twins != nil {
		twins.SetFault(nil)
		twins.Settle()
	}
	w.store.Settle()
	w.holds(map[uuid.UUID]Seq{a: 9, b: 2})
	if live := w.live(); len(live) != 2 {
		t.Errorf("%d files are live, want 2", len(live))
	}
	w.commit(New(w.reopen(), w.store, w.config()), applied, w.request(a, 10, 11))
	w.holds(map[uuid.UUID]Seq{a: 11, b: 2})
	if t.Failed() {
		t.Fatalf("at k=%d", k)
	}
	return hit
}

// TestRewriteKeepsOldSnapshots: a reader that holds the snapshot of before finds all of its files.
func TestRewriteKeepsOldSnapshots(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	reqs := []*Request{w.request(a, 1, 5), w.request(a, 6, 9)}
	w.commit(c, []Outcome{Applied, Applied}, reqs...)
	before := w.load()
	w.rewrite(c, Applied, w.joined(reqs...))
	if files := w.files(before); len(files) != 2 {
		t.Fatalf("the old snapshot has %d files", len(files))
	}
	if files := w.files(w.load()); len(files) != 1 {
		t.Fatalf("the new snapshot has %d files", len(files))
	}
}

// TestRewriteManifestsAge: a rewrite that cannot swap for long writes its manifests anew, and gives up when its files age.
func TestRewriteManifestsAge(t *testing.T) {
	w := newWorld(t)
	a := w.log()
	reqs := []*Request{w.request(a, 1, 5)}
	w.commit(w.committer(), applied, reqs...)
	cfg := w.config()
	swaps := 0
	cfg.Phase = func(_ string, enter bool) {
		if enter {
			swaps++
			w.foreignAppend() // a conflict each time
			w.pass(10 * time.Minute)
		}
	}
	res, err := New(w.cat, w.store, cfg).Rewrite(t.Context(), w.joined(reqs...))
	if err != nil || res.Outcome != Dropped || swaps != 5 {
		t.Fatalf("after %d swaps: %+v (%v)", swaps, res, err)
	}
	w.holds(map[uuid.UUID]Seq{a: 5})
}

// loading counts loads from nothing.
type loading struct {
	catalog.Catalog
	loads int
}

func (l *loading) Load(ctx context.Context, id catalog.Ident) (*catalog.Table, error) {
	l.loads++
	return l.Catalog.Load(ctx, id)
}

// TestRewriteKeepsNoOldParent: a cached parent is planned on for as long as by a commit, which is how long old metadata is
// kept for.
func TestRewriteKeepsNoOldParent(t *testing.T) {
	w := newWorld(t)
	cat := &loading{Catalog: w.cat}
	c := New(cat, w.store, w.config())
	a := w.log()
	reqs := []*Request{w.request(a, 1, 5), w.request(a, 6, 9)}
	w.commit(c, []Outcome{Applied, Applied}, reqs...)
	had := cat.loads
	w.pass(MaxParentAge - time.Second)
	w.rewrite(c, Applied, w.dropping(reqs[0]))
	if cat.loads != had {
		t.Errorf("%d loads from nothing for a young parent", cat.loads-had)
	}
	w.pass(MaxParentAge)
	w.rewrite(c, Applied, w.dropping(reqs[1]))
	if cat.loads != had+1 {
		t.Errorf("%d loads from nothing for an old parent, want 1", cat.loads-had)
	}
}

// TestRewriteHoldsFewManifests: beyond a bound they are written as they are made, and serve as the others do, also after a
// conflict.
func TestRewriteHoldsFewManifests(t *testing.T) {
	for _, most := range []int64{0, heldManifests} {
		w := newWorld(t)
		c := w.committer()
		a := w.log()
		var reqs []*Request
		for i := range Seq(6) {
			reqs = append(reqs, w.request(a, i+1, i+1))
			w.commit(c, applied, reqs[i])
		}
		r := &rewriting{run: run{Committer: c, id: w.id, began: w.clock()}, rw: w.joined(reqs...), mostHeld: most}
		w.must(r.load(t.Context()))
		list, err := c.manifests(t.Context(), r.parent)
		w.must(err)
		f, why, err := r.find(t.Context(), list)
		if err != nil || why != "" || len(f.gone) != len(reqs) {
			t.Fatalf("found %+v, %q, %v", f, why, err)
		}
		for _, m := range f.gone {
			if held := m.body != nil; held != (most > 0) {
				t.Errorf("at most %d bytes: manifest %q is held: %v", most, m.key, held)
			} else if !held {
				w.object(objstore.Location(w.store, m.key))
			}
		}
		w.commit(w.committer(), applied, w.request(a, 7, 7)) // a conflict, for what was found
		if res, err := r.rewrite(t.Context()); err != nil || res.Outcome != Applied || c.Counters().Conflicts != 1 {
			t.Fatalf("rewrite: %+v (%v), %d conflicts", res, err, c.Counters().Conflicts)
		}
		w.holds(map[uuid.UUID]Seq{a: 7})
	}
}
