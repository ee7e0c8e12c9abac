package commitlib

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// writeRewrite carries out steps 3 to 5: when it returns without an error, all that the snapshot names is durable.
func (r *rewriting) writeRewrite(ctx context.Context, number int, before *manifest.List, f *found) (*successor, error) {
	t := r.parent.table
	meta := t.Metadata
	if err := r.buildAdded(f.sequence); err != nil {
		return nil, err
	}
	var all []*rewritten
	if r.added != nil {
		all = append(all, r.added)
	}
	for _, path := range sortedPaths(f.gone) {
		all = append(all, f.gone[path])
	}
	r.madeAt = all[0].at
	for _, m := range all {
		if m.at.Before(r.madeAt) {
			r.madeAt = m.at
		}
	}

	name := r.newUUID()
	fresh := make([]manifest.ListEntry, 0, len(all))
	var tasks []func(context.Context) error
	for i, m := range all {
		if m.body != nil { // else it is durable under the name that it has
			m.key, _ = objstore.Key(r.store, fmt.Sprintf("%s/metadata/%s%s-m%d.avro", t.Location, ObjectPrefix, name, i))
			tasks = append(tasks, func(ctx context.Context) error { return r.putManifest(ctx, &m.newManifest) })
		}
		entry := m.entry
		entry.Path = objstore.Location(r.store, m.key)
		fresh = append(fresh, entry)
	}
	gone := func(path string) bool {
		_, ok := f.gone[path]
		return ok || slices.Contains(f.spent, path)
	}
	id, sequence := r.newSnapshotID(), meta.LastSequenceNumber+1
	list, body, err := before.Replace(gone, fresh, id, meta.CurrentSnapshotID, sequence)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnwritable, err)
	}
	listAt := fmt.Sprintf("%s/metadata/snap-%d-%d-%s%s.avro", t.Location, id, number, ObjectPrefix, r.newUUID())
	next := &successor{list: list}
	if r.mayKeepHouse(number) {
		next.removed = expired(meta, r.cfg.Clock(), r.cfg.KeepSnapshots)
	}
	next.listKey, _ = objstore.Key(r.store, listAt)
	tasks = append(tasks, func(ctx context.Context) error { return r.putList(ctx, next, body) })
	next.snapshot = &iceberg.Snapshot{
		ID: id, ParentID: meta.CurrentSnapshotID, SequenceNumber: sequence,
		TimestampMs: meta.NextTimeMs(r.cfg.Clock()), ManifestList: listAt,
		SchemaID: meta.CurrentSchemaID, Summary: r.summarize(meta.CurrentSnapshot()),
	}
	if err := r.sideBySide(ctx, tasks); err != nil {
		return nil, err
	}
	r.checkExpiry(next)
	return next, nil
}

// buildAdded sees to it that r.added is the manifest of the files that come.
func (r *rewriting) buildAdded(sequence int64) error {
	if len(r.rw.Add) == 0 || r.added != nil && r.added.sequence == sequence {
		return nil
	}
	meta := r.parent.table.Metadata
	schema := meta.Schema(r.rw.SchemaID)
	spec, _ := meta.Spec(r.rw.SpecID) // settled saw both
	entries := make([]manifest.Entry, len(r.rw.Add))
	m := &rewritten{at: r.cfg.Clock(), sequence: sequence}
	r.fresh = totals{}
	for i, f := range r.rw.Add {
		entries[i] = manifest.Add(f)
		entries[i].SequenceNumber = &m.sequence
		r.fresh.file(r.rw.SpecID, &f)
	}
	if err := m.encode(schema, spec, entries); err != nil {
		return err
	}
	r.added = m
	return nil
}

func sortedPaths(m map[string]*rewritten) []string {
	paths := make([]string, 0, len(m))
	for path := range m {
		paths = append(paths, path)
	}
	slices.Sort(paths) // so that a seeded run repeats
	return paths
}

// totals count what comes or leaves.
type totals struct {
	files, rows, bytes int64
	tuples             map[string]struct{} // partitions
}

func (t *totals) file(specID int, f *iceberg.DataFile) {
	t.files, t.rows, t.bytes = t.files+1, t.rows+f.RecordCount, t.bytes+f.FileSizeInBytes
	if t.tuples == nil {
		t.tuples = make(map[string]struct{})
	}
	t.tuples[string(tupleKey(nil, specID, f.Partition))] = struct{}{}
}

func (t *totals) add(o *totals) {
	t.files, t.rows, t.bytes = t.files+o.files, t.rows+o.rows, t.bytes+o.bytes
	if t.tuples == nil {
		t.tuples = make(map[string]struct{})
	}
	for k := range o.tuples {
		t.tuples[k] = struct{}{}
	}
}

// tupleKey tells partitions apart.
func tupleKey(dst []byte, specID int, partition [][]byte) []byte {
	dst = strconv.AppendInt(dst, int64(specID), 10)
	for _, v := range partition {
		dst = fmt.Appendf(dst, " %x %t", v, v == nil)
	}
	return dst
}

// summarize is what the snapshot says of itself: the specification's counts of a replacement or a deletion, and totals
// carried forward where the parent has them.
func (r *rewriting) summarize(parent *iceberg.Snapshot) map[string]string {
	changed := totals{}
	changed.add(&r.gone)
	changed.add(&r.fresh)
	s := map[string]string{
		"operation":               r.rw.Operation,
		"deleted-data-files":      strconv.FormatInt(r.gone.files, 10),
		"deleted-records":         strconv.FormatInt(r.gone.rows, 10),
		"removed-files-size":      strconv.FormatInt(r.gone.bytes, 10),
		"changed-partition-count": strconv.Itoa(len(changed.tuples)),
		"engine-name":             "firn",
		PropRanges:                "{}", // it adds no event, and is ours: readLineage
	}
	if r.fresh.files > 0 {
		s["added-data-files"] = strconv.FormatInt(r.fresh.files, 10)
		s["added-records"] = strconv.FormatInt(r.fresh.rows, 10)
		s["added-files-size"] = strconv.FormatInt(r.fresh.bytes, 10)
	}
	for key, more := range map[string]int64{
		"total-data-files": r.fresh.files - r.gone.files, "total-records": r.fresh.rows - r.gone.rows,
		"total-files-size":   r.fresh.bytes - r.gone.bytes,
		"total-delete-files": 0, "total-position-deletes": 0, "total-equality-deletes": 0,
	} {
		// A parent without the total, or with one that cannot be, has none to add to: it is left out then.
		if was, err := strconv.ParseInt(parent.Summary[key], 10, 64); err == nil && was+more >= 0 {
			s[key] = strconv.FormatInt(was+more, 10)
		}
	}
	return s
}
