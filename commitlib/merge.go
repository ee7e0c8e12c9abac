package commitlib

import (
	"context"
	"fmt"
	"slices"
	"time"

	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// Manifests are merged by size, as a log-structured tree does with its levels: a level holds those with mergeAt times
// the files of the level below, and when a commit finds mergeAt of one level, and one partition spec, it makes one of the
// next level of them, up to mergeTarget. So a table of n files that came one by one has at most mergeAt - 1 manifests in
// each of log n levels beside the full ones, and each entry is written log n times: of a million files some eighty
// manifests, and five times.
const (
	// mergeAt is how many manifests of one level a merge takes at the least. More make the list longer, fewer write each
	// entry more often.
	mergeAt = 10

	// mergeTarget bounds a merged manifest, in bytes: Iceberg's commit.manifest.target-size-bytes by default. One of
	// half of it is full, and is merged no more: two of them would not fit.
	mergeTarget = 8 << 20

	// mergeMost bounds the manifests that one merge reads, where a table of another writer has thousands.
	mergeMost = 100

	// mergeFiles bounds the files of a merged manifest: readers plan by manifest, and take some hundred bytes for each.
	mergeFiles = 100_000

	// mergeTime bounds the time that a commit spends on it, and mergeShare of the time that is left to the caller's
	// deadline: a merge of ten small manifests is three round trips, one of the greatest a second of work.
	mergeTime  = 2 * time.Second
	mergeShare = 4
)

// level is the number of times that mergeAt fits into the live files of a manifest.
func level(e *manifest.ListEntry, at int) (n int) {
	for files := e.AddedFiles + e.ExistingFiles; files >= at; files /= at {
		n++
	}
	return n
}

// mergeable returns what a commit takes out of a list: manifests that become one, of one level, the oldest first, and those
// that only tell what earlier snapshots deleted, which become none.
func mergeable(entries []manifest.ListEntry, at int) (group, empty []manifest.ListEntry) {
	type kind struct{ spec, level int }
	kinds := make(map[kind][]manifest.ListEntry)
	lowest := func(a, b kind) bool { return a.level < b.level || a.level == b.level && a.spec < b.spec }
	var best kind
	found := false
	for _, e := range slices.Backward(entries) {
		switch {
		case e.Content != manifest.Data || e.AddedFiles < 0 || e.ExistingFiles < 0 || e.DeletedFiles < 0 || len(e.KeyMetadata) > 0:
			continue
		case e.AddedFiles+e.ExistingFiles == 0:
			if e.DeletedFiles > 0 {
				empty = append(empty, e)
			}
			continue
		case e.Length >= mergeTarget/2 || e.AddedFiles+e.ExistingFiles >= mergeFiles/2:
			continue
		}
		k := kind{e.SpecID, level(&e, at)}
		if kinds[k] = append(kinds[k], e); len(kinds[k]) == at && (!found || lowest(k, best)) {
			best, found = k, true
		}
	}
	if !found {
		return nil, empty
	}
	group = kinds[best]
	var bytes int64
	files := 0
	for i, e := range group {
		bytes += e.Length
		files += e.AddedFiles + e.ExistingFiles
		if i == mergeMost || bytes > mergeTarget || files > mergeFiles {
			return group[:i], empty // two at the least: none is more than half of anything
		}
	}
	return group, empty
}

// writable leaves out manifests that no merge can write, as their partition spec is gone, or a column that it needs: they
// would be tried first each time, and no others would be merged.
func writable(m *iceberg.Metadata, entries []manifest.ListEntry) []manifest.ListEntry {
	schema, known := m.CurrentSchema(), make(map[int]bool)
	can := func(id int) bool {
		spec, ok := m.Spec(id)
		return ok && !slices.ContainsFunc(spec.Fields, func(f iceberg.PartitionField) bool {
			column, ok := schema.FieldByID(f.SourceID)
			if !ok {
				return f.Transform != iceberg.TransformVoid
			}
			_, err := iceberg.ResultType(f.Transform, column.Type)
			return err != nil
		})
	}
	return slices.DeleteFunc(entries, func(e manifest.ListEntry) bool {
		ok, asked := known[e.SpecID]
		if !asked {
			ok = can(e.SpecID)
			known[e.SpecID] = ok
		}
		return !ok && e.AddedFiles+e.ExistingFiles > 0
	})
}

// merged is what a commit does to the list beside adding to it.
type merged struct {
	entry *manifest.ListEntry // takes the place of what is gone; nil: nothing does
	gone  map[string]bool     // by path
}

// merge merges manifests of the list, if it is time. When it returns some, the merged manifest is durable. It never fails:
// whatever goes wrong is logged, and the commit goes on without. Of two commits of one process that would merge at the
// same time one does, so that the memory that merging takes is that of one merge, three times mergeTarget.
func (r *run) merge(ctx context.Context, list *manifest.List) *merged {
	if list.Len() < r.cfg.MergeManifests || !r.merging.TryLock() {
		return nil
	}
	defer r.merging.Unlock()
	m, err := r.mergeList(ctx, list)
	if err != nil {
		r.stopHousekeeping("merging manifests", err)
		return nil
	}
	return m
}

func (r *run) mergeList(ctx context.Context, list *manifest.List) (*merged, error) {
	entries, err := list.Entries()
	if err != nil {
		return nil, err
	}
	group, empty := mergeable(writable(r.parent.table.Metadata, entries), r.cfg.MergeManifests)
	if len(group)+len(empty) == 0 {
		return nil, nil
	}
	m := &merged{gone: make(map[string]bool, len(group)+len(empty))}
	for _, e := range empty {
		m.gone[e.Path] = true
	}
	if len(group) == 0 {
		return m, nil
	}
	limit := mergeTime
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/mergeShare)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	sources := make([]manifest.Source, len(group))
	errs := make([]error, len(group))
	r.inParallel(len(group), func(i int) { sources[i], errs[i] = r.source(ctx, group[i]) })
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	meta := r.parent.table.Metadata
	spec, ok := meta.Spec(group[0].SpecID)
	if !ok {
		return nil, fmt.Errorf("manifest %s: the table has no partition spec %d", group[0].Path, group[0].SpecID)
	}
	body, entry, err := manifest.Merge(ctx, meta.CurrentSchema(), spec, sources)
	if err != nil {
		return nil, err
	}
	if body == nil {
		return nil, fmt.Errorf("none of %d manifests with live files has one", len(group))
	}
	key := r.manifestKey(r.newUUID(), 0)
	if err := r.putNew(ctx, key, body); err != nil {
		return nil, err
	}
	entry.Path = objstore.Location(r.store, key)
	m.entry = &entry
	for _, e := range group {
		m.gone[e.Path] = true
	}
	return m, nil
}

// source reads a manifest.
func (r *run) source(ctx context.Context, e manifest.ListEntry) (manifest.Source, error) {
	key, ok := objstore.Key(r.store, e.Path)
	if !ok {
		return manifest.Source{}, fmt.Errorf("manifest %s lies outside the store %q", e.Path, r.store.Root())
	}
	if err := ctx.Err(); err != nil {
		return manifest.Source{}, err
	}
	data, _, err := r.store.Get(ctx, key)
	if err != nil {
		return manifest.Source{}, fmt.Errorf("read manifest %s: %w", e.Path, err)
	}
	return manifest.Source{ListEntry: e, Data: data}, nil
}
