package objstore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// syscalls is everything that Dir asks of the operating system. It is a struct of functions so that the crash test can
// stop the world before, in or after each single call, and forget what was not synced.
type syscalls struct {
	mkdir   func(path string) error
	create  func(path string) (file, error) // exclusive, for writing
	open    func(path string) (file, error) // for reading; also opens a folder, to sync it
	stat    func(path string) (stat, error)
	link    func(from, to string) error // refuses an existing to: the one atomic "create if absent" with a content
	rename  func(from, to string) error
	unlink  func(path string) error
	readDir func(path string) ([]entry, error) // in byte order of the names
	lock    func(ctx context.Context, path string) (unlock func(), err error)
}

type file interface {
	Write(p []byte) (int, error)
	ReadAt(p []byte, off int64) (int, error)
	Stat() (stat, error)
	Sync() error
	Close() error
}

// stat is what Dir needs to know of a file.
type stat struct {
	inode    uint64
	size     int64
	modified time.Time
	changed  time.Time // the inode's change time: link and rename raise it
	folder   bool
}

type entry struct {
	name   string
	folder bool
}

var realSyscalls = syscalls{
	mkdir:  func(path string) error { return os.Mkdir(path, 0o755) },
	create: func(path string) (file, error) { return openFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY) },
	open:   func(path string) (file, error) { return openFile(path, os.O_RDONLY) },
	stat: func(path string) (stat, error) {
		var st unix.Stat_t
		if err := ignoringEINTR(func() error { return unix.Stat(path, &st) }); err != nil {
			return stat{}, &os.PathError{Op: "stat", Path: path, Err: err}
		}
		return newStat(&st), nil
	},
	link:   os.Link,
	rename: os.Rename,
	unlink: func(path string) error { // not os.Remove, which also removes empty folders
		if err := ignoringEINTR(func() error { return unix.Unlink(path) }); err != nil {
			return &os.PathError{Op: "unlink", Path: path, Err: err}
		}
		return nil
	},
	readDir: readDir,
	lock:    flock,
}

type osFile struct{ *os.File }

func openFile(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (f osFile) Stat() (stat, error) {
	var st unix.Stat_t
	if err := ignoringEINTR(func() error { return unix.Fstat(int(f.Fd()), &st) }); err != nil {
		return stat{}, &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	return newStat(&st), nil
}

func newStat(st *unix.Stat_t) stat {
	return stat{
		inode: st.Ino, size: st.Size, folder: st.Mode&unix.S_IFMT == unix.S_IFDIR,
		modified: time.Unix(st.Mtim.Unix()), changed: time.Unix(st.Ctim.Unix()),
	}
}

func readDir(path string) ([]entry, error) {
	list, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(list))
	for _, e := range list {
		folder := e.IsDir()
		if e.Type()&os.ModeSymlink != 0 { // an operator may have moved a folder to another disk
			info, err := os.Stat(path + "/" + e.Name())
			if err != nil {
				continue // dangling: no object
			}
			folder = info.IsDir()
		}
		entries = append(entries, entry{e.Name(), folder})
	}
	return entries, nil
}

// lockPoll is how often a held lock is tried again. Holders keep it for a compare and a rename: tens of microseconds.
const lockPoll = time.Millisecond

// flock takes an exclusive lock that works between processes, and between goroutines since each call opens the file
// anew. The kernel drops it with the process that holds it. It is polled, since a blocking flock would not heed ctx.
func flock(ctx context.Context, path string) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, &os.PathError{Op: "flock", Path: path, Err: err}
		}
		if err := sleep(ctx, lockPoll); err != nil {
			f.Close()
			return nil, fmt.Errorf("wait for the lock %s: %w", path, err)
		}
	}
}

func ignoringEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}
