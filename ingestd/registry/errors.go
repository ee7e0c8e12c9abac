package registry

import (
	"errors"
	"fmt"
)

// The refusals that callers branch on; NameError, RejectedError and ContradictionError are the others.
var (
	ErrUnknownTable  = errors.New("unknown table")
	ErrStopped       = errors.New("ingest is stopped for the table")
	ErrReplaced      = errors.New("table was replaced by another of its name")
	ErrTooManyTables = errors.New("too many tables")
	ErrUnavailable   = errors.New("catalog is unreachable")
	ErrBadSettings   = errors.New("bad table settings")
)

func stoppedError(name string) error {
	return fmt.Errorf("%w: %s was deleted here; PUT /tables/%s takes up ingest again", ErrStopped, name, name)
}

func tooManyError(limit int) error {
	return fmt.Errorf("%w: this daemon takes events for at most %d; send to a known table, or raise the bound", ErrTooManyTables, limit)
}

// RejectedError says that the catalog will never take the table, or that the table
// there is not one that Firn can write.
type RejectedError struct {
	Table  string
	Reason string
	err    error
}

func rejected(table string, err error) error {
	return &RejectedError{Table: table, Reason: err.Error(), err: err}
}

// Unwrap lets callers ask which check failed.
func (e *RejectedError) Unwrap() error { return e.err }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("table %s cannot take events: %s", e.Table, e.Reason)
}

// ContradictionError names the setting that a Put wants otherwise than the table has it, and that cannot change.
type ContradictionError struct {
	Table, Field string
	Have, Want   string
}

func (e *ContradictionError) Error() string {
	return fmt.Sprintf("table %s has %s %s, asked for %s: it is fixed when the table is made; leave it as it is, or use another table",
		e.Table, e.Field, e.Have, e.Want)
}
