package iceberg

import "fmt"

// Ref is a named pointer to a snapshot (spec: "Snapshot References").
type Ref struct {
	SnapshotID int64
	Type       string // RefBranch or RefTag

	extra extras // the retention of the ref
}

// The types of a ref.
const (
	RefBranch = "branch"
	RefTag    = "tag"
)

// MarshalJSON writes the ref as table metadata holds it.
func (r Ref) MarshalJSON() ([]byte, error) { return r.appendJSON(nil), nil }

// UnmarshalJSON reads a ref.
func (r *Ref) UnmarshalJSON(b []byte) error {
	got, err := parseRef(string(b))
	if err == nil {
		*r = got
	}
	return err
}

// Retention is what a branch's owner set for its snapshots; nil: nothing.
type Retention struct{ MinSnapshotsToKeep, MaxSnapshotAgeMs *int64 }

// Retention returns the ref's own settings, which come before the table's.
func (r Ref) Retention() (Retention, error) {
	var set Retention
	if r.extra == "" {
		return set, nil
	}
	_, err := eachMember("{"+string(r.extra)+"}", func(key, v string) error {
		to := map[string]**int64{"min-snapshots-to-keep": &set.MinSnapshotsToKeep, "max-snapshot-age-ms": &set.MaxSnapshotAgeMs}[key]
		if to == nil || v == "null" {
			return nil
		}
		n, err := asInt64(v)
		*to = &n
		return err
	})
	if err != nil {
		return Retention{}, fmt.Errorf("read the retention of a ref: %w", err)
	}
	return set, nil
}

func (r Ref) appendJSON(dst []byte) []byte {
	dst = appendInt(dst, `{"snapshot-id":`, r.SnapshotID)
	dst = appendString(append(dst, `,"type":`...), r.Type)
	return r.extra.appendTo(dst)
}

func parseRef(doc string) (Ref, error) {
	var r Ref
	extra, err := eachMember(doc, func(key, v string) (err error) {
		switch key {
		case "snapshot-id":
			r.SnapshotID, err = asInt64(v)
		case "type":
			r.Type, err = asString(v)
		default:
			return errCarry
		}
		return err
	})
	r.extra = extra
	if err == nil && r.Type != RefBranch && r.Type != RefTag {
		err = fmt.Errorf("type is %q, want branch or tag", r.Type)
	}
	return r, err
}
