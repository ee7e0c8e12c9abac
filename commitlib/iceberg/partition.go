package iceberg

// PartitionField derives one partition value from a column (spec: "Partitioning").
type PartitionField struct {
	SourceID  int    `json:"source-id"`
	FieldID   int    `json:"field-id"` // from 1000 up
	Name      string `json:"name"`
	Transform string `json:"transform"` // "identity", "hour", "day", "month", "year", "void", "bucket[16]", …
}

// PartitionSpec is one version of a table's hidden partitioning.
type PartitionSpec struct {
	ID     int              `json:"spec-id"`
	Fields []PartitionField `json:"fields"`
}

// FirstPartitionFieldID is the lowest id that the specification allows for a partition field.
const FirstPartitionFieldID = 1000

// SortField and SortOrder as in the spec's "Sorting".
type SortField struct {
	Transform string `json:"transform"`
	SourceID  int    `json:"source-id"`
	Direction string `json:"direction"`
	NullOrder string `json:"null-order"`
}

// SortOrder is one version of a table's declared order; id 0 is unsorted.
type SortOrder struct {
	ID     int         `json:"order-id"`
	Fields []SortField `json:"fields"`
}
