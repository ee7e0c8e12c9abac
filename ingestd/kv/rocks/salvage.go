package rocks

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/linxGnu/grocksdb"

	"firn/ingestd/kv"
)

// Inspect opens the damaged directory twice, for reading and without changing it, and hands both views to fn: survives
// is what Salvage would go on with (all before the first damage), readable is everything that still verifies, also
// behind the damage. What readable has and survives lacks is known to be lost by salvaging; a hole in readable is lost
// already. Damage outside the write-ahead log cannot be inspected, nor salvaged.
func Inspect(dir string, cfg Config, fn func(survives, readable kv.Store) error) error {
	survives, err := open(dir, cfg, grocksdb.PointInTimeRecovery, true)
	if err != nil {
		return fmt.Errorf("inspect what would survive: %w", err)
	}
	defer survives.Close()
	readable, err := open(dir, cfg, grocksdb.SkipAnyCorruptedRecordsRecovery, true)
	if err != nil {
		return fmt.Errorf("inspect what is readable: %w", err)
	}
	defer readable.Close()
	return fn(survives, readable)
}

// Salvage copies the write-ahead logs to dir/salvaged-<time>, where a person can look at them later, and opens
// the store with what precedes the first damage: every write up to there, none after it. It is for the operator
// to decide; nothing calls it by itself.
func Salvage(dir string, cfg Config, now time.Time) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := keepLogs(dir, keptFolder(dir, now)); err != nil {
		return nil, fmt.Errorf("salvage %s: %w", dir, err)
	}
	return open(dir, cfg, grocksdb.PointInTimeRecovery, false)
}

func keepLogs(dir, kept string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return fmt.Errorf("list write-ahead logs: %w", err)
	}
	if err := os.Mkdir(kept, 0o750); err != nil {
		return fmt.Errorf("keep write-ahead logs: %w", err)
	}
	for _, name := range names {
		if err := copyFile(filepath.Join(kept, filepath.Base(name)), name); err != nil {
			return fmt.Errorf("keep write-ahead log: %w", err)
		}
	}
	if err := errors.Join(syncFolder(kept), syncFolder(dir)); err != nil {
		return fmt.Errorf("keep write-ahead logs: %w", err)
	}
	return nil
}

// keptFolder is where what is taken out of the logs goes.
func keptFolder(dir string, now time.Time) string {
	return filepath.Join(dir, "salvaged-"+strconv.FormatInt(now.Unix(), 10))
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	return copyTo(to, os.O_EXCL, in)
}

// copyTo writes and syncs a new file; exists says what to do if there is one: os.O_EXCL or os.O_TRUNC.
func copyTo(to string, exists int, in io.Reader) (err error) {
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|exists, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
