package rocks

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/linxGnu/grocksdb"

	"firn/ingestd/kv"
)

// ErrLocked says that another process, or another Store of this one, has the directory open.
var ErrLocked = errors.New("data directory is in use by another ingestd: stop that one, or give this one a directory of its own")

// CorruptError says that what is on the disk is not what was written. Nothing was changed.
type CorruptError struct {
	Dir string
	Err error // where the fault lies
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("open %s: its write-ahead log or a file of it is damaged: %v; nothing was changed. Restore the volume from a copy if there is a good one; "+
		"else start once with -salvage, which keeps the damaged log aside and goes on with what precedes the damage", e.Dir, e.Err)
}

// Unwrap gives the fault itself.
func (e *CorruptError) Unwrap() error { return e.Err }

// Open opens or creates the store in dir. It returns ErrLocked, or a *CorruptError when the disk does not hold what was
// written: a record in the middle of the write-ahead log that does not verify may have been acked, and so may those
// after it. A log that merely ends in the middle of a record is whole: the last write was never synced, so never acked.
// Where a power cut left holes in that write, Open cuts it off, and Torn says so.
func Open(dir string, cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	torn, err := cutTorn(dir, time.Now())
	if err != nil {
		return nil, err
	}
	s, err := open(dir, cfg, grocksdb.TolerateCorruptedTailRecordsRecovery, false)
	if err != nil {
		for _, t := range torn {
			err = fmt.Errorf("%w. Before that, %v", err, t)
		}
		return nil, err
	}
	s.torn = torn
	return s, nil
}

func open(dir string, cfg Config, mode grocksdb.WALRecoveryMode, readOnly bool) (*Store, error) {
	opts := newOptions(cfg, mode)
	var names []string
	for f := range kv.Families {
		names = append(names, f.String())
	}
	var db *grocksdb.DB
	var handles []*grocksdb.ColumnFamilyHandle
	var err error
	if readOnly {
		db, handles, err = grocksdb.OpenDbForReadOnlyColumnFamilies(opts.db, dir, names, opts.families[:], false)
	} else {
		db, handles, err = grocksdb.OpenDbColumnFamilies(opts.db, dir, names, opts.families[:])
	}
	if err != nil {
		opts.destroy()
		return nil, openError(dir, err)
	}
	return newStore(dir, db, handles, opts), nil
}

// openError sorts RocksDB's messages, which is all that its C interface gives.
func openError(dir string, err error) error {
	m := err.Error()
	switch {
	case strings.Contains(m, "lock ") && (strings.Contains(m, "temporarily unavailable") || strings.Contains(m, "lock hold by current process")):
		return fmt.Errorf("open %s: %w", dir, ErrLocked)
	case strings.HasPrefix(m, "Corruption:"):
		return &CorruptError{Dir: dir, Err: err}
	case strings.Contains(m, "No space left"):
		return fmt.Errorf("open %s: %w (%v)", dir, kv.ErrNoSpace, err)
	}
	return fmt.Errorf("open %s: %w", dir, err)
}
