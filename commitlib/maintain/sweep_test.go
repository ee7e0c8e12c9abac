package maintain

import (
	"context"
	"encoding/json"
	"errors"
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
	w.pass(commitlib.Grace + time.Minute)
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
	}{{0, 1}, {commitlib.Grace - time.Minute, 1}, {2 * time.Minute, 0}} {
		w.pass(step.pass)
		w.sweep()
		if got := w.keys(log.String(), "-6-10-"); len(got) != step.left {
			t.Errorf("%v later: %q, want %d", step.pass, got, step.left)
		}
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
	w.pass(foreignGrace - time.Hour)
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

// Claims go with their log's watermark, or after three days; notes and anything else under _firn stay.
func TestClaimsAndNotes(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 5)
	claimKey := func(first, last int) string {
		return fmt.Sprintf("%s_firn/claims/%s/%d-%d-0a1b2c3d.json", w.root, log, first, last)
	}
	note := w.root + "_firn/rejected/" + log.String()
	for _, key := range []string{claimKey(1, 5), claimKey(4, 9), note, w.root + "_firn/other"} {
		w.put(key)
	}
	w.sweep()
	if w.has(claimKey(1, 5)) || !w.has(claimKey(4, 9)) {
		t.Errorf("passed by the watermark: there %v; not passed: there %v", w.has(claimKey(1, 5)), w.has(claimKey(4, 9)))
	}
	w.pass(claimAge + time.Minute)
	w.sweep()
	if w.has(claimKey(4, 9)) || !w.has(note) || !w.has(w.root+"_firn/other") {
		t.Errorf("old claim: there %v; note: there %v", w.has(claimKey(4, 9)), w.has(note))
	}
}

// The file of spilled watermarks that the table names is never removed, and an earlier one stays while kept metadata
// names it.
func TestSpilledWatermarks(t *testing.T) {
	w := newWorld(t)
	c := commitlib.New(w.cat, w.store, commitlib.Config{Clock: w.clock, Sleep: w.sleep, Rand: w.random, Parallel: 1, SpillBeyond: 2})
	for range 12 {
		w.append(c, w.log(), 1)
		w.pass(time.Second)
	}
	files := func() int { return len(w.keys("_firn/watermarks-")) }
	spilled := files()
	if spilled < 3 {
		t.Fatalf("%d files were written", spilled)
	}
	w.settle()
	if files() < spilled { // all are named by metadata that the metadata log names
		t.Errorf("%d files are left of %d, although kept metadata names them", files(), spilled)
	}
	log := w.log()
	for range iceberg.MaxMetadataLog + 50 { // the last file of them was made by the first
		w.pass(time.Minute)
		w.append(w.committer(), log, 1)
	}
	w.sweep()
	w.pass(commitlib.Grace + time.Minute)
	w.sweep()
	if files() != 1 {
		t.Errorf("%d files are left, want the one that is named", files())
	}
	w.whole()
}

// Old metadata goes when it was superseded for longer than the retention, but for the newest and what the hint names.
func TestOldVersions(t *testing.T) {
	w := newWorld(t)
	c, log := w.committer(), w.log()
	for range 150 {
		w.append(c, log, 1)
	}
	w.sweep()
	if got := len(w.keys(".metadata.json")); got != 151 {
		t.Errorf("%d versions right after the commits, want all 151", got)
	}
	w.pass(commitlib.Grace + time.Minute)
	w.append(c, log, 1)
	w.must(w.hint("30"))
	w.sweep() // its load repairs the hint
	if got := len(w.keys(".metadata.json")); got != iceberg.MaxMetadataLog+1 {
		t.Errorf("%d versions are left, want the newest and the %d that its log names", got, iceberg.MaxMetadataLog)
	}
	w.whole()
	if w.append(w.committer(), log, 1); w.load().Token != "153" {
		t.Errorf("version %s follows, want 153", w.load().Token)
	}

	v := versions{current: 200, hint: 20}
	for n := int64(1); n <= 200; n++ {
		v.times = append(v.times, versionTime{n, w.clock()})
	}
	later := w.clock().Add(commitlib.Grace + time.Minute)
	f := func(version int64, goes bool, now time.Time) {
		t.Helper()
		if got := v.judge(version, now, commitlib.Grace); (got == "") != goes {
			t.Errorf("version %d: %q, want that it goes: %v", version, got, goes)
		}
	}
	f(19, true, later)
	f(20, false, later) // the hint's: engines open it
	f(99, true, later)
	f(100, false, later)
	f(200, false, later)
	f(19, false, w.clock())
	v.times[18].at = later.Add(-time.Minute) // a sleeper made it under a name that was free
	f(19, false, later)
	f(18, false, later)
	v.hint = 0
	f(40, false, later)
}

func (w *world) hint(text string) error {
	_, err := w.store.Put(context.Background(), w.root+metadataFolder+hintName, []byte(text), objstore.Condition{})
	return err
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
	w.pass(commitlib.Grace + time.Minute)
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
	w.pass(commitlib.Grace + time.Minute)
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

// Tables that take no commits, or say that they are not to be cleaned up, are left alone.
func TestExemptTables(t *testing.T) {
	f := func(name, want string, spoil func(w *world)) {
		t.Helper()
		w := newWorld(t)
		lived(w)
		w.fence()
		w.sweep()
		w.pass(foreignGrace + time.Hour)
		spoil(w)
		before := w.keys("data/")
		r, err := w.sweeper().Sweep(context.Background(), w.id, Options{Scope: Whole})
		if err != nil || !strings.Contains(r.Stopped, want) || !slices.Equal(w.keys("data/"), before) {
			t.Errorf("%s: stopped %q, %v", name, r.Stopped, err)
		}
	}
	properties := func(set map[string]string, remove ...string) func(w *world) {
		return func(w *world) {
			w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
				return m.WithProperties(set, remove, prev, w.clock())
			})
		}
	}
	f("gc.enabled", "gc.enabled", properties(map[string]string{"gc.enabled": "false"}))
	f("Nessie", "nessie-gc", properties(map[string]string{"nessie.commit.id": "x"}))
	f("not Firn's", "marker", properties(nil, commitlib.PropProtocol))
	f("watermarks lost", "lost", properties(nil, commitlib.PropWatermarks))
	f("watermarks set back", "set back", properties(map[string]string{commitlib.PropWatermarks: `{"logs":{}}`}))
	f("replaced", "replaced", func(w *world) {
		_, err := w.foreign().Replace(context.Background(), w.id, iceberg.EventSchema(iceberg.String), nil)
		w.must(err)
		_, err = w.foreign().Append(context.Background(), w.id, w.foreignFile())
		w.must(err)
	})
}

// Where metadata cannot be followed nothing is removed at all.
func TestDamageStopsTheSweep(t *testing.T) {
	f := func(name string, pick func(w *world) string, spoil func(w *world, key string)) {
		t.Helper()
		w := newWorld(t)
		lived(w)
		w.fence()
		w.sweep()
		w.pass(foreignGrace + time.Hour)
		spoil(w, pick(w))
		before := w.keys()
		r, err := w.sweeper().Sweep(context.Background(), w.id, Options{Scope: Whole})
		if !errors.Is(err, ErrDamaged) || r.Error == "" || !slices.Equal(w.keys(), before) {
			t.Errorf("%s: %v", name, err)
		}
	}
	headList := func(w *world) string {
		key, _ := objstore.Key(w.store, w.load().Metadata.CurrentSnapshot().ManifestList)
		return key
	}
	tagged := func(w *world) string {
		m := w.load().Metadata
		key, _ := objstore.Key(w.store, m.Snapshot(m.Refs["audit"].SnapshotID).ManifestList)
		return key
	}
	manifest := func(w *world) string {
		live := map[string]bool{}
		for _, key := range w.whole().LeftOver {
			live[key] = true
		}
		for _, key := range w.keys("metadata/firn-") {
			if !live[key] {
				return key
			}
		}
		t.Fatal("no manifest")
		return ""
	}
	file := func(w *world) string { return w.keys("data/", "-1-5-0.parquet")[0] }
	gone := func(w *world, key string) { w.must(w.store.Delete(context.Background(), key)) }
	cut := func(w *world, key string) {
		body, _, err := w.store.Get(context.Background(), key)
		w.must(err)
		_, err = w.store.Put(context.Background(), key, body[:len(body)-20], objstore.Condition{})
		w.must(err)
	}
	f("the head's list is gone", headList, gone)
	f("a tag's list is gone", tagged, gone)
	f("a list is cut short", tagged, cut)
	f("a manifest is gone", manifest, gone)
	f("a manifest is cut short", manifest, cut)
	f("a data file is gone", file, gone)
}

// Looks that were written by a clock that is wrong are not believed, and such a clock removes nothing.
func TestWrongClocksRemoveNothing(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 5)
	orphan := fmt.Sprintf("%sdata/%s-1-5-0-r1.parquet", w.root, log)
	w.put(orphan)
	off := func(d time.Duration) *Sweeper {
		return NewSweeper(w.cat, w.store, Config{Clock: func() time.Time { return w.clock().Add(d) }})
	}
	sweep := func(s *Sweeper) error {
		_, err := s.Sweep(context.Background(), w.id, Options{Scope: Whole})
		return err
	}
	if err := sweep(off(-24 * time.Hour)); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("a clock that is a day behind: %v", err)
	}
	w.must(sweep(off(0)))
	if !w.has(orphan) {
		t.Fatal("removed by a look that a wrong clock dated back")
	}
	if err := sweep(off(24 * time.Hour)); err == nil || !w.has(orphan) {
		t.Errorf("a clock that is a day ahead: %v; the file is there: %v", err, w.has(orphan))
	}
	w.must(sweep(off(0)))
	w.pass(commitlib.Grace + time.Minute)
	w.must(sweep(off(time.Minute)))
	if w.has(orphan) {
		t.Error("still there after two looks of right clocks")
	}
}

// Of two sweeps at once one goes on; losing the looks costs time alone.
func TestLooks(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 5)
	orphan := fmt.Sprintf("%sdata/%s-1-5-0-r1.parquet", w.root, log)
	w.put(orphan)
	w.sweep()
	looks := w.root + looksName
	w.pass(commitlib.Grace + time.Minute)

	rival := false
	w.mem.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut && c.Key == looks && !rival {
			rival = true
			return objstore.Fault{Err: objstore.ErrPrecondition}
		}
		return objstore.Fault{}
	})
	if r := w.sweep(); !strings.Contains(r.Stopped, "another sweep") || !w.has(orphan) {
		t.Errorf("beside a rival: stopped %q", r.Stopped)
	}
	for _, body := range []string{"", "{", `{"v":2}`, `{"v":1,"table":"018f3b1e-0000-7000-8000-000000000001","data":[{"at":1,"marks":"AAAAAAAAAAA"}]}`} {
		_, err := w.store.Put(context.Background(), looks, []byte(body), objstore.Condition{})
		w.must(err)
		if w.sweep(); !w.has(orphan) {
			t.Fatalf("removed at the first look after %q", body)
		}
	}
	// Put anew under its name it is another object.
	w.pass(commitlib.Grace + time.Minute)
	w.put(orphan)
	if w.sweep(); !w.has(orphan) {
		t.Error("removed by a look at what was there before it")
	}
	w.pass(commitlib.Grace + time.Minute)
	if w.sweep(); w.has(orphan) {
		t.Error("still there")
	}
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
	if due(); w.has(data) {
		t.Error("the look at the data file was forgotten")
	}
}
