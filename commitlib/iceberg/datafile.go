package iceberg

// DataFile describes one data file as a manifest does (spec: "Manifests", data_file).
//
// Its JSON form travels in commit requests; maps are keyed by column id. Bounds and partition values are in the
// specification's single-value binary serialization (Appendix D), so that one form serves every type.
type DataFile struct {
	Path            string         `json:"path"`      // absolute location: a URI, or an absolute path for a local warehouse
	Partition       [][]byte       `json:"partition"` // one for each partition field in spec order; nil is null
	RecordCount     int64          `json:"records"`
	FileSizeInBytes int64          `json:"size"`
	ColumnSizes     map[int]int64  `json:"column_sizes,omitempty"` // compressed bytes in the file
	ValueCounts     map[int]int64  `json:"value_counts,omitempty"` // nulls included
	NullValueCounts map[int]int64  `json:"null_counts,omitempty"`
	LowerBounds     map[int][]byte `json:"lower,omitempty"`
	UpperBounds     map[int][]byte `json:"upper,omitempty"`
	SplitOffsets    []int64        `json:"split_offsets,omitempty"` // row group starts, ascending
	SortOrderID     int            `json:"sort_order,omitempty"`

	// What files of other engines may have besides; it is kept when their manifests are merged, and does not travel.
	Content        FileContent   `json:"-"`
	Format         string        `json:"-"` // "" is Parquet
	NaNValueCounts map[int]int64 `json:"-"`
	KeyMetadata    []byte        `json:"-"`
	EqualityIDs    []int         `json:"-"`
}

// FileContent says what the rows of a file are.
type FileContent int32

// The contents of a file.
const (
	ContentData            FileContent = 0
	ContentPositionDeletes FileContent = 1
	ContentEqualityDeletes FileContent = 2
)
