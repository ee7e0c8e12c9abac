package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"firn/commitlib/iceberg"
)

// Keys of a manifest's header.
const (
	keyTableSchema   = "schema"
	keySchemaID      = "schema-id"
	keySpec          = "partition-spec"
	keySpecID        = "partition-spec-id"
	keyFormatVersion = "format-version"
	keyContent       = "content"
)

// Write returns a data manifest of format version 2 over the schema and spec that the files were written with. Added
// entries should inherit (see Add); Existing and Deleted ones carry their numbers, as merging needs.
func Write(schema *iceberg.Schema, spec iceberg.PartitionSpec, entries []Entry) ([]byte, error) {
	w, err := writeLayout(schema, spec)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	data, err := w.write(schema, spec, entries)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w", err)
	}
	return data, nil
}

func (w written) write(schema *iceberg.Schema, spec iceberg.PartitionSpec, entries []Entry) ([]byte, error) {
	p, err := w.packer(schema, spec)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if err := w.pack(p, &entries[i], len(spec.Fields)); err != nil {
			return nil, fmt.Errorf("entry %d, file %q: %w", i, entries[i].File.Path, err)
		}
	}
	return p.finish(nil)
}

// packer returns one for a data manifest that has no entries yet.
func (w written) packer(schema *iceberg.Schema, spec iceberg.PartitionSpec) (*packer, error) {
	schemaJSON, err := schema.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return &packer{meta: []string{
		keySchema, w.text,
		keyCodec, codecDeflate,
		keyTableSchema, string(schemaJSON),
		keySchemaID, strconv.Itoa(schema.ID),
		keySpec, string(spec.FieldsJSON()),
		keySpecID, strconv.Itoa(spec.ID),
		keyFormatVersion, strconv.Itoa(iceberg.FormatVersion),
		keyContent, contentData,
	}}, nil
}

func (w written) pack(p *packer, e *Entry, fields int) error {
	if err := e.check(fields); err != nil {
		return err
	}
	p.open.entry(w.layout, e)
	return p.record()
}

func (e *encoder) entry(l *layout, v *Entry) {
	for _, f := range l.fields {
		switch f.id {
		case idStatus:
			e.number(f, int64(v.Status))
		case idSnapshot:
			e.optionalNumber(f, v.SnapshotID)
		case idSequence:
			e.optionalNumber(f, v.SequenceNumber)
		case idFileSequence:
			e.optionalNumber(f, v.FileSequenceNumber)
		case idDataFile:
			e.dataFile(f, &v.File)
		default:
			e.present(f, false)
		}
	}
}

func (e *encoder) dataFile(l *layout, v *iceberg.DataFile) {
	for _, f := range l.fields {
		switch f.id {
		case idFileContent:
			e.number(f, int64(v.Content))
		case idFilePath:
			e.text(f, v.Path)
		case idFileFormat:
			format := v.Format
			if format == "" {
				format = formatParquet
			}
			e.text(f, format)
		case idPartition:
			for i, field := range f.fields { // in the spec's order: entrySchemaFor made them so
				e.partitionValue(field, v.Partition[i])
			}
		case idRecordCount:
			e.number(f, v.RecordCount)
		case idFileSize:
			e.number(f, v.FileSizeInBytes)
		case idColumnSizes:
			e.counts(f, v.ColumnSizes)
		case idValueCounts:
			e.counts(f, v.ValueCounts)
		case idNullValueCounts:
			e.counts(f, v.NullValueCounts)
		case idNaNValueCounts:
			e.counts(f, v.NaNValueCounts)
		case idLowerBounds:
			e.bounds(f, v.LowerBounds)
		case idUpperBounds:
			e.bounds(f, v.UpperBounds)
		case idFileKeyMetadata:
			e.optionalBytes(f, v.KeyMetadata)
		case idSplitOffsets:
			e.array(f, len(v.SplitOffsets), func(i int) { e.number(f.items, v.SplitOffsets[i]) })
		case idEqualityIDs:
			e.array(f, len(v.EqualityIDs), func(i int) { e.number(f.items, int64(v.EqualityIDs[i])) })
		case idSortOrder:
			e.number(f, int64(v.SortOrderID))
		default:
			e.present(f, false)
		}
	}
}

// counts writes a map as the array of key and value records that Avro needs for keys that are no strings.
func (e *encoder) counts(l *layout, m map[int]int64) {
	e.sortKeys(maps.Keys(m))
	e.array(l, len(m), func(i int) {
		e.varint(int64(e.keys[i]))
		e.varint(m[e.keys[i]])
	})
}

func (e *encoder) bounds(l *layout, m map[int][]byte) {
	e.sortKeys(maps.Keys(m))
	e.array(l, len(m), func(i int) {
		v := m[e.keys[i]]
		e.varint(int64(e.keys[i]))
		e.varint(int64(len(v)))
		e.b = append(e.b, v...)
	})
}

func (e *encoder) sortKeys(keys func(func(int) bool)) {
	e.keys = slices.AppendSeq(e.keys[:0], keys)
	slices.Sort(e.keys)
}
