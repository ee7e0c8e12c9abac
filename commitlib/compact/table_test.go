package compact

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

func TestCompact(t *testing.T) {
	for _, by := range [][]string{nil, {iceberg.PartitionDay, iceberg.EachPartition}, {iceberg.PartitionNone}} {
		t.Run(strings.Join(by, " "), func(t *testing.T) {
			w := newWorld(t, by...)
			w.fill(25, 400)
			before := w.load()
			c := w.compactor(nil)
			dry, err := c.Table(t.Context(), w.id, 0, true)
			if err != nil || dry.Jobs == 0 || w.load().MetadataLocation != before.MetadataLocation {
				t.Fatalf("dry run: %+v (%v)", dry, err)
			}
			files := len(w.live(before))
			rep := w.run(c, 0)
			if rep.Jobs != dry.Jobs || rep.FilesIn != int64(files) || rep.Rows != 10_000 || rep.BytesIn != dry.BytesIn || rep.Small != int64(files) || rep.Commits != 1 {
				t.Errorf("report: %+v, the dry run said %+v", rep, dry)
			}
			for _, f := range w.live(w.load()) {
				times := w.read(f).Col(iceberg.FieldEventTime).Int64s
				if !slices.IsSorted(times) {
					t.Errorf("%s is not sorted by event time", f.Path)
				}
				lower, _ := iceberg.DecodeLong(f.LowerBounds[iceberg.FieldEventTime])
				upper, _ := iceberg.DecodeLong(f.UpperBounds[iceberg.FieldEventTime])
				if lower != times[0] || upper != times[len(times)-1] {
					t.Errorf("%s: bounds %d and %d, times %d to %d", f.Path, lower, upper, times[0], times[len(times)-1])
				}
				if !strings.Contains(f.Path, "/"+commitlib.ObjectPrefix) || !strings.HasPrefix(f.Path, before.Location+"/data/") {
					t.Errorf("its name is %s", f.Path)
				}
			}
			if n := len(w.live(w.load())); n != rep.Jobs {
				t.Errorf("%d files are left after %d jobs", n, rep.Jobs)
			}
			// A reader of the earlier snapshot finds its files.
			if n := len(w.rows(before)); n != 10_000 {
				t.Errorf("the earlier snapshot has %d rows", n)
			}
			at := w.load().MetadataLocation
			if rep := w.run(c, 0); rep.Jobs != 0 || rep.Did() || w.load().MetadataLocation != at {
				t.Errorf("a second run: %+v", rep)
			}
		})
	}
}

// TestBatch: where another rewrites a file of one job, none of the jobs that share its commit is made; the next run makes
// what is left.
func TestBatch(t *testing.T) {
	w := newWorld(t, iceberg.PartitionNone, iceberg.EachPartition)
	w.fill(10, 60)
	rival := w.compactor(nil)
	steps := 0
	c := w.compactor(func(cfg *Config) {
		cfg.Pause = func(context.Context) error {
			if steps++; steps == 25 { // one job is made, and waits
				if rep, err := rival.Table(context.Background(), w.id, 0, false); err != nil || rep.Jobs != 3 {
					t.Errorf("the rival: %+v (%v)", rep, err)
				}
			}
			return nil
		}
	})
	if rep := w.run(c, 0); rep.Jobs != 0 || rep.Dropped != 3 || steps < 25 {
		t.Errorf("after %d steps: %+v", steps, rep)
	}
	w.fill(10, 60)
	if rep := w.run(c, 0); rep.Jobs != 3 || rep.Commits != 1 || rep.FilesIn != 33 {
		t.Errorf("the next run: %+v", rep)
	}
}

// TestCompactClosed: a partition whose time has passed is packed, however few its files are; one that is written to is not.
func TestCompactClosed(t *testing.T) {
	w := newWorld(t)
	w.fill(5, 100)
	c := w.compactor(nil)
	if rep := w.run(c, 0); rep.Jobs != 0 {
		t.Errorf("five files of this hour: %+v", rep)
	}
	w.pass(2 * time.Hour)
	w.commit(w.committer(), w.request(w.events(100, 2*3600)))
	if rep := w.run(c, 0); rep.Jobs != 1 || rep.FilesIn != 5 {
		t.Errorf("five files of an earlier hour: %+v", rep)
	}
	w.commit(w.committer(), w.request(w.events(1, 0)))
	if rep := w.run(c, 0); rep.Jobs != 0 {
		t.Errorf("a late event just came: %+v", rep)
	}
}

// TestCompactLarge: files of several row groups, in little memory, are merged group by group; where too many overlap the
// job is done in halves.
func TestCompactLarge(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	for range 12 {
		w.commit(c, w.request(w.wide(20, 0))) // 0.6 MB each, all over the same minute
	}
	little := w.compactor(nil)
	little.cfg.MemoryBytes = 6 << 20
	little.encoder = nil // of smaller row groups
	rep := w.run(little, 0)
	if rep.Jobs < 2 || rep.FilesIn != 12 || len(rep.LeftAlone) > 0 {
		t.Errorf("report: %+v", rep)
	}
	groups := 0
	for _, f := range w.live(w.load()) {
		groups += len(f.SplitOffsets)
	}
	if groups <= rep.Jobs {
		t.Errorf("%d jobs made %d row groups", rep.Jobs, groups)
	}
	w.pass(2 * time.Hour)
	rep = w.run(w.compactor(nil), 0)
	if live := w.live(w.load()); rep.Jobs != 1 || len(live) != 1 {
		t.Errorf("report: %+v, %d files", rep, len(live))
	}
}

// wide makes n events of 32 KiB from second from on.
func (w *world) wide(n, from int) []event {
	events := w.events(n, from)
	for i := range events {
		noise := make([]byte, 32<<10)
		for k := range noise {
			noise[k] = byte('a' + w.rng.IntN(26))
		}
		events[i].payload = noise
	}
	return events
}

// TestCompactCopies: where files that were merged before follow one another in time, their row groups are taken over as
// bytes; one that another's rows lie in is merged by rows, and what comes of it is sorted all the same.
func TestCompactCopies(t *testing.T) {
	w := newWorld(t, iceberg.PartitionNone)
	run := func() *Report {
		t.Helper()
		c := w.compactor(nil)
		c.cfg.MemoryBytes = 8 << 20
		c.encoder = nil // of smaller row groups
		return w.run(c, 0)
	}
	for part := range 2 {
		for i := range 10 {
			w.commit(w.committer(), w.request(w.wide(20, part*3600+60*i)))
		}
		if rep := run(); rep.Jobs != 1 || rep.Copied != 0 {
			t.Fatalf("part %d: %+v", part, rep)
		}
	}
	late := w.request(w.wide(1, 3600+300)) // lies in the second file
	w.commit(w.committer(), late)
	w.pass(time.Hour)
	rep := run()
	if rep.Jobs != 1 || rep.FilesIn != 3 || rep.Copied < 200 || rep.Copied >= rep.Rows {
		t.Errorf("report: %+v", rep)
	}
	files := w.live(w.load())
	if len(files) != 1 || len(files[0].SplitOffsets) < 4 {
		t.Fatalf("%d files", len(files))
	}
	times := w.read(files[0]).Col(iceberg.FieldEventTime).Int64s
	if !slices.IsSorted(times) {
		t.Error("the file is not sorted by event time")
	}
	lower, _ := iceberg.DecodeLong(files[0].LowerBounds[iceberg.FieldEventTime])
	upper, _ := iceberg.DecodeLong(files[0].UpperBounds[iceberg.FieldEventTime])
	if lower != times[0] || upper != times[len(times)-1] {
		t.Errorf("bounds %d and %d, times %d to %d", lower, upper, times[0], times[len(times)-1])
	}

	// What was copied is read back as well.
	for i := range 10 {
		w.commit(w.committer(), w.request(w.wide(20, 2*3600+60*i)))
	}
	if rep := run(); rep.Jobs != 1 {
		t.Fatalf("third part: %+v", rep)
	}
	w.pass(time.Hour)
	at := w.load().MetadataLocation
	c := w.compactor(nil)
	c.cfg.MemoryBytes, c.encoder = 8<<20, nil
	c.Store = damaging{w.store}
	if rep, err := c.Table(t.Context(), w.id, 0, false); err == nil && rep.Jobs > 0 || w.load().MetadataLocation != at {
		t.Errorf("a damaged copy was taken: %+v (%v)", rep, err)
	}
}

// TestCompactBesideAppends commits events at each step of the compaction.
func TestCompactBesideAppends(t *testing.T) {
	w := newWorld(t)
	w.fill(12, 200)
	rival := w.committer()
	steps := 0
	c := w.compactor(func(cfg *Config) {
		cfg.Pause = func(context.Context) error {
			if steps++; steps <= 20 {
				w.commit(rival, w.request(w.events(10, 30)))
			}
			return nil
		}
	})
	rep, err := c.Table(t.Context(), w.id, 0, false)
	if err != nil || rep.Jobs != 1 || steps < 12 {
		t.Fatalf("after %d steps: %+v (%v)", steps, rep, err)
	}
	if n := len(w.rows(w.load())); n != 12*200+10*min(steps, 20) {
		t.Errorf("%d rows", n)
	}
}

var errBroken = errors.New("store is broken")

// TestCompactFaults breaks the k-th call to the store, for every k and in each way: the rows stay, and the next run does
// what is left.
func TestCompactFaults(t *testing.T) {
	for name, fault := range map[string]objstore.Fault{
		"not applied": {Err: errBroken}, "unknown, lost": {Err: objstore.ErrUnknown},
		"applied, then error": {Applied: true}, "applied much later": {Late: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			hits := 0
			for k := 1; ; k++ {
				w := newWorld(t)
				var reqs []*commitlib.Request
				for range 10 {
					reqs = append(reqs, w.request(w.events(20, 0)))
				}
				w.commit(w.committer(), reqs...)
				before := w.rows(w.load())
				calls, hit := 0, false
				w.store.SetFault(func(c objstore.Call) objstore.Fault {
					if calls++; calls != k {
						return objstore.Fault{}
					}
					hit = true
					if c.Op != objstore.OpPut {
						return objstore.Fault{Err: errBroken}
					}
					return fault
				})
				_, err := w.compactor(nil).Table(t.Context(), w.id, 0, false)
				w.store.SetFault(nil)
				if after := w.rows(w.load()); !slices.Equal(before, after) {
					t.Fatalf("k=%d: the table had %d rows and has %d (%v)", k, len(before), len(after), err)
				}
				w.store.Settle()
				w.run(w.compactor(nil), 0)
				if n := len(w.live(w.load())); n != 1 {
					t.Fatalf("k=%d: %d files are left (%v)", k, n, err)
				}
				if after := w.rows(w.load()); !slices.Equal(before, after) {
					t.Fatalf("k=%d: other rows", k)
				}
				if !hit {
					break
				}
				hits++
			}
			if hits < 30 {
				t.Fatalf("only %d calls were broken", hits)
			}
		})
	}
}

// TestCompactRefuses: what is not as it should be stays as it is, and is told of.
func TestCompactRefuses(t *testing.T) {
	refused := func(name, why string, want int, prepare func(w *world)) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			prepare(w)
			at := w.load().MetadataLocation
			c := w.compactor(nil)
			rep, err := c.Table(t.Context(), w.id, 0, false)
			if err != nil || rep.Jobs != 0 || w.load().MetadataLocation != at {
				t.Fatalf("%+v (%v)", rep, err)
			}
			if told := fmt.Sprint(rep.LeftAlone, rep.Examples, rep.Stopped); !strings.Contains(told, why) || rep.Idle() {
				t.Errorf("report: %s", told)
			}
			w.store.SetFault(nil)
			if rep, err = c.Table(t.Context(), w.id, 0, false); err != nil || rep.Jobs != want {
				t.Errorf("the next run: %+v (%v)", rep, err)
			}
		})
	}
	refused("a manifest counts other nulls", "nulls", 0, func(w *world) {
		w.fill(9, 50)
		r := w.request(w.events(50, 0))
		r.Files[0].NullValueCounts[iceberg.FieldIdempotencyKey]++
		w.commit(w.committer(), r)
	})
	refused("a file is damaged", "cannot be read", 1, func(w *world) {
		w.fill(10, 50)
		r := w.request(w.events(50, 0))
		key, _ := objstore.Key(w.store, r.Files[0].Path)
		body, _, err := w.store.Get(context.Background(), key)
		w.must(err)
		body = slices.Clone(body)
		body[100] ^= 0x10
		_, err = w.store.Put(context.Background(), key, body, objstore.Condition{})
		w.must(err)
		w.commit(w.committer(), r)
	})
	refused("a file of another engine's making", "cannot be read", 1, func(w *world) {
		w.fill(10, 50)
		key := "default/clicks/data/other.parquet"
		_, err := w.store.Put(context.Background(), key, []byte("PAR1, but no file"), objstore.Condition{})
		w.must(err)
		f := twin.Foreign{Catalog: w.cat, Store: w.store, Now: w.clock, NewID: func() int64 { return int64(w.random() >> 1) }}
		_, err = f.Append(context.Background(), w.id, iceberg.DataFile{
			Path: objstore.Location(w.store, key), Partition: w.live(w.load())[0].Partition, RecordCount: 1, FileSizeInBytes: 17,
		})
		w.must(err)
	})
	refused("a table whose owner wants no maintenance", "gc.enabled", 0, func(w *world) {
		w.fill(10, 50)
		f := twin.Foreign{Catalog: w.cat, Store: w.store, Now: w.clock}
		_, err := f.SetProperties(context.Background(), w.id, map[string]string{"gc.enabled": "no"})
		w.must(err)
	})
	refused("a table that takes no commits", "marker", 0, func(w *world) {
		w.fill(10, 50)
		f := twin.Foreign{Catalog: w.cat, Store: w.store, Now: w.clock}
		_, err := f.RemoveProperties(context.Background(), w.id, commitlib.PropProtocol)
		w.must(err)
	})
}

// TestCompactReadsBack: a new file that the store does not give back as it was written takes no one's place.
func TestCompactReadsBack(t *testing.T) {
	w := newWorld(t)
	w.fill(10, 50)
	at := w.load().MetadataLocation
	c := w.compactor(nil)
	c.Store = damaging{w.store}
	if _, err := c.Table(t.Context(), w.id, 0, false); err == nil || !strings.Contains(err.Error(), "read back") {
		t.Errorf("error: %v", err)
	}
	if w.load().MetadataLocation != at {
		t.Error("the table has changed")
	}
}

// damaging returns objects of a rewrite with a bit turned.
type damaging struct{ *objstore.Mem }

func (d damaging) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	n, err := d.Mem.ReadAt(ctx, key, p, off)
	if strings.Contains(key, "/data/") && off <= 100 && 100 < off+int64(n) {
		p[100-off] ^= 0x10
	}
	return n, err
}

// TestBounds: a run ends at its bounds, and the next goes on.
func TestBounds(t *testing.T) {
	w := newWorld(t, iceberg.PartitionNone, iceberg.EachPartition)
	w.fill(10, 60)
	c := w.compactor(func(cfg *Config) { cfg.MaxBytes = 1 })
	for i := range 3 {
		if rep := w.run(c, 0); rep.Jobs != 1 || rep.More != (i < 2) {
			t.Errorf("run %d: %+v", i, rep)
		}
	}
	w.fill(10, 60)
	c = w.compactor(func(cfg *Config) { cfg.MaxTime = time.Minute })
	began := true
	c.cfg.Pause = func(context.Context) error {
		if began {
			w.pass(2 * time.Minute)
		}
		began = false
		return nil
	}
	if rep := w.run(c, 0); rep.Jobs != 1 || !rep.More {
		t.Errorf("out of time: %+v", rep)
	}
}

// TestRetentionIsKept: where a table has a retention, files of events that leave at different times stay apart.
func TestRetentionIsKept(t *testing.T) {
	w := newWorld(t, iceberg.PartitionNone)
	committer := w.committer()
	const hours, keep = 30, 40 * time.Hour
	for i := range hours {
		w.commit(committer, w.request(w.events(5, 3600*i)))
	}
	w.pass(time.Hour)
	c := w.compactor(func(cfg *Config) {
		cfg.Keep = func(catalog.Ident) time.Duration { return keep }
	})
	if rep := w.run(c, 0); rep.FilesIn < hours-2 || rep.Jobs < 6 { // a part's first or last may be alone
		t.Errorf("report: %+v", rep)
	}
	for _, f := range w.live(w.load()) {
		times := w.read(f).Col(iceberg.FieldEventTime).Int64s
		if span := time.Duration(times[len(times)-1]-times[0]) * time.Microsecond; span > keep/keepParts+time.Minute {
			t.Errorf("%s holds %s", f.Path, span)
		}
	}
	at := w.load().MetadataLocation
	if rep := w.run(c, 0); rep.Did() || w.load().MetadataLocation != at {
		t.Errorf("a second run: %+v", rep)
	}
}
