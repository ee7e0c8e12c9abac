package iceberg

import "fmt"

// Encode writes the metadata as a metadata file holds it. Equal metadata gives equal bytes. Its cost is mostly that of
// copying the snapshots' text. Format version 3 is written as it was read; version 1 is not written.
func (m *Metadata) Encode() ([]byte, error) {
	if m.FormatVersion < FormatVersion {
		return nil, fmt.Errorf("encode table metadata: %w: it has version %d; upgrade the table to format version 2 with the engine that made it",
			ErrFormatVersion, m.FormatVersion)
	}
	// Bytes: what all but the snapshots, logs and properties takes, more or less, and what an entry of the log takes at most.
	// A guess that is too small costs a copy of the whole.
	const fixed, perLogEntry = 8 << 10, 72
	size := fixed + len(m.extra) + perLogEntry*len(m.SnapshotLog)
	for _, e := range m.MetadataLog {
		size += len(e.MetadataFile) + perLogEntry
	}
	for _, s := range m.Snapshots {
		size += len(s.text) + 1
	}
	for k, v := range m.Properties {
		size += len(k) + len(v) + 8
	}
	return m.appendJSON(make([]byte, 0, size)), nil
}

// MarshalJSON is Encode.
func (m *Metadata) MarshalJSON() ([]byte, error) { return m.Encode() }

func (m *Metadata) appendJSON(dst []byte) []byte {
	dst = appendInt(dst, `{"format-version":`, int64(m.FormatVersion))
	dst = appendString(append(dst, `,"table-uuid":`...), m.TableUUID.String())
	dst = appendString(append(dst, `,"location":`...), m.Location)
	dst = appendInt(dst, `,"last-sequence-number":`, m.LastSequenceNumber)
	dst = appendInt(dst, `,"last-updated-ms":`, m.LastUpdatedMs)
	dst = appendInt(dst, `,"last-column-id":`, int64(m.LastColumnID))
	dst = appendArray(append(dst, `,"schemas":`...), m.Schemas, func(dst []byte, s *Schema) []byte { return s.appendJSON(dst) })
	dst = appendInt(dst, `,"current-schema-id":`, int64(m.CurrentSchemaID))
	dst = appendArray(append(dst, `,"partition-specs":`...), m.Specs, func(dst []byte, s PartitionSpec) []byte { return s.appendJSON(dst) })
	dst = appendInt(dst, `,"default-spec-id":`, int64(m.DefaultSpecID))
	dst = appendInt(dst, `,"last-partition-id":`, int64(m.LastPartitionID))
	dst = appendArray(append(dst, `,"sort-orders":`...), m.SortOrders, func(dst []byte, o SortOrder) []byte { return o.appendJSON(dst) })
	dst = appendInt(dst, `,"default-sort-order-id":`, int64(m.DefaultSortOrderID))
	dst = appendStringMap(append(dst, `,"properties":`...), m.Properties)
	if m.CurrentSnapshotID != 0 {
		dst = appendInt(dst, `,"current-snapshot-id":`, m.CurrentSnapshotID)
	} else {
		dst = append(dst, `,"current-snapshot-id":null`...)
	}
	dst = append(dst, `,"refs":{`...)
	for i, name := range sortedKeys(m.Refs) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, name), ':')
		dst = m.Refs[name].appendJSON(dst)
	}
	dst = appendArray(append(dst, `},"snapshots":`...), m.Snapshots, func(dst []byte, s *Snapshot) []byte { return s.appendJSON(dst) })
	dst = appendArray(append(dst, `,"snapshot-log":`...), m.SnapshotLog, func(dst []byte, e SnapshotLogEntry) []byte {
		dst = appendInt(dst, `{"timestamp-ms":`, e.TimestampMs)
		return append(appendInt(dst, `,"snapshot-id":`, e.SnapshotID), '}')
	})
	dst = appendArray(append(dst, `,"metadata-log":`...), m.MetadataLog, func(dst []byte, e MetadataLogEntry) []byte {
		dst = appendInt(dst, `{"timestamp-ms":`, e.TimestampMs)
		return append(appendString(append(dst, `,"metadata-file":`...), e.MetadataFile), '}')
	})
	return m.extra.appendTo(dst)
}
