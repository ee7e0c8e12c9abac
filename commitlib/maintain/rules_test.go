package maintain

import (
	"context"
	"fmt"
	"testing"
	"time"

	"firn/commitlib"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

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
		v.add(n, w.clock())
	}
	v.sort()
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
	v.add(19, later.Add(-time.Minute)) // a sleeper made it under a name that was free
	f(19, false, later)
	f(18, false, later)
	v.hint = 0
	f(40, false, later)
}

func (w *world) hint(text string) error {
	_, err := w.store.Put(context.Background(), w.root+metadataFolder+hintName, []byte(text), objstore.Condition{})
	return err
}

// Each rule by itself: what a sweep by this state does with one object.
func TestJudge(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 5)
	marks, err := commitlib.ReadMarks(context.Background(), w.store, w.load())
	w.must(err)
	now := w.clock()
	hours := func(h float64) time.Time { return now.Add(-time.Duration(h * float64(time.Hour))) }
	f := func(rel string, modified, fence, first time.Time, want string) {
		t.Helper()
		r := rules{
			now: now, grace: commitlib.Grace, retention: commitlib.Grace, marks: marks, metadata: w.load().Metadata, fence: fence,
			seen: func(candidate) (time.Time, bool) { return first, !first.IsZero() },
		}
		if got := r.judge(candidate{Info: objstore.Info{Modified: modified}, name: readName(rel)}); got != want {
			t.Errorf("%s of %v, fence %v, first look %v: %q, want %q", rel, now.Sub(modified), now.Sub(fence), now.Sub(first), got, want)
		}
	}
	never := time.Time{}
	const random = "6f1c2a54-9d1b-4c37-8c51-0a2b3c4d5e6f"
	stagedUpTo := func(last int) string { return fmt.Sprintf("data/%s-1-%d-0.parquet", log, last) }
	f(stagedUpTo(5), hours(99), never, hours(27), "")
	f(stagedUpTo(5), hours(99), hours(5), hours(26.9), waitsLook)
	f(stagedUpTo(5), hours(9), hours(5), never, waitsLook)
	f(stagedUpTo(6), hours(900), hours(5), hours(800), waitsWatermark)
	for _, rel := range []string{"metadata/firn-" + random + "-m0.avro", "data/firn-" + random + "-0.parquet", "metadata/1-" + random + ".metadata.json"} {
		f(rel, hours(9), hours(8), hours(3), "")
		f(rel, hours(9), hours(8), hours(2.9), waitsLook)
		f(rel, hours(9), hours(8), never, waitsLook)
		f(rel, hours(9), hours(8.3), hours(7), waitsFence)
		f(rel, hours(9), hours(10), hours(7), waitsFence)
		f(rel, hours(9), never, hours(7), waitsFence)
	}
	for _, rel := range []string{"data/" + random + ".parquet", "metadata/snap-1-1-" + random + ".avro", "metadata/x.puffin"} {
		f(rel, hours(900), hours(8), hours(72), "")
		f(rel, hours(900), hours(8), hours(71.9), waitsLook)
		f(rel, hours(900), hours(901), hours(800), waitsFence)
	}
	f("_firn/claims/"+log.String()+"/6-9-0a1b2c3d.json", hours(71.9), hours(1), never, waitsWatermark)
	f("_firn/claims/"+log.String()+"/6-9-0a1b2c3d.json", hours(72), hours(1), never, "")
	f("_firn/claims/"+log.String()+"/1-5-0a1b2c3d.json", hours(0), never, never, "")
}

// Statistics files, which other engines write, live while the metadata names them.
func TestStatisticsFilesLive(t *testing.T) {
	w := newWorld(t)
	w.append(w.committer(), w.log(), 1)
	named, gone := w.root+"metadata/named.puffin", w.root+"metadata/gone.puffin"
	w.put(named)
	w.put(gone)
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		m, err := m.WithProperties(nil, nil, prev, w.clock())
		w.must(err)
		body, err := m.Encode()
		w.must(err)
		statistics := fmt.Sprintf(`,"statistics":[{"snapshot-id":%d,"statistics-path":%q}]}`, m.CurrentSnapshotID, objstore.Location(w.store, named))
		return iceberg.ParseMetadata(append(body[:len(body)-1], statistics...))
	})
	w.settle()
	if !w.has(named) || w.has(gone) {
		t.Errorf("the named one is there: %v; the other: %v", w.has(named), w.has(gone))
	}
}
