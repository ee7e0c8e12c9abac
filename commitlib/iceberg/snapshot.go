package iceberg

import (
	"fmt"
)

// Snapshot is the state of a table at one time (spec: "Snapshots"). It is immutable once it is part of a Metadata; a
// changed snapshot is a changed copy of the struct, which carries the members that Firn does not know.
type Snapshot struct {
	ID             int64 // unique, not 0
	ParentID       int64 // 0: none
	SequenceNumber int64
	TimestampMs    int64
	ManifestList   string            // location; "" where a format version 1 snapshot names its manifests inline
	Summary        map[string]string // "operation" included
	SchemaID       int               // NoSchemaID where its writer did not say

	extra extras
	// text is the snapshot's JSON, so that metadata of many snapshots is encoded by copying. It holds for the struct
	// at address textOf alone: a copy of the struct may be changed and is encoded anew.
	text   string
	textOf *Snapshot
}

// NoSchemaID is the SchemaID of a snapshot that names no schema.
const NoSchemaID = -1

// Operations of a snapshot's summary.
const (
	OpAppend    = "append"
	OpReplace   = "replace"
	OpOverwrite = "overwrite"
	OpDelete    = "delete"
)

// MainBranch is the ref that readers read by default.
const MainBranch = "main"

// MarshalJSON writes the snapshot as table metadata holds it.
func (s *Snapshot) MarshalJSON() ([]byte, error) { return s.appendJSON(nil), nil }

// UnmarshalJSON reads a snapshot.
func (s *Snapshot) UnmarshalJSON(b []byte) error {
	got, err := parseSnapshot(string(b))
	if err == nil {
		*s = *got
	}
	return err
}

// sealed returns a copy that carries its own JSON.
func (s *Snapshot) sealed() *Snapshot {
	c := *s
	c.text = string(s.appendJSON(nil))
	c.textOf = &c
	return &c
}

func (s *Snapshot) appendJSON(dst []byte) []byte {
	if s.textOf == s {
		return append(dst, s.text...)
	}
	dst = appendInt(dst, `{"snapshot-id":`, s.ID)
	if s.ParentID != 0 {
		dst = appendInt(dst, `,"parent-snapshot-id":`, s.ParentID)
	}
	dst = appendInt(dst, `,"sequence-number":`, s.SequenceNumber)
	dst = appendInt(dst, `,"timestamp-ms":`, s.TimestampMs)
	if s.ManifestList != "" {
		dst = appendString(append(dst, `,"manifest-list":`...), s.ManifestList)
	}
	if s.Summary != nil {
		dst = appendStringMap(append(dst, `,"summary":`...), s.Summary)
	}
	if s.SchemaID != NoSchemaID {
		dst = appendInt(dst, `,"schema-id":`, int64(s.SchemaID))
	}
	return s.extra.appendTo(dst)
}

func parseSnapshot(doc string) (*Snapshot, error) {
	s := &Snapshot{SchemaID: NoSchemaID}
	extra, err := eachMember(doc, func(key, v string) (err error) {
		switch key {
		case "snapshot-id":
			s.ID, err = asID(v)
		case "parent-snapshot-id":
			s.ParentID, err = asID(v)
		case "sequence-number":
			s.SequenceNumber, err = asInt64(v)
		case "timestamp-ms":
			s.TimestampMs, err = asInt64(v)
		case "manifest-list":
			s.ManifestList, err = asString(v)
		case "summary":
			if v != "null" {
				s.Summary, err = asStringMap(v)
			}
		case "schema-id":
			if v != "null" {
				s.SchemaID, err = asInt(v)
			}
		default:
			return errCarry
		}
		return err
	})
	s.extra = extra
	if err != nil {
		return nil, fmt.Errorf("read snapshot %d: %w", s.ID, err)
	}
	if s.ID == 0 {
		return nil, fmt.Errorf("read snapshot: it has no snapshot-id other than 0 and -1, which mean none")
	}
	s.text, s.textOf = doc, s
	return s, nil
}
