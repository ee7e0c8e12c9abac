package iceberg

// Snapshot is the state of a table at one time (spec: "Snapshots").
type Snapshot struct {
	ID             int64 // unique, positive
	ParentID       int64 // 0: none
	SequenceNumber int64
	TimestampMs    int64
	ManifestList   string            // location
	Summary        map[string]string // "operation" included
	SchemaID       int
}

// Operations of a snapshot's summary.
const (
	OpAppend    = "append"
	OpReplace   = "replace"
	OpOverwrite = "overwrite"
	OpDelete    = "delete"
)

// MainBranch is the ref that readers read by default.
const MainBranch = "main"
