package twin

import (
	"context"
	"errors"
	"fmt"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// Append adds data files of another engine in a snapshot of their own; without files the snapshot is empty. The
// snapshot says nothing of Firn's, and a conflict is answered by building it anew on what is current then.
func (f *Foreign) Append(ctx context.Context, id catalog.Ident, files ...iceberg.DataFile) (*catalog.Table, error) {
	for try := 1; ; try++ {
		base, err := f.Catalog.Load(ctx, id)
		if err != nil {
			return nil, err
		}
		snapshot, err := f.writeSnapshot(ctx, base, files)
		if err != nil {
			return nil, fmt.Errorf("append to %s: %w", id, err)
		}
		t, err := f.Catalog.SwapMetadata(ctx, base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			return m.WithSnapshot(snapshot, nil, base.MetadataLocation, f.Now())
		})
		if err == nil || !errors.Is(err, catalog.ErrConflict) || try == foreignTries {
			return t, err
		}
	}
}

// writeSnapshot writes a manifest of the files, and a manifest list of it and of what base has.
func (f *Foreign) writeSnapshot(ctx context.Context, base *catalog.Table, files []iceberg.DataFile) (*iceberg.Snapshot, error) {
	m := base.Metadata
	s := &iceberg.Snapshot{
		ID: f.NewID(), ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1, SchemaID: m.CurrentSchemaID,
		TimestampMs: m.NextTimeMs(f.Now()),
		Summary:     map[string]string{"operation": iceberg.OpAppend, "engine-name": "foreign"},
	}
	var list []manifest.ListEntry
	if len(files) > 0 {
		fresh, err := f.writeManifest(ctx, base, s.ID, files)
		if err != nil {
			return nil, err
		}
		list = append(list, fresh)
	}
	if head := m.CurrentSnapshot(); head != nil {
		key, _ := objstore.Key(f.Store, head.ManifestList)
		body, _, err := f.Store.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		before, err := manifest.ReadList(body)
		if err != nil {
			return nil, err
		}
		list = append(list, before...)
	}
	body, err := manifest.WriteList(list, s.ID, s.ParentID, s.SequenceNumber)
	if err != nil {
		return nil, err
	}
	s.ManifestList, err = f.put(ctx, base, fmt.Sprintf("snap-%d-foreign.avro", s.ID), body)
	return s, err
}

func (f *Foreign) writeManifest(ctx context.Context, base *catalog.Table, snapshotID int64, files []iceberg.DataFile) (manifest.ListEntry, error) {
	entries := make([]manifest.Entry, len(files))
	for i, file := range files {
		entries[i] = manifest.Add(file)
	}
	schema, spec := base.Metadata.CurrentSchema(), base.Metadata.DefaultSpec()
	body, err := manifest.Write(schema, spec, entries)
	if err != nil {
		return manifest.ListEntry{}, err
	}
	fresh, err := manifest.Summarize(schema, spec, entries)
	if err != nil {
		return manifest.ListEntry{}, err
	}
	fresh.Length = int64(len(body))
	fresh.Path, err = f.put(ctx, base, fmt.Sprintf("%d-foreign-m0.avro", snapshotID), body)
	return fresh, err
}

func (f *Foreign) put(ctx context.Context, base *catalog.Table, name string, body []byte) (string, error) {
	key := base.Ident.Namespace + "/" + base.Ident.Name + "/metadata/" + name
	_, err := f.Store.Put(ctx, key, body, objstore.Condition{Absent: true})
	return objstore.Location(f.Store, key), err
}
