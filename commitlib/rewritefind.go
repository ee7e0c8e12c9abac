package commitlib

import (
	"context"
	"errors"
	"fmt"
	"time"

	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// found says where the files that leave stand in one head.
type found struct {
	spent []string              // paths of manifests that hold nothing live: they leave the list
	gone  map[string]*rewritten // by the path of the manifest that each takes the place of
	// sequence is the greatest data sequence number of the files that leave. The files that come take it, so that a
	// delete file of another engine that comes later applies to their rows, and one that came earlier does not.
	sequence int64
}

// rewritten is a manifest that takes the place of another, or that names the files that come.
type rewritten struct {
	newManifest
	at       time.Time // when it was made
	removed  []string  // the files that it took out
	sequence int64     // the greatest data sequence number of those; of the files that come, theirs
	gone     totals    // of those
}

// heldManifests bounds, in bytes, the manifests that are kept until all files are found: most rewrites have fewer, write
// them side by side, and write nothing that is dropped. What is beyond is written at once, one after another, so that a
// rewrite in a table of a million files takes the memory of a few manifests.
const heldManifests = 2 * mergeTarget

// find looks for every file that leaves among the live files of the list's manifests, and builds what takes the place
// of those manifests. why says that the rewrite is to be dropped. errUnwritable: a manifest is gone or damaged.
func (r *rewriting) find(ctx context.Context, list *manifest.List) (f *found, why string, err error) {
	entries, err := list.Entries()
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errUnwritable, err)
	}
	places := r.places()
	wanted := make(map[string]bool, len(r.rw.Remove))
	for i := range r.rw.Remove {
		wanted[r.rw.Remove[i].Path] = true
	}
	f = &found{gone: make(map[string]*rewritten)}
	kept := make(map[string]*rewritten)
	seen := make(map[string]bool, len(wanted))
	var gone totals
	var held int64
	for i := range entries {
		l := &entries[i]
		if l.AddedFiles == 0 && l.ExistingFiles == 0 {
			f.spent = append(f.spent, l.Path)
			continue
		}
		if l.Content == manifest.Deletes {
			if r.rw.Operation == iceberg.OpReplace && places.deletesApply(l) {
				return nil, fmt.Sprintf("delete files of another engine, in manifest %s, may apply to the files", l.Path), nil
			}
			continue
		}
		if !places.mayHold(l) {
			continue
		}
		m, err := r.takeOut(ctx, l, wanted)
		if err != nil {
			return nil, "", err
		}
		if kept[l.Path] = m; m == nil {
			continue
		}
		if held += int64(len(m.body)); held > r.mostHeld && m.body != nil {
			held -= int64(len(m.body))
			m.key = r.manifestKey(r.newUUID(), 0)
			if err := r.putManifest(ctx, &m.newManifest); err != nil {
				return nil, "", err
			}
		}
		f.gone[l.Path] = m
		for _, path := range m.removed {
			if seen[path] {
				return nil, fmt.Sprintf("the table names file %q twice", path), nil
			}
			seen[path] = true
		}
		gone.add(&m.gone)
		f.sequence = max(f.sequence, m.sequence)
	}
	r.rewritten = kept // what is no longer in the head is of no use
	for i := range r.rw.Remove {
		if path := r.rw.Remove[i].Path; !seen[path] {
			return nil, fmt.Sprintf("%d of %d files, %q among them, are no longer in the table: another has rewritten or deleted them",
				len(wanted)-len(seen), len(wanted), path), nil
		}
	}
	r.gone = gone
	return f, "", nil
}

// takeOut reads a manifest and builds the one without the wanted files; nil where it holds none of them.
func (r *rewriting) takeOut(ctx context.Context, l *manifest.ListEntry, wanted map[string]bool) (*rewritten, error) {
	if m, ok := r.rewritten[l.Path]; ok {
		return m, nil
	}
	key, ok := objstore.Key(r.store, l.Path)
	if !ok {
		return nil, fmt.Errorf("%w: manifest %q lies outside the store %q", errUnwritable, l.Path, r.store.Root())
	}
	data, _, err := r.store.Get(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return nil, fmt.Errorf("%w: read manifest: %w", errUnwritable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	// Most manifests that may hold one of the files hold none: they are looked through without an entry in memory.
	holds := false
	err = l.EachFile(data, func(f manifest.FileRef) { holds = holds || f.Status != manifest.Deleted && wanted[f.Path] })
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnwritable, err)
	}
	if !holds {
		return nil, nil
	}
	h, all, err := l.Read(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnwritable, err)
	}
	m := new(rewritten)
	entries := all[:0]
	for _, e := range all {
		switch {
		case e.Status == manifest.Deleted:
			continue // by an earlier snapshot, whose own manifest goes on saying so
		case wanted[e.File.Path]:
			e.Status, e.SnapshotID = manifest.Deleted, nil // the deleting snapshot's, inherited
			m.removed = append(m.removed, e.File.Path)
			m.sequence = max(m.sequence, *e.SequenceNumber)
			m.gone.file(l.SpecID, &e.File)
		default:
			e.Status = manifest.Existing
		}
		entries = append(entries, e)
	}
	if len(m.removed) == 0 {
		return nil, nil
	}
	m.at = r.cfg.Clock()
	return m, m.encode(h.Schema, h.Spec, entries)
}

// encode makes the manifest's body and what a list says of it.
func (m *newManifest) encode(schema *iceberg.Schema, spec iceberg.PartitionSpec, entries []manifest.Entry) (err error) {
	if m.body, err = manifest.Write(schema, spec, entries); err != nil {
		return fmt.Errorf("%w: %w", errUnwritable, err)
	}
	if m.entry, err = manifest.Summarize(schema, spec, entries); err != nil {
		return fmt.Errorf("%w: %w", errUnwritable, err)
	}
	m.entry.Length = int64(len(m.body))
	return nil
}
