package sim

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// foreign is a user of another engine: it acts in one instant, through the catalog.
func (w *world) foreign() *twin.Foreign {
	return &twin.Foreign{
		Catalog: w.backend(w.store), Store: w.store, Now: time.Now,
		NewID: func() int64 { return 1 + w.plan.Int64N(1<<62) },
	}
}

// foreignAct is what others do to a table every day: nothing of it may stop or cost anything.
func (w *world) foreignAct() {
	t := w.tables[w.plan.IntN(len(w.tables))]
	if w.peek(t) == nil {
		return
	}
	ctx := context.Background()
	w.inCalm(func() {
		var err error
		switch n := w.plan.IntN(17); {
		case n < 3:
			w.step("foreign: append to %s", t.id.Name)
			_, err = w.foreign().Append(ctx, t.id)
		case n < 5:
			if len(t.damage) > 0 {
				return // expiry takes days, a stop seconds: it does not hide what was just done
			}
			keep := 1 + w.plan.IntN(3)
			w.step("foreign: expire %s to %d snapshots", t.id.Name, keep)
			_, err = w.foreign().ExpireSnapshots(ctx, t.id, keep)
		case n < 7:
			w.step("foreign: a property of %s", t.id.Name)
			_, err = w.foreign().SetProperties(ctx, t.id, map[string]string{"owner": strconv.Itoa(w.plan.IntN(100))})
		case n < 8:
			w.deleteOldMetadata(t)
		case n < 10:
			w.moveMain(t)
		case n < 12:
			w.removeOrphans(t)
		case n < 13:
			err = w.addColumn(t)
		case n < 15:
			err = w.mergeManifests(t)
		default:
			w.lagHint(t)
		}
		if err != nil {
			w.step("  it was refused: %v", err)
		}
	})
}

// moveMain rolls the table back a few snapshots, or points main at any snapshot that is retained.
func (w *world) moveMain(t *table) {
	ctx := context.Background()
	before := w.peek(t).Metadata
	snapshots, from := before.Snapshots, beginning(before, before.CurrentSnapshotID)
	if len(snapshots) == 0 || len(t.damage) > 0 {
		return
	}
	if w.plan.IntN(3) > 0 {
		steps := 1 + w.plan.IntN(3)
		w.step("user: roll %s back by %d", t.id.Name, steps)
		w.userMoves(t, func() error {
			_, err := w.foreign().Rollback(ctx, t.id, steps)
			return err
		})
		return
	}
	k := w.plan.IntN(len(snapshots))
	w.step("user: point main of %s at the snapshot %d of %d", t.id.Name, k+1, len(snapshots))
	w.userMoves(t, func() error {
		base := w.peek(t)
		_, err := w.foreign().Catalog.SwapMetadata(ctx, base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			return m.WithMain(snapshots[k].ID, base.MetadataLocation, time.Now())
		})
		return err
	})
	if m := w.peek(t).Metadata; beginning(m, m.CurrentSnapshotID) != from {
		w.replaced(t) // back to what was before a replacement: that is another
	}
}

// beginning is the earliest retained snapshot of the history that leads to a snapshot.
func beginning(m *iceberg.Metadata, id int64) int64 {
	for s := m.Snapshot(id); s != nil; s = m.Snapshot(s.ParentID) {
		id = s.ID
	}
	return id
}

// orphanAge is how old an unreferenced file is when others remove it: what Spark's and S3 Tables' defaults are.
const orphanAge = 3 * 24 * time.Hour

// removeOrphans deletes the data files that no retained snapshot names: those whose log's watermark has passed them, as
// Firn does, and those of a certain age, as others do.
func (w *world) removeOrphans(t *table) {
	ct := w.peek(t)
	named := map[string]bool{}
	for _, s := range ct.Metadata.Snapshots {
		for _, f := range w.filesOf(t, s) {
			named[f.path] = true
		}
	}
	gone := 0
	var keys []string
	_ = w.store.List(context.Background(), t.id.Namespace+"/"+t.id.Name+"/data/", func(i objstore.Info) error {
		if path := objstore.Location(w.store, i.Key); !named[path] && (time.Since(i.Modified) > orphanAge || w.passed(ct, i.Key)) {
			keys = append(keys, i.Key)
		}
		return nil
	})
	for _, key := range keys {
		path := objstore.Location(w.store, key)
		w.saved[path] = w.object(t, path)
		_ = w.store.Delete(context.Background(), key)
		gone++
	}
	w.step("foreign: remove %d orphans of %s", gone, t.id.Name)
}

// passed reports whether the watermark of a data file's log has passed its range, which its name states.
func (w *world) passed(ct *catalog.Table, key string) bool {
	name := key[strings.LastIndexByte(key, '/')+1:]
	log, err := uuid.Parse(name[:36])
	if err != nil {
		return false
	}
	var first, last commitlib.Seq
	if _, err := fmt.Sscanf(name[37:], "%d-%d-", &first, &last); err != nil {
		return false
	}
	mark, err := commitlib.ReadWatermark(context.Background(), w.store, ct, log)
	return err == nil && last <= mark
}

// deleteOldMetadata removes the metadata files that were replaced longer ago than the retention.
func (w *world) deleteOldMetadata(t *table) {
	if w.catalog == onREST {
		return
	}
	current := w.peek(t)
	var all []objstore.Info
	prefix := t.id.Namespace + "/" + t.id.Name + "/metadata/"
	_ = w.store.List(context.Background(), prefix, func(i objstore.Info) error {
		if strings.HasSuffix(i.Key, ".metadata.json") {
			all = append(all, i)
		}
		return nil
	})
	gone := 0
	for _, i := range all {
		if objstore.Location(w.store, i.Key) == current.MetadataLocation || time.Since(w.replacedAt(t, i, all)) < metadataRetention {
			continue
		}
		_ = w.store.Delete(context.Background(), i.Key)
		gone++
	}
	w.step("foreign: delete %d of %d old metadata files of %s", gone, len(all), t.id.Name)
}

// replacedAt is when a version was replaced: the next one's time on the object-store
// catalog; elsewhere the earliest later one's.
func (w *world) replacedAt(t *table, i objstore.Info, all []objstore.Info) time.Time {
	next := time.Now()
	for _, j := range all {
		if j.Modified.After(i.Modified) && j.Modified.Before(next) {
			next = j.Modified
		}
	}
	return next
}

// lagHint leaves version-hint.text behind, as a writer that crashed, a cache or a restored object does.
func (w *world) lagHint(t *table) {
	if w.service != nil {
		return
	}
	key := t.id.Namespace + "/" + t.id.Name + "/metadata/version-hint.text"
	now := w.hintOf(t)
	switch {
	case w.plan.IntN(4) == 0:
		w.step("foreign: the hint of %s is gone", t.id.Name)
		_ = w.store.Delete(context.Background(), key)
	case now > 1:
		v := 1 + w.plan.Int64N(now-1)
		w.step("foreign: the hint of %s is set back from %d to %d", t.id.Name, now, v)
		_, _ = w.store.Put(context.Background(), key, []byte(strconv.FormatInt(v, 10)), objstore.Condition{})
	}
	t.hint = w.hintOf(t)
}
