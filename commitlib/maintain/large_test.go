package maintain

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"firn/commitlib"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
	"firn/perf/tier"
)

// crowded is a store that also shows data files which are nowhere: as many as a large table has.
type crowded struct {
	objstore.Store
	prefix string
	key    func(i int) string
	n      int
	at     time.Time
	half   func() // is called in the middle of them
}

func (c crowded) List(ctx context.Context, prefix string, fn func(objstore.Info) error) error {
	if strings.HasPrefix(c.prefix, prefix) {
		for i := range c.n {
			if i == c.n/2 {
				c.half()
			}
			if err := fn(objstore.Info{Key: c.key(i), Size: 4, Modified: c.at}); err != nil {
				return err
			}
		}
	}
	return c.Store.List(ctx, prefix, fn)
}

// A sweep of a table with many files holds little of each: what it takes is 8 bytes a file, twice that while the set is
// filled, and one manifest.
func TestALargeTableTakesLittleMemory(t *testing.T) {
	files := tier.Pick(50_000, 200_000, 1_000_000)
	const perManifest = 10_000
	w := newWorld(t)
	spec := w.load().Metadata.DefaultSpec()
	key := func(i int) string {
		return fmt.Sprintf("%sdata/event_time_hour=2026-11-%02d-%02d/018f3b1e-0000-7000-8000-%012d-1-10-0.parquet", w.root, 1+i%28, i%24, i)
	}
	t0 := w.load()
	var list []manifest.ListEntry
	for at := 0; at < files; at += perManifest {
		entries := make([]manifest.Entry, 0, perManifest)
		for i := at; i < at+perManifest; i++ {
			entries = append(entries, manifest.Add(iceberg.DataFile{Path: objstore.Location(w.store, key(i)), Partition: [][]byte{}, RecordCount: 10, FileSizeInBytes: 4}))
		}
		body, err := manifest.Write(t0.Metadata.CurrentSchema(), spec, entries)
		w.must(err)
		entry, err := manifest.Summarize(t0.Metadata.CurrentSchema(), spec, entries)
		w.must(err)
		name := fmt.Sprintf("%smetadata/%slarge-m%d.avro", w.root, commitlib.ObjectPrefix, at)
		_, err = w.store.Put(context.Background(), name, body, objstore.Condition{Absent: true})
		w.must(err)
		entry.Path, entry.Length = objstore.Location(w.store, name), int64(len(body))
		list = append(list, entry)
	}
	s := &iceberg.Snapshot{
		ID: 1, SequenceNumber: 1, TimestampMs: t0.Metadata.NextTimeMs(w.clock()), Summary: map[string]string{"operation": iceberg.OpAppend},
		ManifestList: objstore.Location(w.store, w.root+"metadata/snap-1-1-large.avro"),
	}
	body, err := manifest.WriteList(list, s.ID, 0, 1)
	w.must(err)
	_, err = w.store.Put(context.Background(), w.root+"metadata/snap-1-1-large.avro", body, objstore.Condition{Absent: true})
	w.must(err)
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
		return m.WithSnapshot(s, nil, prev, w.clock())
	})
	list, body = nil, nil

	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, during := heap(), int64(0)
	store := crowded{w.store, w.root + dataFolder, key, files, w.clock(), func() { during = heap() }}
	began := time.Now()
	r, err := NewSweeper(w.cat, store, Config{Clock: w.clock}).Sweep(context.Background(), w.id, Options{Scope: Whole})
	if err != nil || r.Live < files || r.Listed.Objects < int64(files) || len(r.Waiting) > 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	t.Logf("%d files: %.1f MB held, %v", files, float64(during-before)/1e6, time.Since(began).Round(time.Millisecond))
	if most := int64(24*files + 4<<20); during-before > most {
		t.Errorf("the sweep of %d files held %d bytes, more than %d", files, during-before, most)
	}
}
