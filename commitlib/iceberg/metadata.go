package iceberg

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// FormatVersion is the version of the table format that Firn writes. Versions 1 and 3 are read.
const FormatVersion = 2

// SnapshotLogEntry says when a snapshot became the head of main.
type SnapshotLogEntry struct {
	TimestampMs int64
	SnapshotID  int64
}

// MetadataLogEntry names an earlier metadata file of the table.
type MetadataLogEntry struct {
	TimestampMs  int64
	MetadataFile string
}

// Metadata is a table's metadata (spec: "Table Metadata"). It is immutable once parsed or built: change it by the
// methods that return a copy. Members that this struct does not name are carried in extra.
type Metadata struct {
	FormatVersion      int
	TableUUID          uuid.UUID // zero where a format version 1 table has none
	Location           string    // absolute, without a trailing slash
	LastSequenceNumber int64
	LastUpdatedMs      int64
	LastColumnID       int
	Schemas            []*Schema
	CurrentSchemaID    int
	Specs              []PartitionSpec
	DefaultSpecID      int
	LastPartitionID    int
	Properties         map[string]string
	CurrentSnapshotID  int64 // head of main; 0: the table has no snapshot
	Snapshots          []*Snapshot
	SnapshotLog        []SnapshotLogEntry
	MetadataLog        []MetadataLogEntry
	SortOrders         []SortOrder
	DefaultSortOrderID int
	Refs               map[string]Ref

	extra extras
}

// NewMetadata is the metadata of a new table, with an empty main. Schema and spec are taken with the ids that they
// have.
func NewMetadata(id uuid.UUID, location string, schema *Schema, spec PartitionSpec, props map[string]string, now time.Time) *Metadata {
	m := &Metadata{
		FormatVersion:   FormatVersion,
		TableUUID:       id,
		Location:        trimLocation(location),
		LastUpdatedMs:   now.UnixMilli(),
		LastColumnID:    schema.highestID(),
		Schemas:         []*Schema{schema},
		CurrentSchemaID: schema.ID,
		Specs:           []PartitionSpec{spec},
		DefaultSpecID:   spec.ID,
		LastPartitionID: spec.lastFieldID(),
		Properties:      maps.Clone(props),
		SortOrders:      []SortOrder{{Fields: []SortField{}}},
		Refs:            map[string]Ref{},
	}
	if m.Properties == nil {
		m.Properties = map[string]string{}
	}
	return m
}

// Schema returns the schema with that id, or nil.
func (m *Metadata) Schema(id int) *Schema {
	for _, s := range m.Schemas {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// CurrentSchema returns the schema that writers use. Parsed metadata always has one.
func (m *Metadata) CurrentSchema() *Schema { return m.Schema(m.CurrentSchemaID) }

// Spec returns the partition spec with that id.
func (m *Metadata) Spec(id int) (PartitionSpec, bool) {
	for _, s := range m.Specs {
		if s.ID == id {
			return s, true
		}
	}
	return PartitionSpec{}, false
}

// DefaultSpec returns the partition spec that writers use. Parsed metadata always has one.
func (m *Metadata) DefaultSpec() PartitionSpec {
	s, _ := m.Spec(m.DefaultSpecID)
	return s
}

// PartitionTypes returns the types of the values of a partition spec; nil where the spec, the current schema, or what
// Firn knows of transforms does not tell.
func (m *Metadata) PartitionTypes(specID int) []Type {
	spec, ok := m.Spec(specID)
	if !ok {
		return nil
	}
	types := make([]Type, len(spec.Fields))
	for i, f := range spec.Fields {
		column, ok := m.CurrentSchema().FieldByID(f.SourceID)
		if !ok {
			return nil
		}
		var err error
		if types[i], err = ResultType(f.Transform, column.Type); err != nil {
			return nil
		}
	}
	return types
}

// Snapshot returns the snapshot with that id, or nil. It looks from the newest back: callers mostly want a late one.
func (m *Metadata) Snapshot(id int64) *Snapshot {
	for _, s := range slices.Backward(m.Snapshots) {
		if s.ID == id {
			return s
		}
	}
	return nil
}

// CurrentSnapshot returns the head of main, or nil where the table has no snapshot.
func (m *Metadata) CurrentSnapshot() *Snapshot {
	if m.CurrentSnapshotID == 0 {
		return nil
	}
	return m.Snapshot(m.CurrentSnapshotID)
}

// NextTimeMs is the time to give to a change of m: now, but never at or before m's own, since readers refuse metadata
// whose times step back by more than a minute.
func (m *Metadata) NextTimeMs(now time.Time) int64 { return max(now.UnixMilli(), m.LastUpdatedMs+1) }

// trimLocation drops trailing slashes, but not those that end a scheme's authority ("file:///").
func trimLocation(location string) string {
	trimmed := strings.TrimRight(location, "/")
	if trimmed == "" || strings.HasSuffix(trimmed, ":") {
		return location
	}
	return trimmed
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
