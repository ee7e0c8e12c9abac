package commitlib

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"firn/commitlib/iceberg"
)

// SchemaHash fingerprints what a schema id stood for when files were written: each column's id, name, type and
// whether it is required, in order. CREATE OR REPLACE TABLE keeps the table's UUID and may hand out the same ids
// again, so a request carries both the id and this.
func SchemaHash(s *iceberg.Schema) string {
	h := sha256.New()
	for _, f := range s.Fields {
		member(h, f.ID, f.Name, string(f.Type), f.Required)
	}
	return sum(h)
}

// SpecHash does for a partition spec what SchemaHash does for a schema: field ids, source columns, names, transforms.
func SpecHash(p *iceberg.PartitionSpec) string {
	h := sha256.New()
	for _, f := range p.Fields {
		member(h, f.FieldID, f.Name, f.Transform, f.SourceID)
	}
	return sum(h)
}

// member writes one column or partition field so that no two different ones give the same bytes.
func member(w io.Writer, id int, name, kind string, more any) {
	fmt.Fprintf(w, "%d %q %q %v\n", id, name, kind, more) // a hash takes every write
}

// sum keeps 16 of the 32 bytes: enough against accident, and a message carries two of them.
func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:16]) }
