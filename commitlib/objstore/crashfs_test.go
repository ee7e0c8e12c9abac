package objstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// crashFS is a file system in memory that knows what was synced. Only that is sure to outlive a power cut: of a file
// the content at its last fsync, of a folder the names at its last fsync. It is stricter than any journal is.
type crashFS struct {
	mu    sync.Mutex // protects all below
	names map[string]*inode
	last  uint64
	clock time.Time
	locks map[string]bool
}

type inode struct {
	number   uint64
	folder   bool
	data     []byte
	synced   []byte            // of a file: its content at its last fsync
	durable  map[string]*inode // of a folder: its names at its last fsync
	modified time.Time
	changed  time.Time
}

func newCrashFS() *crashFS {
	fs := &crashFS{names: map[string]*inode{}, clock: time.Unix(1_800_000_000, 0), locks: map[string]bool{}}
	fs.names["/"] = fs.newInode(true)
	return fs
}

func (fs *crashFS) newInode(folder bool) *inode {
	fs.last++
	return &inode{number: fs.last, folder: folder, modified: fs.clock, changed: fs.clock}
}

func (fs *crashFS) now() time.Time {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.clock
}

func (fs *crashFS) advance(d time.Duration) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.clock = fs.clock.Add(d)
}

// powerCut returns the file system as it may be found after one. With a nil rng all that was not synced is gone;
// else a random part of the names has made it, and of each content a random beginning.
func (fs *crashFS) powerCut(rng *rand.Rand) *crashFS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	after := newCrashFS()
	after.last, after.clock = fs.last, fs.clock.Add(time.Minute)
	copies := map[*inode]*inode{}
	fs.restore(after, copies, "/", fs.names["/"], rng)
	return after
}

func (fs *crashFS) restore(after *crashFS, copies map[*inode]*inode, name string, n *inode, rng *rand.Rand) {
	c := copies[n]
	if c == nil {
		c = &inode{number: n.number, folder: n.folder, modified: n.modified, changed: n.changed}
		c.data = slices.Clone(n.synced)
		if rng != nil && len(n.data) > len(n.synced) {
			c.data = slices.Clone(n.data[:len(n.synced)+rng.IntN(len(n.data)-len(n.synced)+1)])
		}
		c.synced = slices.Clone(c.data)
		c.durable = map[string]*inode{}
		copies[n] = c
	}
	after.names[name] = c
	if !n.folder {
		return
	}
	children := maps.Clone(n.durable)
	if children == nil {
		children = map[string]*inode{}
	}
	if rng != nil {
		visible := fs.children(name)
		all := maps.Clone(children)
		maps.Copy(all, visible)
		for _, base := range slices.Sorted(maps.Keys(all)) {
			if rng.IntN(2) == 0 {
				continue // this name's change has not made it
			}
			if now, ok := visible[base]; ok {
				children[base] = now
			} else {
				delete(children, base)
			}
		}
	}
	for _, base := range slices.Sorted(maps.Keys(children)) {
		fs.restore(after, copies, path.Join(name, base), children[base], rng)
		c.durable[base] = copies[children[base]]
	}
}

func (fs *crashFS) children(folder string) map[string]*inode {
	found := map[string]*inode{}
	for name, n := range fs.names {
		if name != "/" && path.Dir(name) == folder {
			found[path.Base(name)] = n
		}
	}
	return found
}

// process is one running program on a crashFS: its system calls are numbered, and one of them goes wrong.
type process struct {
	fs    *crashFS
	calls int
	dead  bool

	failAt   int // the number of the call; 0: none
	failFor  int // so many calls in a row, at least 1
	how      failure
	err      error
	observe  func() // runs before every call
	lastCall string // what the failing call was
}

// failure is how a call goes wrong.
type failure int

const (
	errorBefore failure = iota // the call has no effect and returns an error
	errorAfter                 // the call takes effect and returns an error all the same
	killBefore                 // the process ends before the call
	killAfter                  // the process ends after the call
)

var (
	errKilled   = errors.New("the process is no more")
	errInjected = unix.EIO
)

// call runs one system call. do returns the call's own error; it runs under fs.mu.
func (p *process) call(what string, do func() error) error {
	if p.observe != nil {
		p.observe()
	}
	p.fs.mu.Lock()
	defer p.fs.mu.Unlock()
	if p.dead {
		return errKilled
	}
	p.calls++
	p.fs.clock = p.fs.clock.Add(time.Microsecond) // coarser than a call: times of a real file system repeat too
	if p.failAt == 0 || p.calls < p.failAt || p.calls >= p.failAt+max(1, p.failFor) {
		return do()
	}
	p.lastCall = what
	switch p.how {
	case errorBefore:
		return cmp.Or(p.err, error(errInjected))
	case errorAfter:
		if err := do(); err != nil {
			return err
		}
		return cmp.Or(p.err, error(errInjected))
	case killBefore:
		p.dead = true
		return errKilled
	}
	_ = do()
	p.dead = true
	return errKilled
}

func (p *process) syscalls() syscalls {
	fs := p.fs
	return syscalls{
		mkdir: func(name string) error {
			return p.call("mkdir "+name, func() error { return fs.add(name, fs.newInode(true)) })
		},
		create: func(name string) (file, error) {
			n := (*inode)(nil)
			err := p.call("create "+name, func() error {
				n = fs.newInode(false)
				return fs.add(name, n)
			})
			if err != nil {
				return nil, err
			}
			return &crashFile{p, name, n}, nil
		},
		open: func(name string) (f file, err error) {
			err = p.call("open "+name, func() error {
				n, err := fs.find(name)
				f = &crashFile{p, path.Clean(name), n}
				return err
			})
			if err != nil {
				return nil, err
			}
			return f, nil
		},
		stat: func(name string) (st stat, err error) {
			err = p.call("stat "+name, func() error {
				n, err := fs.find(name)
				if err == nil {
					st = n.stat()
				}
				return err
			})
			return st, err
		},
		link: func(from, to string) error {
			return p.call("link to "+to, func() error {
				n, err := fs.find(from)
				if err == nil {
					err = fs.add(to, n)
				}
				return err
			})
		},
		rename: func(from, to string) error {
			return p.call("rename to "+to, func() error {
				n, err := fs.find(from)
				if err != nil {
					return err
				}
				if there, ok := fs.names[to]; ok && there.folder {
					return unix.EISDIR
				}
				if _, err := fs.find(path.Dir(to)); err != nil {
					return err
				}
				delete(fs.names, from)
				fs.names[to], n.changed = n, fs.clock
				return nil
			})
		},
		unlink: func(name string) error {
			return p.call("unlink "+name, func() error {
				n, err := fs.find(name)
				if err != nil {
					return err
				}
				if n.folder {
					return unix.EISDIR
				}
				delete(fs.names, name)
				return nil
			})
		},
		readDir: func(name string) (entries []entry, err error) {
			err = p.call("readdir "+name, func() error {
				if _, err := fs.find(path.Clean(name)); err != nil {
					return err
				}
				for base, n := range fs.children(path.Clean(name)) {
					entries = append(entries, entry{base, n.folder})
				}
				slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
				return nil
			})
			return entries, err
		},
		lock: func(_ context.Context, name string) (func(), error) {
			err := p.call("lock", func() error {
				if fs.locks[name] {
					return fmt.Errorf("%s is locked: these tests are sequential", name)
				}
				fs.locks[name] = true
				return nil
			})
			unlock := func() {
				fs.mu.Lock()
				defer fs.mu.Unlock()
				delete(fs.locks, name)
			}
			if err != nil {
				if !p.dead { // an error after the effect: the kernel drops the lock with the descriptor
					unlock()
				}
				return nil, err
			}
			return unlock, nil
		},
	}
}

func (fs *crashFS) add(name string, n *inode) error {
	parent, ok := fs.names[path.Dir(name)]
	switch {
	case !ok:
		return unix.ENOENT
	case !parent.folder:
		return unix.ENOTDIR
	case fs.names[name] != nil:
		return unix.EEXIST
	}
	fs.names[name], n.changed = n, fs.clock
	return nil
}

func (fs *crashFS) find(name string) (*inode, error) {
	if n, ok := fs.names[path.Clean(name)]; ok {
		return n, nil
	}
	for above := path.Dir(name); above != "/"; above = path.Dir(above) {
		if n, ok := fs.names[above]; ok && !n.folder {
			return nil, unix.ENOTDIR
		}
	}
	return nil, unix.ENOENT
}

func (n *inode) stat() stat {
	return stat{inode: n.number, size: int64(len(n.data)), folder: n.folder, modified: n.modified, changed: n.changed}
}

type crashFile struct {
	p    *process
	name string
	n    *inode
}

// Write is two calls, since a write can stop half-way.
func (f *crashFile) Write(b []byte) (written int, err error) {
	for _, part := range [][]byte{b[:len(b)/2], b[len(b)/2:]} {
		err = f.p.call("write "+f.name, func() error {
			f.n.data = append(f.n.data, part...)
			f.n.modified = f.p.fs.clock
			return nil
		})
		if err != nil {
			return written, err
		}
		written += len(part)
	}
	return written, nil
}

func (f *crashFile) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.p.call("read "+f.name, func() error {
		if off < int64(len(f.n.data)) {
			n = copy(b, f.n.data[off:])
		}
		if n < len(b) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (f *crashFile) Stat() (st stat, err error) {
	err = f.p.call("fstat "+f.name, func() error {
		st = f.n.stat()
		return nil
	})
	return st, err
}

func (f *crashFile) Sync() error {
	return f.p.call("fsync "+f.name, func() error {
		if f.n.folder {
			f.n.durable = f.p.fs.children(f.name)
		} else {
			f.n.synced = slices.Clone(f.n.data)
		}
		return nil
	})
}

func (f *crashFile) Close() error {
	return f.p.call("close "+f.name, func() error { return nil })
}
