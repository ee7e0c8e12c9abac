// Package live reads which data files a table has, by its metadata alone, one at a time: a table may have a million.
//
// Compaction and retention choose by it what to rewrite; commitlib.Committer.Rewrite finds out anew whether it is still
// so.
package live

import (
	"context"
	"fmt"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// File is a data file, or a delete file, that is live in the head of main.
type File struct {
	iceberg.DataFile
	SpecID     int
	SnapshotID int64 // that added it
}

// List reads the manifest list of main's head; it is empty where main is.
func List(ctx context.Context, store objstore.Store, t *catalog.Table) ([]manifest.ListEntry, error) {
	head := t.Metadata.CurrentSnapshot()
	if head == nil {
		return nil, nil
	}
	data, err := get(ctx, store, head.ManifestList)
	if err != nil {
		return nil, fmt.Errorf("read manifest list: %w", err)
	}
	return manifest.ReadList(data)
}

// Each calls fn with each live file of the manifests of list that want takes (nil: all), until fn returns an error, which
// it returns. fn may keep what it is given.
func Each(ctx context.Context, store objstore.Store, list []manifest.ListEntry, want func(*manifest.ListEntry) bool, fn func(*File) error) error {
	for i := range list {
		l := &list[i]
		if l.AddedFiles == 0 && l.ExistingFiles == 0 || want != nil && !want(l) {
			continue
		}
		data, err := get(ctx, store, l.Path)
		if err != nil {
			return fmt.Errorf("read manifest: %w", err)
		}
		err = l.Each(data, func(e *manifest.Entry) error {
			if e.Status == manifest.Deleted {
				return nil
			}
			return fn(&File{DataFile: e.File, SpecID: l.SpecID, SnapshotID: *e.SnapshotID})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func get(ctx context.Context, store objstore.Store, location string) ([]byte, error) {
	key, ok := objstore.Key(store, location)
	if !ok {
		return nil, fmt.Errorf("%q lies outside the store %q", location, store.Root())
	}
	data, _, err := store.Get(ctx, key)
	return data, err
}
