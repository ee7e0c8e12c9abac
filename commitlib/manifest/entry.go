package manifest

import (
	"errors"
	"fmt"

	"firn/commitlib/iceberg"
)

// Status says what a snapshot did with a file.
type Status int32

// The statuses of an entry.
const (
	Existing Status = 0 // in the table since an earlier snapshot
	Added    Status = 1
	Deleted  Status = 2
)

// Entry is a manifest's record of one file (spec: "Manifests", manifest_entry).
type Entry struct {
	Status Status

	// SnapshotID is the snapshot that added the file, or deleted it. nil is inherited from the manifest's ListEntry.
	SnapshotID *int64

	// SequenceNumber is the data's, FileSequenceNumber the file's. nil is inherited from the manifest's
	// ListEntry, which only Added entries may.
	SequenceNumber     *int64
	FileSequenceNumber *int64

	File iceberg.DataFile
}

// Add is the entry of a file that the snapshot to come adds, with everything inherited.
func Add(f iceberg.DataFile) Entry { return Entry{Status: Added, File: f} }

// check says why an entry cannot stand in a data manifest over a spec of that many fields.
func (e *Entry) check(fields int) error {
	switch {
	case e.Status < Existing || e.Status > Deleted:
		return fmt.Errorf("status %d is none of existing, added and deleted", e.Status)
	case e.Status != Added && (e.SequenceNumber == nil || e.FileSequenceNumber == nil):
		return errors.New("only an added entry may inherit its sequence numbers")
	case e.Status == Existing && e.SnapshotID == nil:
		return errors.New("an existing entry must name the snapshot that added it")
	case e.File.Content != iceberg.ContentData:
		return errors.New("a data manifest cannot hold a delete file")
	case e.File.Path == "":
		return errors.New("it has no path")
	case e.File.RecordCount < 0 || e.File.FileSizeInBytes <= 0:
		return fmt.Errorf("it has %d records in %d bytes", e.File.RecordCount, e.File.FileSizeInBytes)
	case len(e.File.Partition) != fields:
		return fmt.Errorf("it has %d partition values, the spec has %d fields", len(e.File.Partition), fields)
	}
	return nil
}

// Ids of the fields of manifest_entry, data_file and their parts.
const (
	idStatus          = 0
	idSnapshot        = 1
	idDataFile        = 2
	idSequence        = 3
	idFileSequence    = 4
	idFilePath        = 100
	idFileFormat      = 101
	idPartition       = 102
	idRecordCount     = 103
	idFileSize        = 104
	idColumnSizes     = 108
	idValueCounts     = 109
	idNullValueCounts = 110
	idLowerBounds     = 125
	idUpperBounds     = 128
	idFileKeyMetadata = 131
	idSplitOffsets    = 132
	idFileContent     = 134
	idEqualityIDs     = 135
	idNaNValueCounts  = 137
	idSortOrder       = 140
	formatParquet     = "PARQUET"
)
