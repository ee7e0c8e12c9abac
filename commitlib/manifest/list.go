package manifest

import (
	"errors"
	"fmt"
)

// Unassigned stands for a sequence number that the snapshot to come will have.
const Unassigned = -1

// Unknown stands for a count that the list of a format version 1 table leaves out.
const Unknown = -1

// ListEntry is a manifest list's record of one manifest (spec: "Manifest Lists", manifest_file).
type ListEntry struct {
	Path    string // absolute location
	Length  int64  // bytes
	SpecID  int
	Content Content

	SequenceNumber    int64 // of the snapshot that added the manifest; Unassigned in a fresh one
	MinSequenceNumber int64 // the least data sequence number of its live entries; Unassigned in a fresh one
	AddedSnapshotID   int64 // 0 in a fresh one

	AddedFiles, ExistingFiles, DeletedFiles int   // Unknown where an old writer did not say
	AddedRows, ExistingRows, DeletedRows    int64 // likewise

	Partitions  []FieldSummary // one for each partition field; nil where an old writer did not say
	KeyMetadata []byte
}

// FieldSummary is the range of one partition field over a manifest (spec: field_summary).
type FieldSummary struct {
	ContainsNull bool
	ContainsNaN  *bool  // nil where the writer did not say
	Lower, Upper []byte // single values; nil where all are null, or NaN
}

// Read reads the manifest that l describes, checks that it is that one and whole, and fills in what its entries
// inherit. A manifest that was cut between two blocks is well-formed Avro; only its length and counts tell.
func (l *ListEntry) Read(data []byte) (Header, []Entry, error) {
	if int64(len(data)) != l.Length {
		return Header{}, nil, fmt.Errorf("read manifest %s: it has %d bytes, its manifest list says %d", l.Path, len(data), l.Length)
	}
	h, entries, err := read(data)
	if err == nil {
		err = l.matches(h, entries)
	}
	if err == nil {
		err = l.Inherit(entries)
	}
	if err != nil {
		return Header{}, nil, fmt.Errorf("read manifest %s: %w", l.Path, err)
	}
	return h, entries, nil
}

func (l *ListEntry) matches(h Header, entries []Entry) error {
	if err := l.headedAs(h); err != nil {
		return err
	}
	var has ListEntry
	for i := range entries {
		has.count(&entries[i])
	}
	return has.countsAs(l)
}

func (l *ListEntry) headedAs(h Header) error {
	if h.Spec.ID != l.SpecID || h.Content != l.Content {
		return fmt.Errorf("it has partition spec %d and content %d, its manifest list says %d and %d", h.Spec.ID, h.Content, l.SpecID, l.Content)
	}
	return nil
}

// countsAs compares the files that were counted with those that the manifest list states.
func (l *ListEntry) countsAs(listed *ListEntry) error {
	differs := func(name string, has, want int) error {
		if want == Unknown || has == want {
			return nil
		}
		return fmt.Errorf("it has %d %s, its manifest list says %d", has, name, want)
	}
	return errors.Join(
		differs("added files", l.AddedFiles, listed.AddedFiles),
		differs("existing files", l.ExistingFiles, listed.ExistingFiles),
		differs("deleted files", l.DeletedFiles, listed.DeletedFiles),
	)
}

// Inherit fills in what entries of this manifest left to be inherited (spec: "Sequence
// Number Inheritance"). It writes to entries.
func (l *ListEntry) Inherit(entries []Entry) error {
	for i := range entries {
		e := &entries[i]
		if e.SnapshotID == nil {
			id := l.AddedSnapshotID
			e.SnapshotID = &id
		}
		if e.SequenceNumber != nil && e.FileSequenceNumber != nil {
			continue
		}
		// Writers before file sequence numbers existed leave that one out in any entry; the data's is the nearest.
		if e.SequenceNumber == nil {
			if e.Status != Added && l.SequenceNumber != 0 {
				return fmt.Errorf("inherit into %s: entry %d is not an added one and has no sequence number", l.Path, i)
			}
			n := l.SequenceNumber
			e.SequenceNumber = &n
		}
		if e.FileSequenceNumber == nil {
			n := *e.SequenceNumber
			if e.Status == Added {
				n = l.SequenceNumber
			}
			e.FileSequenceNumber = &n
		}
	}
	return nil
}

// Ids of the fields of manifest_file and field_summary.
const (
	idManifestPath   = 500
	idManifestLength = 501
	idSpec           = 502
	idAddedSnapshot  = 503
	idAddedFiles     = 504
	idExistingFiles  = 505
	idDeletedFiles   = 506
	idPartitions     = 507
	idContainsNull   = 509
	idLowerBound     = 510
	idUpperBound     = 511
	idAddedRows      = 512
	idExistingRows   = 513
	idDeletedRows    = 514
	idListSequence   = 515
	idMinSequence    = 516
	idContent        = 517
	idContainsNaN    = 518
	idKeyMetadata    = 519
)

// WriteList returns the manifest list of a snapshot. Entries with Unassigned numbers and without
// AddedSnapshotID take the snapshot's; entries itself is not changed. Put fresh entries first: readers that look for late
// files stop early then. Its cost is linear in len(entries): two microseconds for each, most of them compression. A
// commit that appends to a list uses List.Extend instead.
func WriteList(entries []ListEntry, snapshotID, parentID, sequence int64) ([]byte, error) {
	_, data, err := new(List).Extend(entries, snapshotID, parentID, sequence)
	return data, err
}

// check says why an entry cannot stand in the list of a snapshot with that sequence number.
func (l *ListEntry) check(sequence int64) error {
	switch {
	case l.Path == "" || l.Length <= 0:
		return errors.New("it has no path or length")
	case l.Content != Data && l.Content != Deletes:
		return fmt.Errorf("content %d is neither data nor deletes", l.Content)
	case l.SequenceNumber > sequence || l.MinSequenceNumber > l.SequenceNumber:
		return fmt.Errorf("its sequence numbers %d (least %d) do not fit the snapshot's, %d", l.SequenceNumber, l.MinSequenceNumber, sequence)
	case l.AddedFiles < 0 || l.ExistingFiles < 0 || l.DeletedFiles < 0 || l.AddedRows < 0 || l.ExistingRows < 0 || l.DeletedRows < 0:
		return errors.New("format version 2 demands its counts, which its writer left out; rewrite the table's manifests with the engine that made it")
	}
	return nil
}
