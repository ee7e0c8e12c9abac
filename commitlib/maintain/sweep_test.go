package maintain

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// A table that has lived keeps all that it needs, and is in time left with nothing else but what must wait.
func TestSweepLeavesWhatIsNeeded(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		lived(w)
		w.put(w.root + "data/left.parquet")
		w.put(w.root + "metadata/left.avro")
		w.put(w.root + "README")
		waiting := w.log()
		w.stage(waiting, 1, 5)
		before := len(w.whole().LeftOver)
		w.settle()
		w.pass(foreignGrace)
		w.append(w.committer(), w.log(), 1)
		w.pass(foreignGrace)
		w.sweep()

		in := w.whole()
		for _, key := range in.LeftOver {
			switch {
			case key == w.root+"README", strings.Contains(key, waiting.String()):
			case strings.HasSuffix(key, ".metadata.json"): // superseded by the last commits
			default:
				t.Errorf("left over after all: %s", key)
			}
		}
		if before < 5 {
			t.Errorf("only %d objects were left over: nothing is shown", before)
		}
		if !w.has(w.root+"README") || len(w.keys(waiting.String())) != 1 {
			t.Error("what lies elsewhere, or is staged, was removed")
		}
	})
}

// A staged file goes once its log's watermark is beyond it, and not before: an outage of the queue costs no data.
func TestStagedFilesWaitForTheWatermark(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 5)
	request := w.stage(log, 6, 10)
	w.put(w.root + fmt.Sprintf("data/%s-6-10-0-r1.parquet", log)) // of an attempt that was given up
	w.put(w.root + fmt.Sprintf("data/%s-1-5-0-r1.parquet", log))  // likewise, and committed past
	for range 8 {
		w.fence()
		w.sweep()
		w.pass(24 * time.Hour)
	}
	if got := w.keys(log.String(), "-6-10-"); len(got) != 2 {
		t.Fatalf("after days without a commit of the log: %q", got)
	}
	if got := w.keys(log.String(), "-1-5-"); len(got) != 1 {
		t.Errorf("of the committed range: %q", got)
	}
	request.StagedAt = w.clock() // its sender has looked that the files are there
	results, err := w.committer().Commit(context.Background(), w.id, []*commitlib.Request{request})
	if err != nil || results[0].Outcome != commitlib.Applied {
		t.Fatalf("commit after the outage: %v, %v", results, err)
	}
	w.sweep()
	w.pass(commitlib.StagedGrace + time.Minute)
	w.sweep()
	if got := w.keys(log.String(), "-6-10-"); len(got) != 1 || strings.Contains(got[0], "-r1") {
		t.Errorf("after the commit: %q, want the file that is in the table", got)
	}
	w.whole()
}

// A reader of a snapshot that has just expired finishes its scan: files go a grace period after the first sweep that
// found them out of the table, however long the sweep before that had been ago.
func TestReadersOfExpiredSnapshotsAreLeftTheirTime(t *testing.T) {
	w := newWorld(t)
	c, log := w.committer(), w.log()
	w.append(c, log, 5)
	w.stage(log, 6, 10)
	w.fence()
	w.sweep() // sees the staged file in no table
	w.append(c, log, 5)
	w.pass(24 * time.Hour)

	// Another engine takes the table's files out, and expires what had them: a moment ago for a reader.
	w.emptied()
	w.expire(1)
	for _, step := range []struct {
		pass time.Duration
		left int
	}{{0, 1}, {commitlib.StagedGrace - time.Minute, 1}, {2 * time.Minute, 0}} {
		w.pass(step.pass)
		w.sweep()
		if got := w.keys(log.String(), "-6-10-"); len(got) != step.left {
			t.Errorf("%v later: %q, want %d", step.pass, got, step.left)
		}
	}
	w.whole()
}

// A watermark that was raised by hand, and is set back a day later, finds the files of the requests that are next again:
// all that a queue may still deliver, or a sender send without a look.
func TestStagedFilesOutliveARaisedWatermark(t *testing.T) {
	w := newWorld(t)
	log, other := w.log(), w.log()
	w.append(w.committer(), log, 5)
	request := w.stage(log, 6, 9) // waits in the queue
	set := func(last commitlib.Seq) {
		w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
			marks, err := commitlib.ParseWatermarks(m.Properties)
			w.must(err)
			mark := marks.Logs[log]
			mark.Last = last
			marks.Logs[log] = mark
			value, err := marks.Encode()
			w.must(err)
			return m.WithProperties(map[string]string{commitlib.PropWatermarks: value}, nil, prev, w.clock())
		})
	}
	set(1000)
	for range 23 {
		w.append(w.committer(), other, 1)
		w.sweep()
		w.pass(time.Hour)
	}
	set(5)
	w.pass(commitlib.MaxParentAge + time.Minute)
	results, err := w.committer().Commit(context.Background(), w.id, []*commitlib.Request{request})
	if err != nil || results[0].Outcome != commitlib.Applied {
		t.Fatalf("%v, %v", results, err)
	}
	w.whole()
}

// emptied makes a snapshot of main that has no files, as DELETE FROM does.
func (w *world) emptied() {
	w.Helper()
	t := w.load()
	s := &iceberg.Snapshot{
		ID: int64(w.random()>>1) | 1, ParentID: t.Metadata.CurrentSnapshotID, SequenceNumber: t.Metadata.LastSequenceNumber + 1,
		SchemaID: t.Metadata.CurrentSchemaID, TimestampMs: t.Metadata.NextTimeMs(w.clock()), Summary: map[string]string{"operation": iceberg.OpDelete},
	}
	body, err := emptyList(s)
	w.must(err)
	key := fmt.Sprintf("%smetadata/snap-%d-empty.avro", w.root, s.ID)
	_, err = w.store.Put(context.Background(), key, body, objstore.Condition{Absent: true})
	w.must(err)
	s.ManifestList = objstore.Location(w.store, key)
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		return m.WithSnapshot(s, nil, prev, w.clock())
	})
}

// A committer that sleeps between its writes and its swap finds its manifest there if the swap can succeed, however
// long it slept and whatever was swept meanwhile; and what it wrote goes once the table has moved on.
func TestASleepersManifestIsThere(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		for _, moved := range []bool{false, true} {
			w := newWorldOn(t, mode, 1)
			w.append(w.committer(), w.log(), 1)
			log := w.log()
			request := w.stage(log, 1, 5)
			asleep := 0
			config := commitlib.Config{Clock: w.clock, Sleep: w.sleep, Rand: w.random, Parallel: 1, MaxAttempts: 1}
			config.Phase = func(name string, enter bool) {
				if asleep++; asleep > 1 || !enter {
					return
				}
				if moved {
					w.fence()
				}
				for range 3 { // the age of its manifests was looked at before this
					w.sweep()
					w.pass(foreignGrace + time.Hour)
				}
			}
			results, err := commitlib.New(w.cat, w.store, config).Commit(context.Background(), w.id, []*commitlib.Request{request})
			if err == nil && moved == (results[0].Outcome == commitlib.Applied) && (moved || mode != 0) {
				t.Errorf("mode %v: main moved: %v; the swap: %v", mode, moved, results)
			}
			if asleep == 0 {
				t.Fatal("it did not sleep")
			}
			in := w.whole()
			if ours := slices.DeleteFunc(in.LeftOver, func(key string) bool { return !strings.Contains(key, "firn-") }); moved && len(ours) > 0 {
				t.Errorf("mode %v: the sleeper's objects are still there: %q", mode, ours)
			}
		}
	}
}

// An idle table's leftovers wait for its next commit.
func TestWithoutAFenceNothingOfOursGoes(t *testing.T) {
	w := newWorld(t)
	w.append(w.committer(), w.log(), 1)
	orphan := w.root + "metadata/firn-" + uuid.NewString() + "-m0.avro"
	w.put(orphan)
	for range 5 {
		w.sweep()
		w.pass(24 * time.Hour)
	}
	if !w.has(orphan) {
		t.Fatal("removed although an attempt that names it could still succeed")
	}
	w.settle()
	if w.has(orphan) {
		t.Error("still there after the fence and two looks")
	}
}

// What another engine writes stays three days, and what it then commits is kept.
func TestOtherEnginesFilesStayThreeDays(t *testing.T) {
	w := newWorld(t)
	w.append(w.committer(), w.log(), 1)
	gone, used := w.foreignFile(), w.foreignFile()
	w.fence()
	w.sweep()
	w.pass(71 * time.Hour)
	w.sweep()
	if _, err := w.foreign().Append(context.Background(), w.id, used); err != nil {
		t.Fatal(err)
	}
	w.pass(2 * time.Hour)
	w.sweep()
	key := func(f iceberg.DataFile) string { k, _ := objstore.Key(w.store, f.Path); return k }
	if w.has(key(gone)) || !w.has(key(used)) {
		t.Errorf("never committed: there %v; committed: there %v", w.has(key(gone)), w.has(key(used)))
	}
	w.whole()
}

// A dry run says what a run would do, and does nothing.
func TestDryRun(t *testing.T) {
	w := newWorld(t)
	lived(w)
	w.fence()
	w.sweep()
	w.pass(foreignGrace + time.Minute)
	before := w.keys()
	dry, err := w.sweeper().Sweep(context.Background(), w.id, Options{DryRun: true, Scope: Whole})
	w.must(err)
	if after := w.keys(); !slices.Equal(after, before) {
		t.Errorf("a dry run changed %d objects to %d", len(before), len(after))
	}
	did := w.sweep()
	if dry.Total() != did.Total() || dry.Total().Objects == 0 || !slices.Equal(dry.Examples, did.Examples) {
		t.Errorf("dry run: %+v of %v, run: %+v of %v", dry.Total(), dry.Examples, did.Total(), did.Examples)
	}
	if len(before)-len(w.keys()) != int(did.Total().Objects) {
		t.Errorf("the report says %d, %d are gone", did.Total().Objects, len(before)-len(w.keys()))
	}
	if _, err := json.Marshal(did); err != nil {
		t.Error(err)
	}
	w.whole()
}

// The bounds end a run, and the next one goes on.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 30)
	for k := range 25 {
		w.put(fmt.Sprintf("%sdata/%s-1-30-%d-r1.parquet", w.root, log, k))
	}
	w.sweep()
	w.pass(commitlib.StagedGrace + time.Minute)
	left := func() int { return len(w.keys("-r1.parquet")) }
	f := func(cfg Config, want int, more bool) {
		t.Helper()
		cfg.Clock = w.clock
		r, err := NewSweeper(w.cat, w.store, cfg).Sweep(context.Background(), w.id, Options{Scope: Whole})
		if err != nil || left() != want || r.More != more {
			t.Errorf("%+v: %d left (more: %v, %v), want %d", cfg, left(), r.More, err, want)
		}
	}
	f(Config{MaxFiles: 10}, 15, true)
	f(Config{MaxBytes: 8}, 13, true)
	f(Config{}, 0, false)
}

// Most of a table's data files go only by hand: somebody is to look first.
func TestMostOfTheTableIsAskedAbout(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 30)
	for k := range leastShare {
		w.put(fmt.Sprintf("%sdata/%s-1-30-%d-r1.parquet", w.root, log, k))
	}
	w.sweep()
	w.pass(commitlib.StagedGrace + time.Minute)
	r := w.sweep()
	if !strings.Contains(r.Stopped, "force") || r.Total().Objects != 0 {
		t.Fatalf("stopped: %q, removed %d", r.Stopped, r.Total().Objects)
	}
	r, err := w.sweeper().Sweep(context.Background(), w.id, Options{Scope: Whole, Force: true})
	if err != nil || r.Total().Objects != leastShare {
		t.Errorf("with force: removed %d, %v", r.Total().Objects, err)
	}
	w.whole()
}

// The folder of metadata is swept alone in between, and remembers nothing wrong of the rest.
func TestScopes(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 5)
	data := fmt.Sprintf("%sdata/%s-1-5-0-r1.parquet", w.root, log)
	metadata := w.root + "metadata/firn-" + uuid.NewString() + "-m0.avro"
	w.put(data)
	w.put(metadata)
	w.fence()
	due := func() *Report {
		r, err := w.sweeper().Sweep(context.Background(), w.id, Options{})
		w.must(err)
		return r
	}
	if r := due(); r.Scope != Whole {
		t.Errorf("the first sweep is of %q", r.Scope)
	}
	if r := due(); r.Scope != Metadata {
		t.Errorf("the second is of %q", r.Scope)
	}
	w.mem.ResetCounts()
	due()
	if gets := w.mem.Counts().Of(objstore.OpGet).Calls; gets > 10 {
		t.Errorf("a sweep of metadata alone took %d GETs", gets)
	}
	w.pass(commitlib.Grace + time.Minute)
	meta, err := w.sweeper().Sweep(context.Background(), w.id, Options{Scope: Metadata})
	w.must(err)
	if w.has(metadata) || !w.has(data) {
		t.Errorf("after the metadata alone: %+v", meta)
	}
	w.pass(commitlib.MaxStagedAge)
	if due(); w.has(data) {
		t.Error("the look at the data file was forgotten")
	}
}

// busy is a store beside which something happens while it is listed.
type busy struct {
	objstore.Store
	meanwhile func()
}

func (b busy) List(ctx context.Context, prefix string, fn func(objstore.Info) error) error {
	b.meanwhile()
	return b.Store.List(ctx, prefix, fn)
}

// What comes to be referenced between the walk and the removal is kept: the state is loaded once more. On a REST
// service no requirement of a commit shows that a tag was made meanwhile.
func TestWhatIsReferencedMeanwhileIsKept(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		w := newWorldOn(t, mode, 1)
		w.append(w.committer(), w.log(), 1)
		file := w.foreignFile()
		w.fence()
		w.sweep()
		w.pass(foreignGrace + time.Minute)
		happened := false
		store := busy{w.store, func() {
			if !happened {
				happened = true
				_, err := w.foreign().Append(context.Background(), w.id, file)
				w.must(err)
				w.setRef("audit", iceberg.RefTag, w.load().Metadata.CurrentSnapshotID)
				_, err = w.foreign().Rollback(context.Background(), w.id, 1)
				w.must(err)
			}
		}}
		_, err := NewSweeper(w.cat, store, Config{Clock: w.clock}).Sweep(context.Background(), w.id, Options{Scope: Whole})
		w.must(err)
		if key, _ := objstore.Key(w.store, file.Path); !happened || !w.has(key) {
			t.Errorf("mode %v: the file was removed; it was committed: %v", mode, happened)
		}
		w.whole()
	}
}

// That a sweep saw an object before it was committed shortens nobody's time after it was expired.
func TestALookBeforeTheCommitDoesNotCount(t *testing.T) {
	w := newWorld(t)
	c, log := w.committer(), w.log()
	w.append(c, log, 1)
	swept := false
	early := commitlib.New(w.cat, w.store, commitlib.Config{Clock: w.clock, Sleep: w.sleep, Rand: w.random, Parallel: 1,
		Phase: func(string, bool) {
			if !swept {
				swept = true
				w.sweep() // the manifest is there, and no snapshot names it yet
			}
		}})
	before := w.keys("metadata/firn-")
	w.append(early, log, 1)
	manifests := slices.DeleteFunc(w.keys("metadata/firn-"), func(key string) bool { return slices.Contains(before, key) })
	if !swept || len(manifests) != 1 {
		t.Fatalf("the commit wrote %q", manifests)
	}
	w.pass(24 * time.Hour)
	w.emptied()
	w.expire(1) // a moment ago for a reader
	if w.sweep(); !w.has(manifests[0]) {
		t.Fatal("removed at once after it was expired")
	}
	w.pass(commitlib.Grace - time.Minute)
	if w.sweep(); !w.has(manifests[0]) {
		t.Error("removed before a reader had its time")
	}
	w.pass(2 * time.Minute)
	if w.sweep(); w.has(manifests[0]) {
		t.Error("still there after it")
	}
}
