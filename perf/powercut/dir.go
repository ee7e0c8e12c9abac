package main

import (
	"context"
	"maps"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// dir is a folder. Its live entries are the library's; durable holds the names that its last fsync covered.
type dir struct {
	fs.Inode
	disk    *disk
	durable map[string]fs.InodeEmbedder
}

var (
	_ fs.NodeCreater   = (*dir)(nil)
	_ fs.NodeMkdirer   = (*dir)(nil)
	_ fs.NodeLinker    = (*dir)(nil)
	_ fs.NodeUnlinker  = (*dir)(nil)
	_ fs.NodeRmdirer   = (*dir)(nil)
	_ fs.NodeRenamer   = (*dir)(nil)
	_ fs.NodeFsyncer   = (*dir)(nil)
	_ fs.NodeStatfser  = (*dir)(nil)
	_ fs.NodeGetattrer = (*dir)(nil)
	_ fs.NodeSetattrer = (*dir)(nil)
)

func (d *dir) powered() syscall.Errno {
	errno := d.disk.lock()
	if errno == 0 {
		d.disk.mu.Unlock()
	}
	return errno
}

func (d *dir) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	out.Mode = 0o755
	return d.powered()
}

func (d *dir) Setattr(_ context.Context, _ fs.FileHandle, _ *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	out.Mode = 0o755 // owners and modes are not modelled
	return d.powered()
}

func (d *dir) newFile(ctx context.Context) (*file, *fs.Inode) {
	f := &file{disk: d.disk, mtime: time.Now()}
	return f, d.NewPersistentInode(ctx, f, fs.StableAttr{Mode: syscall.S_IFREG})
}

func (d *dir) newDir(ctx context.Context) (*dir, *fs.Inode) {
	sub := &dir{disk: d.disk}
	return sub, d.NewPersistentInode(ctx, sub, fs.StableAttr{Mode: syscall.S_IFDIR})
}

func (d *dir) Create(ctx context.Context, _ string, _, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	if errno := d.powered(); errno != 0 {
		return nil, nil, 0, errno
	}
	f, inode := d.newFile(ctx)
	f.attr(&out.Attr)
	return inode, nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (d *dir) Mkdir(ctx context.Context, _ string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := d.powered(); errno != 0 {
		return nil, errno
	}
	_, inode := d.newDir(ctx)
	out.Mode = 0o755
	return inode, 0
}

func (d *dir) Link(_ context.Context, target fs.InodeEmbedder, _ string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	if errno := d.disk.lock(); errno != 0 {
		return nil, errno
	}
	defer d.disk.mu.Unlock()
	f, ok := target.(*file)
	if !ok {
		return nil, syscall.EPERM
	}
	f.attr(&out.Attr)
	return target.EmbeddedInode(), 0
}

func (d *dir) Unlink(context.Context, string) syscall.Errno { return d.powered() }
func (d *dir) Rmdir(_ context.Context, name string) syscall.Errno {
	if child := d.GetChild(name); child != nil && len(child.Children()) > 0 {
		return syscall.ENOTEMPTY
	}
	return d.powered()
}

func (d *dir) Rename(_ context.Context, _ string, _ fs.InodeEmbedder, _ string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL // RENAME_EXCHANGE and RENAME_NOREPLACE are not modelled
	}
	return d.powered()
}

// Fsync makes the folder's names durable; the contents behind them have syncs of their own.
func (d *dir) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	if errno := d.disk.lock(); errno != 0 {
		return errno
	}
	defer d.disk.mu.Unlock()
	d.persist()
	return 0
}

func (d *dir) persist() {
	d.durable = d.entries()
}

// entries are the live names.
func (d *dir) entries() map[string]fs.InodeEmbedder {
	live := make(map[string]fs.InodeEmbedder)
	for name, inode := range d.Children() {
		live[name] = inode.Operations()
	}
	return live
}

// Statfs shows a disk with room.
func (d *dir) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Frsize, out.NameLen = 4096, 4096, 255
	out.Blocks, out.Bfree, out.Bavail = 16<<20, 15<<20, 15<<20
	out.Files, out.Ffree = 1<<20, 1<<20
	return 0
}

// all returns every node that is reachable by live or durable names.
func (d *dir) all() map[string]fs.InodeEmbedder {
	both := d.entries()
	maps.Copy(both, d.durable)
	return both
}
