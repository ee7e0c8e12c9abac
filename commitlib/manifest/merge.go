package manifest

import (
	"context"
	"fmt"
	"slices"

	"firn/commitlib/iceberg"
)

// Source is a data manifest that is to be merged: what its list says of it, and its bytes.
type Source struct {
	ListEntry
	Data []byte
}

// Merge returns one manifest of the live entries of several, all of spec, and what a manifest list says of it, except
// Path. The entries become Existing ones that state the snapshot and the sequence numbers that they had or inherited;
// Deleted ones, which tell what an earlier snapshot took away, are left out. Where none is live the manifest is nil:
// there is nothing to write. schema is the table's current one.
//
// Every source is checked to be the one that its list describes, and whole, as ListEntry.Read does.
//
// An entry is compressed anew only when it is merged for the first time, or again while it lies in a block that is not
// full: full blocks of entries that are as they will stay are copied as they are, which takes a sixth of the time. In
// memory are the sources, the result, and one block expanded. It ends soon after ctx does, with its error.
func Merge(ctx context.Context, schema *iceberg.Schema, spec iceberg.PartitionSpec, sources []Source) ([]byte, ListEntry, error) {
	m, err := newMerging(schema, spec)
	if err != nil {
		return nil, ListEntry{}, fmt.Errorf("merge manifests: %w", err)
	}
	for i := range sources {
		if err := m.add(ctx, &sources[i]); err != nil {
			return nil, ListEntry{}, fmt.Errorf("merge manifest %s: %w", sources[i].Path, err)
		}
	}
	if m.merged.ExistingFiles == 0 {
		return nil, ListEntry{}, nil
	}
	body, err := m.finish()
	if err != nil {
		return nil, ListEntry{}, fmt.Errorf("merge manifests: %w", err)
	}
	return body, m.merged, nil
}

// merging is a manifest while others are merged into it.
type merging struct {
	written
	*packer
	spec   iceberg.PartitionSpec
	types  []partitionType
	kept   []block // copied from sources
	merged ListEntry
}

func newMerging(schema *iceberg.Schema, spec iceberg.PartitionSpec) (*merging, error) {
	w, err := writeLayout(schema, spec)
	if err != nil {
		return nil, err
	}
	types, err := partitionTypes(schema, spec)
	if err != nil {
		return nil, err
	}
	p, err := w.packer(schema, spec)
	if err != nil {
		return nil, err
	}
	return &merging{written: w, packer: p, spec: spec, types: types, merged: emptySummary(spec.ID, types)}, nil
}

func (m *merging) finish() ([]byte, error) {
	body, err := m.packer.finish(m.kept)
	m.merged.Length = int64(len(body))
	for i := range m.merged.Partitions { // which would hold on to the blocks that they were read from
		p := &m.merged.Partitions[i]
		p.Lower, p.Upper = slices.Clone(p.Lower), slices.Clone(p.Upper)
	}
	return body, err
}

func (m *merging) add(ctx context.Context, s *Source) error {
	if int64(len(s.Data)) != s.Length {
		return fmt.Errorf("it has %d bytes, its manifest list says %d", len(s.Data), s.Length)
	}
	from, err := open(s.Data)
	if err == nil {
		err = s.headedAs(from.header)
	}
	if err == nil {
		err = m.takes(from.header)
	}
	if err != nil {
		return err
	}
	ours := from.meta[keySchema] == m.text && from.meta[keyCodec] == codecDeflate
	var has ListEntry
	var entries []Entry // of the block that is being read
	var failed error
	err = from.eachBlock(from.layout, func(d *decoder) {
		e := from.next(d)
		if d.err == nil && failed != nil {
			d.fail(failed)
		}
		entries = append(entries, e)
	}, func(b block, expanded int) {
		asIs := ours && expanded >= blockBytes && !slices.ContainsFunc(entries, func(e Entry) bool { return !e.settled() })
		for i := range entries {
			has.count(&entries[i])
		}
		if failed == nil {
			failed = ctx.Err()
		}
		if failed == nil {
			failed = m.block(s, entries, asIs)
		}
		if asIs {
			m.kept = append(m.kept, b)
		}
		entries = entries[:0]
	})
	if err == nil {
		err = failed
	}
	if err == nil {
		err = has.countsAs(&s.ListEntry)
	}
	return err
}

// takes says why entries of a manifest cannot stand in this one.
func (m *merging) takes(h Header) error {
	same := slices.EqualFunc(h.Spec.Fields, m.spec.Fields, func(a, b iceberg.PartitionField) bool {
		return a.SourceID == b.SourceID && a.FieldID == b.FieldID && a.Transform == b.Transform
	})
	if h.Content != Data || !same {
		return fmt.Errorf("it holds content %d of a partition spec other than the table's spec %d", h.Content, m.spec.ID)
	}
	return nil
}

// settled says that an entry takes nothing from the list, and tells of no change.
func (e *Entry) settled() bool {
	return e.Status == Existing && e.SnapshotID != nil && e.SequenceNumber != nil && e.FileSequenceNumber != nil
}

// block takes in the entries of one block, which is copied where it can stay as it is.
func (m *merging) block(s *Source, entries []Entry, asIs bool) error {
	if err := s.Inherit(entries); err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if e.Status == Deleted {
			continue
		}
		e.Status = Existing
		err := e.check(len(m.types))
		if err == nil {
			err = m.merged.include(e, m.types)
		}
		if err == nil && !asIs {
			err = m.pack(m.packer, e, len(m.types))
		}
		if err != nil {
			return fmt.Errorf("file %q: %w", e.File.Path, err)
		}
	}
	return nil
}
