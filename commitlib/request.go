package commitlib

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Seq is the dense number of an event in (log, table); the first is 1, and 0 means "none yet".
type Seq uint64

// Protocol is the version that Request.Version and the table's marker property carry.
const Protocol = 1

// Bounds of one request.
const (
	// MaxRequestBytes bounds an encoded request: what 20,000 files with statistics of seven columns take, and
	// little enough that a batch of ten fits a 256 MB function.
	MaxRequestBytes = 16 << 20

	// MaxRequestFiles bounds the data files of one request: more than two years of hours in one segment.
	MaxRequestFiles = 20_000
)

// MaxStagedAge is how old a request may be and still be applied: staged files of a log whose watermark
// passed them may be removed as orphans, and a sleeping request must not bring them back. The sender
// stages again (or verifies) and re-sends.
const MaxStagedAge = 24 * time.Hour

// Request asks that one segment's staged data files become part of a table: PROTOCOL.md, "State".
// It is immutable once sent; a queue may deliver it late, twice, out of order, or never.
type Request struct {
	Version   int
	Table     catalog.Ident
	TableUUID uuid.UUID
	Location  string    // the table's root as its sender knows it; every file lies under it
	Log       uuid.UUID // version 7: logs are ordered by their ids
	First     Seq       // first and last sequence of the segment, both inclusive
	Last      Seq

	// The ids that the files were written with, and the fingerprints of what they meant then: an id alone
	// proves nothing on a table that was replaced. See SchemaHash and SpecHash.
	SchemaID   int
	SchemaHash string
	SpecID     int
	SpecHash   string

	StagedAt time.Time // when the files were last known to be in the store; millisecond precision
	Files    []iceberg.DataFile
}

// Group returns the message group of the request's table: requests of one table are handled in order.
func (r *Request) Group() string { return r.Table.String() }

// Validate checks all that can be checked without the table, and joins every violation.
func (r *Request) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if r.Version != Protocol {
		bad("request version %d is not %d, the one this build speaks: update the committer before the daemons", r.Version, Protocol)
	}
	if err := catalog.CheckIdent(r.Table); err != nil {
		errs = append(errs, err)
	}
	if r.TableUUID == uuid.Nil {
		bad("table UUID is nil")
	}
	if r.Log.Version() != 7 {
		bad("log id %s is not a version 7 UUID", r.Log)
	}
	if r.First < 1 || r.Last < r.First || r.Last > math.MaxInt64 {
		bad("range [%d, %d] is not one: want 1 <= first <= last <= 2^63-1", r.First, r.Last)
	}
	if r.SchemaID < 0 || r.SpecID < 0 || r.SchemaHash == "" || r.SpecHash == "" {
		bad("schema %d (%q) or spec %d (%q) is not named", r.SchemaID, r.SchemaHash, r.SpecID, r.SpecHash)
	}
	if ms := r.StagedAt.UnixMilli(); ms <= 0 || ms > maxStagedMs {
		bad("staging time %s is not one", r.StagedAt)
	}
	if !validLocation(r.Location) {
		bad("table location %q is not absolute and clean", r.Location)
	}
	errs = append(errs, r.validateFiles()...)
	return errors.Join(errs...)
}

// maxStagedMs keeps a staging time within what RFC 3339 and int64 arithmetic take: the year 9999.
const maxStagedMs = 253402300799999

func (r *Request) validateFiles() (errs []error) {
	if len(r.Files) == 0 || len(r.Files) > MaxRequestFiles {
		return []error{fmt.Errorf("request has %d files: want 1 to %d", len(r.Files), MaxRequestFiles)}
	}
	var rows uint64
	seen := make(map[string]struct{}, len(r.Files))
	for i := range r.Files {
		f := &r.Files[i]
		rel, ok := strings.CutPrefix(f.Path, r.Location+"/")
		if !ok || !validRelative(rel) {
			return []error{fmt.Errorf("file %d: path %q does not lie under the data of %q", i, f.Path, r.Location)}
		}
		if _, twice := seen[f.Path]; twice {
			return []error{fmt.Errorf("file %d: path %q is named twice", i, f.Path)}
		}
		seen[f.Path] = struct{}{}
		if f.RecordCount < 1 || f.FileSizeInBytes < 1 {
			return []error{fmt.Errorf("file %d: %d records in %d bytes", i, f.RecordCount, f.FileSizeInBytes)}
		}
		if rows += uint64(f.RecordCount); rows > math.MaxInt64 {
			break
		}
	}
	if want := uint64(r.Last) - uint64(r.First) + 1; rows != want {
		return []error{fmt.Errorf("files hold %d records, the range [%d, %d] holds %d", rows, r.First, r.Last, want)}
	}
	return nil
}

// validLocation takes a URI ("s3://bucket/prefix") or an absolute path, clean and without a trailing slash.
func validLocation(s string) bool {
	rest := s
	if scheme, after, ok := strings.Cut(s, "://"); ok {
		if scheme == "" || strings.ContainsAny(scheme, "/.") {
			return false
		}
		rest = "/" + strings.TrimPrefix(after, "/") // file:///a and s3://bucket/a alike
	}
	return len(rest) > 1 && rest[0] == '/' && path.Clean(rest) == rest && !strings.ContainsFunc(s, control)
}

// validRelative takes a clean path under the table's root that is neither metadata nor Firn's own state.
func validRelative(rel string) bool {
	if rel == "" || rel[0] == '/' || path.Clean(rel) != rel || strings.ContainsFunc(rel, control) {
		return false
	}
	top, _, nested := strings.Cut(rel, "/")
	return nested && top != ".." && top != "metadata" && top != stateFolder
}

func control(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }
