package manifest

import (
	"errors"
	"fmt"
	"strconv"

	"firn/commitlib/iceberg"
)

// Content says what the files of a manifest are.
type Content int32

// The contents of a manifest.
const (
	Data    Content = 0
	Deletes Content = 1
)

const (
	contentData    = "data"
	contentDeletes = "deletes"
)

// Header is what a manifest says of itself.
type Header struct {
	Schema        *iceberg.Schema
	Spec          iceberg.PartitionSpec
	FormatVersion int
	Content       Content
}

// Read returns a manifest's header and entries, deleted ones included, as they stand: see ListEntry.Inherit for what
// they leave to be inherited. Entries of format version 1 have sequence number 0. The result shares memory with data.
func Read(data []byte) (Header, []Entry, error) {
	h, entries, err := read(data)
	if err != nil {
		return Header{}, nil, fmt.Errorf("read manifest: %w", err)
	}
	return h, entries, nil
}

func read(data []byte) (Header, []Entry, error) {
	var entries []Entry
	h, err := each(data, func(e *Entry) error {
		entries = append(entries, *e)
		return nil
	})
	return h, entries, err
}

// each calls fn with each entry of a manifest. fn may keep what e holds, and not e.
func each(data []byte, fn func(e *Entry) error) (Header, error) {
	m, err := open(data)
	if err != nil {
		return m.header, err
	}
	err = m.each(m.layout, func(d *decoder) {
		e := m.next(d)
		if d.err == nil {
			if err := fn(&e); err != nil {
				d.fail(err)
			}
		}
	})
	return m.header, err
}

// opened is a manifest whose entries are yet to be read.
type opened struct {
	container
	header Header
	layout *layout
	places map[int]int // of a partition field's id in the spec
}

func open(data []byte) (m opened, err error) {
	if m.container, err = openContainer(data); err != nil {
		return m, err
	}
	if m.header, err = headerOf(m.meta); err != nil {
		return m, err
	}
	if m.layout, err = readLayout(m.meta[keySchema]); err != nil {
		return m, err
	}
	if file := m.layout.field(idDataFile); file == nil || file.field(idFilePath) == nil {
		return m, errors.New("its Avro schema lacks the field ids of a manifest entry; is it a manifest that Iceberg wrote?")
	}
	m.places = make(map[int]int, len(m.header.Spec.Fields))
	for i, f := range m.header.Spec.Fields {
		m.places[f.FieldID] = i
	}
	return m, nil
}

// next reads the entry that d is at.
func (m *opened) next(d *decoder) Entry {
	e := Entry{File: iceberg.DataFile{Partition: make([][]byte, len(m.header.Spec.Fields))}}
	d.entry(m.layout, &e, m.places)
	if d.err == nil && e.File.Path == "" {
		d.fail(errors.New("it has no file path"))
	}
	if m.header.FormatVersion == 1 {
		e.SequenceNumber, e.FileSequenceNumber = new(int64), new(int64)
	}
	return e
}

func headerOf(meta map[string]string) (h Header, err error) {
	number := func(key string, absent int) int {
		text, ok := meta[key]
		if !ok {
			return absent
		}
		n, bad := strconv.ParseInt(text, 10, 32)
		if bad != nil && err == nil {
			err = fmt.Errorf("its %s is %q, want a number", key, text)
		}
		return int(n)
	}
	h.FormatVersion = number(keyFormatVersion, 1)
	h.Spec.ID = number(keySpecID, 0)
	schemaID := number(keySchemaID, -1)
	if err != nil {
		return h, err
	}
	if h.FormatVersion < 1 || h.FormatVersion > 3 {
		return h, fmt.Errorf("%w: %d", iceberg.ErrFormatVersion, h.FormatVersion)
	}
	switch meta[keyContent] {
	case "", contentData:
	case contentDeletes:
		h.Content = Deletes
	default:
		return h, fmt.Errorf("its content is %q, want data or deletes", meta[keyContent])
	}
	if h.Spec.Fields, err = iceberg.ParsePartitionFields([]byte(meta[keySpec])); err != nil {
		return h, fmt.Errorf("its partition-spec: %w", err)
	}
	if h.Schema, err = iceberg.ParseSchema([]byte(meta[keyTableSchema])); err != nil {
		return h, err
	}
	if schemaID >= 0 {
		h.Schema.ID = schemaID
	}
	return h, nil
}

func (d *decoder) entry(l *layout, v *Entry, places map[int]int) {
	for _, f := range l.fields {
		if !d.present(f) {
			continue
		}
		switch f.id {
		case idStatus:
			v.Status = Status(d.id(f))
			if v.Status < Existing || v.Status > Deleted {
				d.fail(fmt.Errorf("status %d is none of existing, added and deleted", v.Status))
			}
		case idSnapshot:
			v.SnapshotID = d.numberPointer(f)
		case idSequence:
			v.SequenceNumber = d.numberPointer(f)
		case idFileSequence:
			v.FileSequenceNumber = d.numberPointer(f)
		case idDataFile:
			d.dataFile(f, &v.File, places)
		default:
			d.skip(f)
		}
	}
}

func (d *decoder) dataFile(l *layout, v *iceberg.DataFile, places map[int]int) {
	for _, f := range l.fields {
		if !d.present(f) {
			continue
		}
		switch f.id {
		case idFileContent:
			v.Content = iceberg.FileContent(d.id(f))
		case idFilePath:
			v.Path = string(d.bytes(f))
		case idFileFormat:
			v.Format = string(d.bytes(f))
			if v.Format == formatParquet {
				v.Format = ""
			}
		case idPartition:
			d.partition(f, v.Partition, places)
		case idRecordCount:
			v.RecordCount = d.number(f)
		case idFileSize:
			v.FileSizeInBytes = d.number(f)
		case idColumnSizes:
			v.ColumnSizes = d.counts(f)
		case idValueCounts:
			v.ValueCounts = d.counts(f)
		case idNullValueCounts:
			v.NullValueCounts = d.counts(f)
		case idNaNValueCounts:
			v.NaNValueCounts = d.counts(f)
		case idLowerBounds:
			v.LowerBounds = d.bounds(f)
		case idUpperBounds:
			v.UpperBounds = d.bounds(f)
		case idFileKeyMetadata:
			v.KeyMetadata = d.bytes(f)
		case idSplitOffsets:
			d.each(f, func(item *layout) { v.SplitOffsets = append(v.SplitOffsets, d.number(item)) })
		case idEqualityIDs:
			d.each(f, func(item *layout) { v.EqualityIDs = append(v.EqualityIDs, d.id(item)) })
		case idSortOrder:
			v.SortOrderID = d.id(f)
		default:
			d.skip(f)
		}
	}
}

func (d *decoder) partition(l *layout, values [][]byte, places map[int]int) {
	for _, f := range l.fields {
		if !d.present(f) {
			continue
		}
		if i, ok := places[f.id]; ok {
			values[i] = d.partitionValue(f)
		} else {
			d.skip(f)
		}
	}
}

// counts returns nil for an empty map, as for none: what is written from it is the same.
func (d *decoder) counts(l *layout) map[int]int64 {
	var m map[int]int64
	d.pairs(l, func(key int, value *layout) {
		if m == nil {
			m = map[int]int64{}
		}
		m[key] = d.number(value)
	})
	return m
}

// bounds is counts for bytes.
func (d *decoder) bounds(l *layout) map[int][]byte {
	var m map[int][]byte
	d.pairs(l, func(key int, value *layout) {
		if m == nil {
			m = map[int][]byte{}
		}
		m[key] = d.bytes(value)
	})
	return m
}

// pairs reads a map whose keys are column ids. A null value is left out.
func (d *decoder) pairs(l *layout, fn func(key int, value *layout)) {
	d.each(l, func(item *layout) {
		if len(item.fields) != 2 || item.fields[0].optional || item.fields[0].wrapped {
			d.fail(fmt.Errorf("field %d is no map of keys and values", l.id))
			return
		}
		key := d.id(item.fields[0])
		if value := item.fields[1]; d.present(value) {
			fn(key, value)
		}
	})
}
