package main

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// disk is what all nodes share. Its mutex protects every node's contents and the power switch.
type disk struct {
	mu  sync.Mutex
	off bool
}

// lock takes the disk's mutex; it fails once the power is off.
func (d *disk) lock() syscall.Errno {
	d.mu.Lock()
	if d.off {
		d.mu.Unlock()
		return syscall.EIO
	}
	return 0
}

// extent is a run of bytes that was written since the last sync, or a change of size (n < 0).
type extent struct {
	off, n int64
	size   int64 // of the file after this write
}

// file has its bytes twice: as processes see them, and as a power cut would leave them.
type file struct {
	fs.Inode
	disk *disk

	live    []byte
	durable []byte
	pending []extent // what live is ahead of durable, in order
	mtime   time.Time
}

var (
	_ fs.NodeOpener    = (*file)(nil)
	_ fs.NodeReader    = (*file)(nil)
	_ fs.NodeWriter    = (*file)(nil)
	_ fs.NodeFsyncer   = (*file)(nil)
	_ fs.NodeGetattrer = (*file)(nil)
	_ fs.NodeSetattrer = (*file)(nil)
	_ fs.NodeAllocater = (*file)(nil)
	_ fs.NodeFlusher   = (*file)(nil)
)

func (f *file) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (f *file) Flush(context.Context, fs.FileHandle) syscall.Errno { return 0 } // close syncs nothing

func (f *file) Read(_ context.Context, _ fs.FileHandle, p []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	if errno := f.disk.lock(); errno != 0 {
		return nil, errno
	}
	defer f.disk.mu.Unlock()
	if off >= int64(len(f.live)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(p[:copy(p, f.live[off:])]), 0
}

func (f *file) Write(_ context.Context, _ fs.FileHandle, p []byte, off int64) (uint32, syscall.Errno) {
	if errno := f.disk.lock(); errno != 0 {
		return 0, errno
	}
	defer f.disk.mu.Unlock()
	end := off + int64(len(p))
	if end > int64(len(f.live)) {
		f.live = resize(f.live, end)
	}
	copy(f.live[off:], p)
	f.mtime = time.Now()
	f.pending = append(f.pending, extent{off, int64(len(p)), int64(len(f.live))})
	return uint32(len(p)), 0
}

// resize sets the length, zeroing what is new; growth doubles so that appends stay cheap.
func resize(b []byte, n int64) []byte {
	old := int64(len(b))
	if n <= old {
		clear(b[n:])
		return b[:n]
	}
	if n > int64(cap(b)) {
		grown := make([]byte, old, max(n, 2*int64(cap(b))))
		copy(grown, b)
		b = grown
	}
	b = b[:n]
	clear(b[old:])
	return b
}

func (f *file) Allocate(_ context.Context, _ fs.FileHandle, off, size uint64, mode uint32) syscall.Errno {
	if errno := f.disk.lock(); errno != 0 {
		return errno
	}
	defer f.disk.mu.Unlock()
	const keepSize = 1
	if end := int64(off + size); mode&keepSize == 0 && end > int64(len(f.live)) {
		f.truncate(end)
	}
	return 0
}

func (f *file) truncate(n int64) {
	f.live = resize(f.live, n)
	f.pending = append(f.pending, extent{off: n, n: -1, size: n})
}

func (f *file) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if errno := f.disk.lock(); errno != 0 {
		return errno
	}
	defer f.disk.mu.Unlock()
	f.persist(len(f.pending))
	return 0
}

// persist makes the first n pending writes durable.
func (f *file) persist(n int) {
	for _, e := range f.pending[:n] {
		if int64(len(f.durable)) != e.size {
			f.durable = resize(f.durable, e.size)
		}
		if e.n > 0 && e.off < int64(len(f.live)) {
			copy(f.durable[e.off:min(e.off+e.n, e.size)], f.live[e.off:])
		}
	}
	f.pending = append(f.pending[:0], f.pending[n:]...)
}

// page is what the kernel writes out as one: of an unsynced write each page reaches the disk, or none of its bytes.
const page = 4096

// persistSome makes a random part of the pending writes durable. Half of the times that is a prefix of them. Else it is
// what delayed allocation leaves: the size that the file had after one of them, and any of the pages that they touched;
// what is below that size and was not written reads as zeros.
func (f *file) persistSome(rng *rand.Rand) {
	writes := rng.IntN(len(f.pending) + 1)
	if rng.IntN(2) == 0 {
		f.persist(writes)
		return
	}
	touched := make(map[int64]bool)
	for _, e := range f.pending {
		for p := e.off &^ (page - 1); p < e.off+e.n; p += page {
			touched[p] = true
		}
	}
	if writes > 0 {
		f.durable = resize(f.durable, f.pending[writes-1].size)
	}
	for _, p := range slices.Sorted(maps.Keys(touched)) {
		end := min(p+page, int64(len(f.live)), int64(len(f.durable)))
		if rng.IntN(2) == 0 && p < end {
			copy(f.durable[p:end], f.live[p:end])
		}
	}
}

func (f *file) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	if errno := f.disk.lock(); errno != 0 {
		return errno
	}
	defer f.disk.mu.Unlock()
	f.attr(&out.Attr)
	return 0
}

func (f *file) attr(a *fuse.Attr) {
	a.Mode = 0o644
	a.Nlink = 1
	a.Size = uint64(len(f.live))
	a.SetTimes(nil, &f.mtime, nil)
}

func (f *file) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if errno := f.disk.lock(); errno != 0 {
		return errno
	}
	defer f.disk.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		f.truncate(int64(size))
	}
	if m, ok := in.GetMTime(); ok {
		f.mtime = m
	}
	f.attr(&out.Attr)
	return 0
}
