package commitlib

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

func TestEachRequestIsAppliedOnce(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a, b := w.log(), w.log()

	w.commit(c, applied, w.request(a, 1, 5))
	w.commit(c, skipped, w.request(a, 1, 5))          // duplicate
	w.commit(c, skipped, w.request(a, 2, 4))          // cut anew, inside
	w.commit(c, dropped, w.request(a, 7, 9))          // gap
	w.commit(c, dropped, w.request(a, 4, 9))          // overlap
	w.commit(c, applied, w.request(a, 6, 9))          // next
	w.commit(c, []Outcome{Applied, Dropped, Applied}, // another log, this one's gap does not hold it up
		w.request(b, 1, 3), w.request(a, 13, 13), w.request(a, 10, 11))
	w.holds(map[uuid.UUID]Seq{a: 11, b: 3})

	n := c.Counters()
	if n.Commits != 3 || n.Applied != 4 || n.Events != 14 || n.Skipped != 2 || n.Gaps != 2 || n.Overlaps != 1 {
		t.Errorf("counters %+v", n)
	}
}

func TestBatchIsChainedWhateverItsOrder(t *testing.T) {
	w := newWorld(t)
	a, b := w.log(), w.log()
	results := w.commit(w.committer(), []Outcome{Applied, Applied, Dropped, Applied, Applied, Skipped},
		w.request(a, 6, 9), w.request(b, 3, 3), w.request(a, 2, 9), w.request(a, 1, 5), w.request(b, 1, 2), w.request(a, 6, 9))
	for i, r := range results {
		if r.Outcome != Dropped && (r.SnapshotID != results[0].SnapshotID || r.SnapshotID == 0) {
			t.Errorf("request %d: snapshot %d, want one for all", i, r.SnapshotID)
		}
	}
	w.holds(map[uuid.UUID]Seq{a: 9, b: 3})
	ranges, err := ParseRanges(w.load().Metadata.CurrentSnapshot())
	if err != nil || fmt.Sprint(ranges[a]) != "[[1 5] [6 9]]" || fmt.Sprint(ranges[b]) != "[[1 2] [3 3]]" {
		t.Errorf("ranges %v, %v", ranges, err)
	}
}

func TestLongestOfEqualStartsIsAppliedOnce(t *testing.T) {
	w := newWorld(t)
	a := w.log()
	w.commit(w.committer(), []Outcome{Skipped, Applied, Dropped}, w.request(a, 1, 3), w.request(a, 1, 7), w.request(a, 4, 9))
	w.holds(map[uuid.UUID]Seq{a: 7})
}

func TestForeignCommitsOnTopHideNothing(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	for i := range Seq(5) {
		w.commit(c, applied, w.request(a, i*10+1, i*10+10))
		w.foreignAppend()
		w.commit(c, skipped, w.request(a, i*10+1, i*10+10))
	}
	w.holds(map[uuid.UUID]Seq{a: 50})
	if n := c.Counters().Conflicts; n == 0 {
		t.Error("no swap met the foreign commits")
	}
}

func TestTwoCommittersApplyEachRequestOnce(t *testing.T) {
	w := newWorld(t)
	a := w.log()
	one, two := w.committer(), w.committer()
	for i := range Seq(10) {
		r := w.request(a, i*2+1, i*2+2)
		first, second := one, two
		if i%3 == 0 {
			first, second = two, one
		}
		w.commit(first, applied, r)
		w.commit(second, skipped, r) // its cached parent is stale: the swap conflicts, the re-check skips
	}
	w.holds(map[uuid.UUID]Seq{a: 20})
}

func TestGapIsDecidedOnFreshState(t *testing.T) {
	w := newWorld(t)
	a := w.log()
	one, two := w.committer(), w.committer()
	w.commit(one, applied, w.request(a, 1, 1))
	w.commit(two, applied, w.request(a, 2, 2))
	w.commit(one, applied, w.request(a, 3, 3)) // a gap on one's cached parent
	w.holds(map[uuid.UUID]Seq{a: 3})
}

func TestOldRequestIsDropped(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	r := w.request(w.log(), 1, 2)
	w.pass(MaxStagedAge + time.Second)
	if got := w.commit(c, dropped, r); !strings.Contains(got[0].Reason, "staged") {
		t.Errorf("reason %q", got[0].Reason)
	}
	again := *r
	again.StagedAt = w.clock()
	w.commit(c, applied, &again)
	w.pass(MaxStagedAge + time.Second)
	w.commit(c, skipped, r) // the watermark covers it, however old
	w.holds(map[uuid.UUID]Seq{r.Log: 2})
}

func TestSummaryCarriesTotalsForward(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	w.commit(c, applied, w.request(a, 1, 5))
	w.commit(c, applied, w.request(a, 6, 7))
	got := w.load().Metadata.CurrentSnapshot().Summary
	for key, want := range map[string]string{
		"operation": "append", "added-data-files": "1", "added-records": "2", "added-files-size": "4", "changed-partition-count": "1",
		"total-data-files": "2", "total-records": "7", "total-files-size": "8", "total-delete-files": "0", "engine-name": "firn",
		PropRanges: fmt.Sprintf(`{%q:[[6,7]]}`, a),
	} {
		if got[key] != want {
			t.Errorf("summary %s = %q, want %q", key, got[key], want)
		}
	}
	w.foreignAppend() // its summary has no totals: ours must not invent any
	w.commit(c, applied, w.request(a, 8, 8))
	if v, ok := w.load().Metadata.CurrentSnapshot().Summary["total-records"]; ok {
		t.Errorf("total-records %q was made up", v)
	}
}

// TestWarmCommitKeepsItsBudget makes 1,000 warm commits, on ten tables so that none grows long. One in ten merges
// manifests, which costs a manifest more and a read for each that is merged.
func TestWarmCommitKeepsItsBudget(t *testing.T) {
	const tables, commits = 10, 100
	for range tables {
		w := newWorld(t)
		c := w.committer()
		a := w.log()
		w.commit(c, applied, w.request(a, 1, 1)) // loads; finds the hint
		reqs := make([]*Request, commits)
		for i := range reqs {
			reqs[i] = w.request(a, Seq(i)+2, Seq(i)+2)
		}
		parses := manifest.Parses.Load()
		merges := 0
		for _, r := range reqs {
			w.store.ResetCounts()
			w.commit(c, applied, r)
			n := w.store.Counts()
			puts, gets := n.Of(objstore.OpPut).Calls, n.Of(objstore.OpGet).Calls
			if gets == mergeAt && puts == 5 && n.Calls() == gets+puts {
				merges++
			} else if puts != 4 || n.Calls() != puts {
				t.Errorf("a warm commit: %d PUTs of %d calls, want manifest, list, metadata and hint, and nothing else", puts, n.Calls())
			}
		}
		if merges != commits/mergeAt {
			t.Errorf("%d of %d commits merged, want %d", merges, commits, commits/mergeAt)
		}
		if p := manifest.Parses.Load() - parses; p != 0 {
			t.Errorf("%d schemas parsed in warm commits", p)
		}
		w.holds(map[uuid.UUID]Seq{a: commits + 1})
	}
}

func TestManifestIsWrittenOnceForAllAttempts(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	w.commit(c, applied, w.request(a, 1, 1))
	for range 3 {
		w.foreignAppend()
	}
	r := w.request(a, 2, 2)
	w.store.ResetCounts()
	w.commit(c, applied, r)
	// Manifest; list and refused metadata; list, metadata, hint.
	if puts := w.store.Counts().Of(objstore.OpPut).Calls; puts != 6 {
		t.Errorf("%d PUTs, want 6", puts)
	}
	w.holds(map[uuid.UUID]Seq{a: 2})
}

// Beside a rival a committer asks before it plans: each of its commits then costs a warm one's writes and a few reads,
// and no swap in vain. Alone again, it stops asking.
func TestCommitBesideRivalsIsNotPlannedInVain(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.MergeManifests = 1000 // never: its requests would be counted with the rest
	ours := []*Committer{New(w.reopen(), w.store, cfg), New(w.reopen(), w.store, cfg)}
	a, next := w.log(), Seq(1)
	commit := func(c *Committer) (puts, others int) {
		t.Helper()
		r := w.request(a, next, next)
		next++
		w.store.ResetCounts()
		w.commit(c, applied, r)
		n := w.store.Counts()
		return n.Of(objstore.OpPut).Calls, n.Calls() - n.Of(objstore.OpPut).Calls
	}
	for range 2 {
		for _, c := range ours {
			commit(c) // each has loaded, and met the other
		}
	}
	for turn := range 20 {
		// Two HEADs, hint, metadata, manifest list.
		if puts, others := commit(ours[turn%2]); puts != 4 || others != 5 {
			t.Fatalf("turn %d: %d PUTs and %d other calls, want 4 and 5", turn, puts, others)
		}
	}
	conflicts := ours[0].Counters().Conflicts + ours[1].Counters().Conflicts
	if conflicts > 2 {
		t.Errorf("%d conflicts: one for each committer was to be enough", conflicts)
	}
	reads := 0
	for range waryCommits + 5 {
		puts, others := commit(ours[0])
		if reads += others; puts != 4 {
			t.Fatalf("alone: %d PUTs", puts)
		}
	}
	if want := 5 + waryCommits; reads != want {
		t.Errorf("alone again, %d reads in %d commits, want %d: one for the rival's last, and a HEAD each while wary", reads, waryCommits+5, want)
	}
	w.holds(map[uuid.UUID]Seq{a: next - 1})
}

// A commit that the store left in the dark costs the next one a look, not a load from nothing: after an outage every
// table's commits come at once.
func TestCommitAfterAnOutageRefreshes(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	w.commit(c, applied, w.request(a, 1, 1))
	first, second := w.request(a, 2, 2), w.request(a, 3, 3)
	w.store.SetFault(func(call objstore.Call) objstore.Fault {
		if call.Op != objstore.OpPut || strings.HasSuffix(call.Key, ".metadata.json") {
			return objstore.Fault{Err: objstore.ErrUnknown}
		}
		return objstore.Fault{}
	})
	if results, err := c.Commit(t.Context(), w.id, []*Request{first}); err == nil || results[0].Outcome != Undecided {
		t.Fatalf("%v, %v during the outage", results, err)
	}
	w.store.SetFault(nil)
	w.store.ResetCounts()
	w.commit(c, []Outcome{Applied, Applied}, first, second)
	n := w.store.Counts()
	if heads := n.Of(objstore.OpHead).Calls; heads != 1 || n.Of(objstore.OpPut).Calls != 4 || n.Calls() != 5 {
		t.Errorf("the commit after it made %d calls, %d of them HEADs; want 4 PUTs and a HEAD", n.Calls(), heads)
	}
	w.holds(map[uuid.UUID]Seq{a: 3})
}

func TestConflictsUseUpTheAttempts(t *testing.T) {
	w := newWorld(t)
	cfg := w.config()
	cfg.MaxAttempts = 3
	swaps := 0
	cfg.Phase = func(name string, enter bool) {
		if name == "swap" && enter {
			swaps++
			w.foreignAppend() // a rival is always first
		}
	}
	r := w.request(w.log(), 1, 1)
	c := New(w.cat, w.store, cfg)
	if got := w.commit(c, undecided, r); !strings.Contains(got[0].Reason, "3 attempts") {
		t.Errorf("reason %q", got[0].Reason)
	}
	if swaps != 3 || c.Counters().Conflicts != 3 {
		t.Errorf("%d swaps, counters %+v", swaps, c.Counters())
	}
	w.holds(map[uuid.UUID]Seq{r.Log: 0})
}

// TestUnknownSwapIsLookedUp tells what became of a swap whose answer was lost, at once and without a second snapshot.
func TestUnknownSwapIsLookedUp(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	w.commit(c, applied, w.request(a, 1, 1))
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		return objstore.Fault{Applied: c.Op == objstore.OpPut && strings.HasSuffix(c.Key, "v3.metadata.json")}
	})
	got := w.commit(c, applied, w.request(a, 2, 2))
	if head := w.load().Metadata.CurrentSnapshotID; got[0].SnapshotID != head {
		t.Errorf("snapshot %d, the head is %d", got[0].SnapshotID, head)
	}
	if n := c.Counters(); n.Unknowns != 1 || n.Commits != 1 {
		t.Errorf("counters %+v", n)
	}
	w.holds(map[uuid.UUID]Seq{a: 2})
}

func TestDeadlineLeavesRequestsUndecided(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cfg := w.config()
	cfg.Phase = func(_ string, enter bool) {
		if enter {
			cancel()
		}
	}
	r := w.request(w.log(), 1, 1)
	results, err := New(w.cat, w.store, cfg).Commit(ctx, w.id, []*Request{r})
	if !errors.Is(err, context.Canceled) || results[0].Outcome != Undecided {
		t.Fatalf("%+v, %v", results, err)
	}
	w.commit(w.committer(), applied, r)
	w.holds(map[uuid.UUID]Seq{r.Log: 1})
}

func TestSeveralSpecsInOneBatch(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	old := w.request(a, 1, 2)
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		return m.WithSpec(iceberg.PartitionSpec{Fields: []iceberg.PartitionField{}}, prev, w.clock())
	})
	spec := w.load().Metadata.DefaultSpec()
	r := w.request(a, 3, 4)
	r.SpecID, r.SpecHash, r.Files[0].Partition = spec.ID, SpecHash(&spec), nil
	w.commit(c, []Outcome{Applied, Applied}, old, r)
	list, err := manifest.ReadList(w.object(w.load().Metadata.CurrentSnapshot().ManifestList))
	if err != nil || len(list) != 2 || list[0].SpecID == list[1].SpecID {
		t.Errorf("manifests %+v, %v", list, err)
	}
	w.holds(map[uuid.UUID]Seq{a: 4})
}

func TestParentIsNotBelievedForLong(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	a := w.log()
	w.commit(c, applied, w.request(a, 1, 1))
	f := func(wait time.Duration, loads uint64) {
		t.Helper()
		before := c.Counters().Loads
		w.pass(wait)
		next, err := ReadWatermark(t.Context(), w.store, w.load(), a)
		w.must(err)
		w.commit(c, applied, w.request(a, next+1, next+1))
		if got := c.Counters().Loads - before; got != loads {
			t.Errorf("after %s: %d loads, want %d", wait, got, loads)
		}
	}
	f(MaxParentAge-time.Second, 0)
	f(MaxParentAge-time.Second, 0) // counted from the last swap
	f(MaxParentAge+time.Second, 1)
}

// TestCachedParentWhoseListIsGone: a cached state was superseded and expired before anything of it was read.
func TestCachedParentWhoseListIsGone(t *testing.T) {
	w := newWorld(t)
	a := w.log()
	w.commit(w.committer(), applied, w.request(a, 1, 2))
	c := w.committer()
	w.commit(c, skipped, w.request(a, 1, 2)) // caches a parent, and needed no manifest list
	list, _ := objstore.Key(w.store, w.load().Metadata.CurrentSnapshot().ManifestList)
	w.foreignAppend()
	_, err := w.foreign().ExpireSnapshots(t.Context(), w.id, 1)
	w.must(err)
	w.must(w.store.Delete(t.Context(), list))
	w.commit(c, applied, w.request(a, 3, 4))
}

// TestUnreadableManifestListIsRejected: no later delivery would read it either, and only the operator can mend it.
func TestUnreadableManifestListIsRejected(t *testing.T) {
	f := func(reason string, spoil func(w *world, key string)) {
		t.Helper()
		w := newWorld(t)
		a := w.log()
		w.commit(w.committer(), applied, w.request(a, 1, 2))
		key, _ := objstore.Key(w.store, w.load().Metadata.CurrentSnapshot().ManifestList)
		spoil(w, key)
		got := w.commit(w.committer(), rejected, w.request(a, 3, 4))
		if !strings.Contains(got[0].Reason, reason) || got[0].Advice == "" {
			t.Errorf("reason %q, advice %q; want %q", got[0].Reason, got[0].Advice, reason)
		}
	}
	f("does not exist", func(w *world, key string) { w.must(w.store.Delete(t.Context(), key)) })
	f("not an Avro file", func(w *world, key string) {
		_, err := w.store.Put(t.Context(), key, []byte("x"), objstore.Condition{})
		w.must(err)
	})
	f("outside the store", func(w *world, _ string) {
		w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
			next, err := m.WithProperties(nil, nil, prev, w.clock())
			if err == nil {
				s := *m.CurrentSnapshot()
				s.ManifestList = "s3://elsewhere/list.avro"
				next.Snapshots = []*iceberg.Snapshot{&s}
			}
			return next, err
		})
	})
}

func TestOldManifestIsWrittenAnew(t *testing.T) {
	for _, wait := range []time.Duration{maxManifestAge - time.Minute, maxManifestAge + time.Minute} {
		w := newWorld(t)
		swaps := 0
		cfg := w.config()
		cfg.Phase = func(_ string, enter bool) {
			if swaps++; swaps == 1 {
				w.foreignAppend()
				w.pass(wait)
			}
		}
		r := w.request(w.log(), 1, 1)
		w.commit(New(w.cat, w.store, cfg), applied, r)
		manifests := 0
		w.must(w.store.List(t.Context(), "default/clicks/metadata/", func(i objstore.Info) error {
			if strings.HasSuffix(i.Key, "-m0.avro") {
				manifests++
			}
			return nil
		}))
		if want := map[bool]int{false: 1, true: 2}[wait > maxManifestAge]; manifests != want {
			t.Errorf("after %s: %d manifests written, want %d", wait, manifests, want)
		}
		w.holds(map[uuid.UUID]Seq{r.Log: 1})
	}
}

// TestManifestThatGrewOldBeforeItsSwap: the machine was suspended between the writes and the swap, and orphan removal,
// which tells ages by the store's clock, may have taken what was written.
func TestManifestThatGrewOldBeforeItsSwap(t *testing.T) {
	w := newWorld(t)
	slept := false
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut && strings.Contains(c.Key, "/snap-") && !slept {
			slept = true
			return objstore.Fault{Latency: 2 * time.Hour}
		}
		return objstore.Fault{}
	})
	r := w.request(w.log(), 1, 1)
	w.commit(w.committer(), applied, r)
	head := w.load().Metadata.CurrentSnapshot()
	list, err := manifest.ReadList(w.object(head.ManifestList))
	w.must(err)
	for _, at := range []string{head.ManifestList, list[0].Path} {
		key, _ := objstore.Key(w.store, at)
		info, err := w.store.Head(t.Context(), key)
		w.must(err)
		if age := w.clock().Sub(info.Modified); age > maxManifestAge {
			t.Errorf("%s was %s old when it was named", key, age)
		}
	}
	w.holds(map[uuid.UUID]Seq{r.Log: 1})
}

// TestClockRunsWhileTheMachineSleeps: Go's monotonic clock stands still then, and ages told by it would be too small.
func TestClockRunsWhileTheMachineSleeps(t *testing.T) {
	if now := DefaultConfig().Clock(); now != now.Round(0) {
		t.Errorf("%s has a monotonic reading", now)
	}
}

// TestUnknownSwapGivesWay: ingestd's own committer has no deadline, and a table that cannot be loaded for good must not
// keep a worker from the other tables: the next delivery looks again.
func TestUnknownSwapGivesWay(t *testing.T) {
	w := newWorld(t)
	began, down := w.clock(), false
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if strings.HasSuffix(c.Key, "/v2.metadata.json") && c.Op == objstore.OpPut {
			down = true
			return objstore.Fault{Applied: true}
		}
		if w.clock().Sub(began) > time.Hour {
			t.Fatal("still loading after an hour")
		}
		if down {
			return objstore.Fault{Err: errBroken}
		}
		return objstore.Fault{}
	})
	r := w.request(w.log(), 1, 1)
	w.commit(w.committer(), undecided, r)
	w.store.SetFault(nil)
	w.commit(w.committer(), skipped, r)
	w.holds(map[uuid.UUID]Seq{r.Log: 1})
}

// TestUnknownSwapWaitsForALoad: while nothing can be loaded nothing can be said; the context ends it.
func TestUnknownSwapWaitsForALoad(t *testing.T) {
	for _, outage := range []int{30, 1 << 30} {
		w := newWorld(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		down := false
		calls := 0
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			if calls++; down && calls > 200 {
				cancel()
			}
			if strings.HasSuffix(c.Key, "/v2.metadata.json") && c.Op == objstore.OpPut {
				down = true
				return objstore.Fault{Applied: true}
			}
			if down && outage > 0 {
				outage--
				return objstore.Fault{Err: errBroken}
			}
			return objstore.Fault{}
		})
		r := w.request(w.log(), 1, 1)
		results, err := w.committer().Commit(ctx, w.id, []*Request{r})
		if ended := outage > 0; ended != (results[0].Outcome == Undecided) || ended != (err != nil) {
			t.Errorf("outage of %d calls left: %+v, %v", outage, results, err)
		}
		w.store.SetFault(nil)
		w.commit(w.committer(), skipped, r)
		w.holds(map[uuid.UUID]Seq{r.Log: 1})
	}
}
