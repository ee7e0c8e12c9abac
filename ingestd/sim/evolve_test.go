package sim

import (
	"context"
	"fmt"
	"slices"
	"time"

	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
)

// addColumn is ALTER TABLE ADD COLUMN: readers fill it with nulls in what Firn writes.
func (w *world) addColumn(t *table) error {
	base := w.peek(t)
	current := base.Metadata.CurrentSchema()
	if len(current.Fields) > len(iceberg.EventSchema(iceberg.String).Fields)+2 {
		return nil
	}
	w.step("foreign: add a column to %s", t.id.Name)
	wider := *current
	wider.Fields = append(slices.Clip(current.Fields), iceberg.Field{
		ID: base.Metadata.LastColumnID + 1, Name: fmt.Sprintf("added_%d", base.Metadata.LastColumnID+1), Type: iceberg.Long,
	})
	_, err := w.foreign().Catalog.SwapMetadata(context.Background(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return m.WithSchema(&wider, base.MetadataLocation, time.Now())
	})
	return err
}

// mergeManifests rewrites all manifests into one, in a snapshot that replaces and adds
// nothing, as engines' maintenance does.
func (w *world) mergeManifests(t *table) error {
	base := w.peek(t)
	m := base.Metadata
	head := m.CurrentSnapshot()
	if head == nil {
		return nil
	}
	w.step("foreign: merge the manifests of %s", t.id.Name)
	before, err := manifest.ReadList(w.object(t, head.ManifestList))
	if err != nil || len(before) < 2 {
		return err
	}
	var schema *iceberg.Schema
	var entries []manifest.Entry
	for _, l := range before {
		h, some, err := l.Read(w.object(t, l.Path))
		if err != nil {
			return err
		}
		if l.SpecID != before[0].SpecID {
			return nil // a manifest is of one spec
		}
		schema = h.Schema
		for _, e := range some {
			if e.Status != manifest.Deleted {
				e.Status = manifest.Existing
				entries = append(entries, e)
			}
		}
	}
	spec, _ := m.Spec(before[0].SpecID)
	if len(entries) == 0 {
		return nil
	}
	s := &iceberg.Snapshot{
		ID: 1 + w.plan.Int64N(1<<62), ParentID: head.ID, SequenceNumber: m.LastSequenceNumber + 1, SchemaID: m.CurrentSchemaID,
		TimestampMs: m.NextTimeMs(time.Now()), Summary: map[string]string{"operation": iceberg.OpReplace, "engine-name": "foreign"},
	}
	body, err := manifest.Write(schema, spec, entries)
	if err != nil {
		return err
	}
	merged, err := manifest.Summarize(schema, spec, entries)
	if err != nil {
		return err
	}
	merged.Length = int64(len(body))
	if merged.Path, err = w.putForeign(t, fmt.Sprintf("%d-merged.avro", s.ID), body); err != nil {
		return err
	}
	if body, err = manifest.WriteList([]manifest.ListEntry{merged}, s.ID, s.ParentID, s.SequenceNumber); err != nil {
		return err
	}
	if s.ManifestList, err = w.putForeign(t, fmt.Sprintf("snap-%d-merged.avro", s.ID), body); err != nil {
		return err
	}
	_, err = w.foreign().Catalog.SwapMetadata(context.Background(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return m.WithSnapshot(s, nil, base.MetadataLocation, time.Now())
	})
	return err
}

func (w *world) putForeign(t *table, name string, body []byte) (location string, err error) {
	key := t.id.Namespace + "/" + t.id.Name + "/metadata/" + name
	_, err = w.store.Put(context.Background(), key, body, objstore.Condition{Absent: true})
	return objstore.Location(w.store, key), err
}
