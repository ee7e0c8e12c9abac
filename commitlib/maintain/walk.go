package maintain

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"firn/commitlib/catalog"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// need is an object that a table's metadata names.
type need struct {
	key  string
	size int64 // as metadata states it; unknownSize where it does not
	what string

	// lenient: readers do without it, as without an earlier metadata file, which other engines may have removed. It is
	// not removed, and it is not missed.
	lenient bool
}

const unknownSize = -1

// walker visits what a table needs. It reads each manifest list and each manifest once, whatever number of states it
// walks. Its memory is 8 bytes for each of them.
type walker struct {
	store objstore.Store
	files bool // manifests are read, for the files in them

	visit func(need)

	// broken is told of a list or manifest that is missing or cannot be read as what it is. The error that it returns
	// ends the walk. Errors of the store end it anyway.
	broken func(n need, err error) error

	read map[uint64]bool // lists and manifests that were
}

func newWalker(store objstore.Store, files bool, visit func(need)) *walker {
	return &walker{
		store: store, files: files, visit: visit, read: map[uint64]bool{},
		broken: func(_ need, err error) error { return err },
	}
}

// errUnreadable marks what broken is told: the object is missing, or not what it should be.
var errUnreadable = errors.New("table's metadata is damaged")

// table visits all that the state needs: the metadata files that it names and is, statistics, and of every snapshot, on
// any ref or none, manifest list, manifests, and the data and delete files that live in it.
func (w *walker) table(ctx context.Context, t *catalog.Table) error {
	w.name(t.MetadataLocation, need{size: unknownSize, what: "table metadata", lenient: ofService(t)})
	for _, e := range t.Metadata.MetadataLog {
		w.name(e.MetadataFile, need{size: unknownSize, what: "table metadata", lenient: true})
	}
	statistics, err := t.Metadata.StatisticsFiles()
	if err != nil {
		return err
	}
	for _, location := range statistics {
		w.name(location, need{size: unknownSize, what: "statistics file", lenient: true})
	}
	for _, s := range t.Metadata.Snapshots {
		if s.ManifestList == "" {
			return fmt.Errorf("%w: snapshot %d names no manifest list", errUnreadable, s.ID)
		}
		if err := w.list(ctx, s.ManifestList); err != nil {
			return fmt.Errorf("snapshot %d: %w", s.ID, err)
		}
	}
	return nil
}

// name visits the object at a location, if it lies in the store.
func (w *walker) name(location string, n need) (need, bool) {
	key, ok := keyOf(w.store, location)
	if !ok {
		return n, false
	}
	n.key = key
	w.visit(n)
	return n, true
}

// object visits and reads a list or a manifest; nil where it was read before.
func (w *walker) object(ctx context.Context, location string, n need) (need, []byte, error) {
	n, ok := w.name(location, n)
	if !ok {
		return n, nil, w.broken(n, fmt.Errorf("%w: %s %s lies outside the store %s: what it names cannot be known", errUnreadable, n.what, location, w.store.Root()))
	}
	h := hash(n.key)
	if w.read[h] {
		return n, nil, nil
	}
	data, _, err := w.store.Get(ctx, n.key)
	if errors.Is(err, objstore.ErrNotExist) {
		return n, nil, w.broken(n, fmt.Errorf("%w: %s is missing: %w", errUnreadable, n.what, err))
	}
	if err != nil {
		return n, nil, fmt.Errorf("read %s: %w", n.what, err)
	}
	w.read[h] = true
	return n, data, nil
}

func (w *walker) list(ctx context.Context, location string) error {
	n, data, err := w.object(ctx, location, need{size: unknownSize, what: "manifest list"})
	if err != nil || data == nil {
		return err
	}
	entries, err := manifest.ReadList(data)
	if err != nil {
		return w.broken(n, fmt.Errorf("%w: %s: %w", errUnreadable, location, err))
	}
	for i := range entries {
		if err := w.manifest(ctx, &entries[i]); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) manifest(ctx context.Context, l *manifest.ListEntry) error {
	n := need{size: l.Length, what: "manifest"}
	if !w.files {
		w.name(l.Path, n)
		return nil
	}
	n, data, err := w.object(ctx, l.Path, n)
	if err != nil || data == nil {
		return err
	}
	err = l.EachFile(data, func(f manifest.FileRef) {
		if f.Status != manifest.Deleted {
			w.name(f.Path, need{size: f.Size, what: "data file"})
		}
	})
	if err != nil {
		return w.broken(n, fmt.Errorf("%w: %w", errUnreadable, err))
	}
	return nil
}

// ofService says that a catalog service names the table's metadata files, and may keep them to itself: they are not
// versions that package objectstore creates exclusively.
func ofService(t *catalog.Table) bool {
	return readName(metadataFolder+t.MetadataLocation[strings.LastIndexByte(t.MetadataLocation, '/')+1:]).kind != version
}
