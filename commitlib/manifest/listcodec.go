package manifest

import "fmt"

func (e *encoder) listEntry(l *layout, v *ListEntry) {
	for _, f := range l.fields {
		switch f.id {
		case idManifestPath:
			e.text(f, v.Path)
		case idManifestLength:
			e.number(f, v.Length)
		case idSpec:
			e.number(f, int64(v.SpecID))
		case idContent:
			e.number(f, int64(v.Content))
		case idListSequence:
			e.number(f, v.SequenceNumber)
		case idMinSequence:
			e.number(f, v.MinSequenceNumber)
		case idAddedSnapshot:
			e.number(f, v.AddedSnapshotID)
		case idAddedFiles:
			e.number(f, int64(v.AddedFiles))
		case idExistingFiles:
			e.number(f, int64(v.ExistingFiles))
		case idDeletedFiles:
			e.number(f, int64(v.DeletedFiles))
		case idAddedRows:
			e.number(f, v.AddedRows)
		case idExistingRows:
			e.number(f, v.ExistingRows)
		case idDeletedRows:
			e.number(f, v.DeletedRows)
		case idPartitions:
			e.summaries(f, v.Partitions)
		case idKeyMetadata:
			e.optionalBytes(f, v.KeyMetadata)
		default:
			e.present(f, false)
		}
	}
}

// summaries writes nil as null, and no fields as an empty array: an unpartitioned manifest knows that it is one.
func (e *encoder) summaries(l *layout, list []FieldSummary) {
	if !e.present(l, list != nil) {
		return
	}
	if len(list) > 0 {
		e.varint(int64(len(list)))
		for i := range list {
			e.summary(l.items, &list[i])
		}
	}
	e.varint(0)
}

func (e *encoder) summary(l *layout, v *FieldSummary) {
	for _, f := range l.fields {
		switch f.id {
		case idContainsNull:
			e.boolean(v.ContainsNull)
		case idContainsNaN:
			if e.present(f, v.ContainsNaN != nil) {
				e.boolean(*v.ContainsNaN)
			}
		case idLowerBound:
			e.optionalBytes(f, v.Lower)
		case idUpperBound:
			e.optionalBytes(f, v.Upper)
		default:
			e.present(f, false)
		}
	}
}

// ReadList returns the entries of a manifest list. The result shares memory with data.
func ReadList(data []byte) ([]ListEntry, error) {
	entries, err := readList(data)
	if err != nil {
		return nil, fmt.Errorf("read manifest list: %w", err)
	}
	return entries, nil
}

func readList(data []byte) ([]ListEntry, error) {
	c, err := openContainer(data)
	if err != nil {
		return nil, err
	}
	var entries []ListEntry
	err = c.eachEntry(func(e ListEntry) { entries = append(entries, e) }, func(block, int) {})
	return entries, err
}

func (d *decoder) listEntry(l *layout, v *ListEntry) {
	for _, f := range l.fields {
		if !d.present(f) {
			continue
		}
		switch f.id {
		case idManifestPath:
			v.Path = string(d.bytes(f))
		case idManifestLength:
			v.Length = d.number(f)
		case idSpec:
			v.SpecID = d.id(f)
		case idContent:
			v.Content = Content(d.id(f))
		case idListSequence:
			v.SequenceNumber = d.number(f)
		case idMinSequence:
			v.MinSequenceNumber = d.number(f)
		case idAddedSnapshot:
			v.AddedSnapshotID = d.number(f)
		case idAddedFiles:
			v.AddedFiles = d.id(f)
		case idExistingFiles:
			v.ExistingFiles = d.id(f)
		case idDeletedFiles:
			v.DeletedFiles = d.id(f)
		case idAddedRows:
			v.AddedRows = d.number(f)
		case idExistingRows:
			v.ExistingRows = d.number(f)
		case idDeletedRows:
			v.DeletedRows = d.number(f)
		case idPartitions:
			v.Partitions = []FieldSummary{}
			d.each(f, func(item *layout) { v.Partitions = append(v.Partitions, d.summary(item)) })
		case idKeyMetadata:
			v.KeyMetadata = d.bytes(f)
		default:
			d.skip(f)
		}
	}
}

func (d *decoder) summary(l *layout) FieldSummary {
	var v FieldSummary
	for _, f := range l.fields {
		if !d.present(f) {
			continue
		}
		switch f.id {
		case idContainsNull:
			v.ContainsNull = d.boolean(f)
		case idContainsNaN:
			nan := d.boolean(f)
			v.ContainsNaN = &nan
		case idLowerBound:
			v.Lower = d.bytes(f)
		case idUpperBound:
			v.Upper = d.bytes(f)
		default:
			d.skip(f)
		}
	}
	return v
}
