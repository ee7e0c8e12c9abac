package rocks

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"firn/ingestd/kv"
)

// TornWrite is what a power cut left of the last write, which was never acked, and which Open cut off.
type TornWrite struct {
	Log   string // path of the write-ahead log, or of the manifest
	At    int64  // where the record began: the log's size now
	Bytes int64  // that were cut off
	Kept  string // path of the copy of these bytes; it is for people to look at, and may be deleted
}

func (t *TornWrite) String() string {
	return fmt.Sprintf("a write that was under way when the power was cut, and so never acked, was cut off: "+
		"%d bytes at byte %d of %s, kept in %s", t.Bytes, t.At, t.Log, t.Kept)
}

// cutTorn cuts torn writes off the newest log of dir and off its manifest, if there are any. On return that is durable.
// RocksDB would refuse such a record, or skip it and read on.
//
//  1. Take RocksDB's lock, check again.
//  2. Copy the record to salvaged-<time>/, sync the copy and the folders.
//  3. Truncate the file to the record's start: the commit point. Sync it. RocksDB opens a log that ends with a record.
//
// A crash before 3 leaves the file as it was, and the next start does the same again; after 3 there is nothing to do.
func cutTorn(dir string, now time.Time) ([]*TornWrite, error) {
	if torn, err := findTorn(dir); err != nil || torn == nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	torn, err := findTorn(dir) // another process may have changed them before it gave up the lock
	if err != nil {
		return nil, err
	}
	for _, t := range torn {
		if err := t.cut(keptFolder(dir, now)); errors.Is(err, syscall.ENOSPC) {
			return nil, fmt.Errorf("cut a torn write off %s: %w (%v)", t.Log, kv.ErrNoSpace, err)
		} else if err != nil {
			return nil, fmt.Errorf("cut a torn write off %s: %w", t.Log, err)
		}
	}
	return torn, nil
}

func findTorn(dir string) ([]*TornWrite, error) {
	log, err := checkLogs(dir)
	if err != nil {
		return nil, err
	}
	var torn []*TornWrite
	for _, t := range []*TornWrite{log, checkManifest(dir)} {
		if t != nil {
			torn = append(torn, t)
		}
	}
	return torn, nil
}

// checkManifest returns what a power cut left of the last record of the manifest, or nil. A manifest has the format of a
// log and is synced record by record (a few at a time at most), before anything relies on what the record says. RocksDB
// takes one that is cut short, and notices all damage by itself, so that this needs no error.
func checkManifest(dir string) *TornWrite {
	current, err := os.ReadFile(filepath.Join(dir, "CURRENT"))
	if err != nil {
		return nil
	}
	name := strings.TrimSuffix(string(current), "\n")
	if !strings.HasPrefix(name, "MANIFEST-") || filepath.Base(name) != name {
		return nil
	}
	torn, err := checkLogFile(filepath.Join(dir, name))
	if err != nil {
		return nil
	}
	return torn
}

func (t *TornWrite) cut(folder string) error {
	if err := os.Mkdir(folder, 0o750); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("keep a copy: %w", err)
	}
	f, err := os.OpenFile(t.Log, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	// A copy of that name is one that a crash interrupted: the log has not changed since.
	t.Kept = filepath.Join(folder, filepath.Base(t.Log)+".from-"+strconv.FormatInt(t.At, 10))
	if err := copyTo(t.Kept, os.O_TRUNC, io.NewSectionReader(f, t.At, t.Bytes)); err != nil {
		return fmt.Errorf("keep a copy: %w", err)
	}
	if err := errors.Join(syncFolder(folder), syncFolder(filepath.Dir(folder))); err != nil {
		return fmt.Errorf("keep a copy: %w", err)
	}
	if err := f.Truncate(t.At); err != nil {
		return err
	}
	return f.Sync()
}

// lock takes the lock that RocksDB takes on an open directory. It must not be called by a process that has the
// directory open: the system gives up a process's lock with whichever of its file descriptors closes first.
func lock(dir string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &whole); err != nil {
		_ = f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, fmt.Errorf("lock %s: %w", dir, ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil // closing gives it up
}
