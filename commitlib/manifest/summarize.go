package manifest

import (
	"fmt"
	"math"

	"firn/commitlib/iceberg"
)

// Summarize returns what a manifest list says of a fresh manifest of these entries, except Path and Length, which are
// the caller's. Its sequence number and snapshot are left to WriteList, so that it serves every attempt.
func Summarize(schema *iceberg.Schema, spec iceberg.PartitionSpec, entries []Entry) (ListEntry, error) {
	l, err := summarize(schema, spec, entries)
	if err != nil {
		return ListEntry{}, fmt.Errorf("summarize manifest: %w", err)
	}
	return l, nil
}

func summarize(schema *iceberg.Schema, spec iceberg.PartitionSpec, entries []Entry) (ListEntry, error) {
	types, err := partitionTypes(schema, spec)
	if err != nil {
		return ListEntry{}, err
	}
	l := emptySummary(spec.ID, types)
	for i := range entries {
		e := &entries[i]
		if err := e.check(len(types)); err != nil {
			return l, fmt.Errorf("entry %d, file %q: %w", i, e.File.Path, err)
		}
		if err := l.include(e, types); err != nil {
			return l, err
		}
	}
	return l, nil
}

// emptySummary is what a manifest list says of a fresh manifest without entries.
func emptySummary(specID int, types []partitionType) ListEntry {
	l := ListEntry{
		SpecID: specID, SequenceNumber: Unassigned, MinSequenceNumber: Unassigned,
		Partitions: make([]FieldSummary, len(types)),
	}
	for i, t := range types {
		if t.typ == iceberg.Float || t.typ == iceberg.Double {
			l.Partitions[i].ContainsNaN = new(bool)
		}
	}
	return l
}

// include adds an entry, whose partition has as many values as the spec has fields.
func (l *ListEntry) include(e *Entry, types []partitionType) error {
	l.count(e)
	for i, v := range e.File.Partition {
		if err := l.Partitions[i].include(types[i].typ, v); err != nil {
			return fmt.Errorf("file %q: partition field %q: %w", e.File.Path, types[i].name, err)
		}
	}
	return nil
}

func (l *ListEntry) count(e *Entry) {
	switch e.Status {
	case Added:
		l.AddedFiles++
		l.AddedRows += e.File.RecordCount
	case Existing:
		l.ExistingFiles++
		l.ExistingRows += e.File.RecordCount
	case Deleted:
		l.DeletedFiles++
		l.DeletedRows += e.File.RecordCount
		return // the least sequence number is that of live entries
	}
	if n := e.SequenceNumber; n != nil && (l.MinSequenceNumber == Unassigned || *n < l.MinSequenceNumber) {
		l.MinSequenceNumber = *n
	}
}

// include widens the summary by one value.
func (s *FieldSummary) include(t iceberg.Type, v []byte) error {
	if v == nil {
		s.ContainsNull = true
		return nil
	}
	if s.ContainsNaN != nil {
		f, err := iceberg.DecodeDouble(v)
		if err != nil {
			return err
		}
		if math.IsNaN(f) {
			*s.ContainsNaN = true
			return nil
		}
	}
	if s.Lower == nil {
		s.Lower, s.Upper = v, v
	}
	below, err := iceberg.CompareValues(t, v, s.Lower)
	if err != nil {
		return err
	}
	above, err := iceberg.CompareValues(t, v, s.Upper)
	if err != nil {
		return err
	}
	if below < 0 {
		s.Lower = v
	}
	if above > 0 {
		s.Upper = v
	}
	return nil
}
