// Package catalog is the port to the table pointer: load, create, and swap it by compare-and-swap. Package objectstore
// implements it on an object store alone; twin does in memory, with the real checks of Glue and of a REST service, for
// tests. catalogtest is the contract that each of them passes.
//
// A swap has exactly four answers: done; ErrConflict (a rival's commit is current; reload and re-plan);
// ErrRejected (can never succeed as asked); ErrUnknown (it may have been applied, or may be yet: never delete,
// never retry blindly, reload and look).
//
// Catalogs are safe for concurrent use.
package catalog

import (
	"context"
	"errors"
	"time"

	"firn/commitlib/iceberg"
)

// The answers that callers branch on.
var (
	ErrNoTable     = errors.New("table does not exist")
	ErrTableExists = errors.New("table exists already")
	ErrConflict    = errors.New("swap refused: another commit is current")
	ErrUnknown     = errors.New("outcome of the swap is not known")
	ErrRejected    = errors.New("catalog rejected the request")
)

// Ident names a table.
type Ident struct{ Namespace, Name string }

func (id Ident) String() string { return id.Namespace + "." + id.Name }

// Table is one loaded state of a table. It is immutable: share it freely, change nothing in it.
type Table struct {
	Ident            Ident
	Location         string // absolute location of the table's root
	Metadata         *iceberg.Metadata
	MetadataLocation string
	Token            string    // what the catalog's compare-and-swap compares; opaque to others
	LoadedAt         time.Time // when the load that produced this state began
}

// Spec is what a new table is made of.
type Spec struct {
	Schema     *iceberg.Schema
	Partition  iceberg.PartitionSpec
	Properties map[string]string
}

// Change is a commit as data: a snapshot that becomes the head of main, and properties set in the same swap.
// A change without a snapshot is not possible: on REST nothing protects properties, so watermarks move only with one
// (PROTOCOL.md, "Adversaries").
//
// RemoveSnapshots leave the metadata in the same swap. A snapshot that a ref of the base names is refused with
// ErrRejected; an unknown id is ignored. On REST nothing protects a ref that was made after the base was loaded: package
// rest looks for one right before it swaps.
type Change struct {
	Snapshot        *iceberg.Snapshot
	SetProperties   map[string]string
	RemoveSnapshots []int64
}

// Catalog is the port.
type Catalog interface {
	// Load reads the newest state. ErrNoTable where there is none.
	Load(ctx context.Context, id Ident) (*Table, error)

	// Refresh is Load that is cheap when nothing changed: it returns t itself (the same pointer) then.
	Refresh(ctx context.Context, t *Table) (*Table, error)

	// Create makes the table with an empty main. ErrTableExists where there is one; ErrRejected for a name,
	// schema or spec that the catalog will never take; ErrUnknown: Load tells.
	Create(ctx context.Context, id Ident, spec Spec) (*Table, error)

	// Swap makes ch the current state if base is still current, and returns the new state. Errors as above.
	Swap(ctx context.Context, base *Table, ch Change) (*Table, error)

	// List returns the names of the tables in a namespace, sorted.
	List(ctx context.Context, namespace string) ([]string, error)
}
