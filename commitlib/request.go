package commitlib

import (
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Seq is the dense number of an event in (log, table); the first is 1, and 0 means "none yet".
type Seq uint64

// Protocol is the version that Request.Version and the table's marker property carry.
const Protocol = 1

// Request asks that one segment's staged data files become part of a table: PROTOCOL.md, "Request".
// It is immutable once sent; a queue may deliver it late, twice, out of order, or never.
type Request struct {
	Version   int
	Table     catalog.Ident
	TableUUID uuid.UUID
	Log       uuid.UUID
	First     Seq // first and last sequence of the segment, both inclusive
	Last      Seq
	SchemaID  int // the ids that the files were written with
	SpecID    int
	StagedAt  time.Time // when the files were last known to be in the store
	Files     []iceberg.DataFile
}
