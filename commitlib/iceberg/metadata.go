package iceberg

import (
	"encoding/json"

	"github.com/google/uuid"
)

// Ref is a named pointer to a snapshot (spec: "Snapshot References").
type Ref struct {
	SnapshotID int64
	Type       string // "branch" or "tag"
	extra      map[string]json.RawMessage
}

// SnapshotLogEntry says when a snapshot became the head of main.
type SnapshotLogEntry struct {
	TimestampMs int64 `json:"timestamp-ms"`
	SnapshotID  int64 `json:"snapshot-id"`
}

// MetadataLogEntry names an earlier metadata file of the table.
type MetadataLogEntry struct {
	TimestampMs  int64  `json:"timestamp-ms"`
	MetadataFile string `json:"metadata-file"`
}

// Metadata is a table's metadata (spec: "Table Metadata"). It is immutable once parsed or built: change it by the
// methods that return a copy. Members that this struct does not name are carried in extra.
type Metadata struct {
	FormatVersion      int
	TableUUID          uuid.UUID
	Location           string // absolute, without a trailing slash
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

	extra map[string]json.RawMessage
}
