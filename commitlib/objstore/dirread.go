package objstore

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"
)

// checksumBytes is the buffer that Head reads an object through.
const checksumBytes = 256 << 10

// Get implements Store.
func (d *Dir) Get(ctx context.Context, key string) ([]byte, Info, error) {
	body, info, err := d.get(ctx, key)
	if err != nil {
		return nil, Info{}, fmt.Errorf("get %q: %w", key, err)
	}
	return body, info, nil
}

func (d *Dir) get(ctx context.Context, key string) ([]byte, Info, error) {
	f, st, err := d.openObject(ctx, key)
	if err != nil {
		return nil, Info{}, err
	}
	defer f.Close()
	if st.size > math.MaxInt {
		return nil, Info{}, fmt.Errorf("its %d bytes do not fit into memory; read it in parts", st.size)
	}
	body := make([]byte, st.size)
	if n, err := f.ReadAt(body, 0); n < len(body) {
		return nil, Info{}, fmt.Errorf("read byte %d of %d: %w", n, len(body), explain(err))
	}
	if err := d.ensureDurable(key, st); err != nil {
		return nil, Info{}, err
	}
	return body, newInfo(key, st, crc32.Checksum(body, castagnoli)), nil
}

// Head implements Store. It reads the object to make its checksum and ETag.
func (d *Dir) Head(ctx context.Context, key string) (Info, error) {
	info, st, err := d.describe(ctx, key)
	if err == nil {
		err = d.ensureDurable(key, st)
	}
	if err != nil {
		return Info{}, fmt.Errorf("head %q: %w", key, err)
	}
	return info, nil
}

// describe reads an object through and makes its Info.
func (d *Dir) describe(ctx context.Context, key string) (Info, stat, error) {
	f, st, err := d.openObject(ctx, key)
	if err != nil {
		return Info{}, stat{}, err
	}
	defer f.Close()
	buffer := make([]byte, min(checksumBytes, st.size))
	var crc uint32
	for off := int64(0); off < st.size; {
		if err := ctx.Err(); err != nil {
			return Info{}, stat{}, err
		}
		n, err := f.ReadAt(buffer[:min(int64(len(buffer)), st.size-off)], off)
		if n == 0 {
			return Info{}, stat{}, fmt.Errorf("read byte %d of %d: %w", off, st.size, explain(err))
		}
		crc = crc32.Update(crc, castagnoli, buffer[:n])
		off += int64(n)
	}
	return newInfo(key, st, crc), st, nil
}

// ReadAt implements Store.
func (d *Dir) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	f, st, err := d.openObject(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("read %q: %w", key, err)
	}
	defer f.Close()
	if off < 0 {
		return 0, fmt.Errorf("read %q: negative position %d", key, off)
	}
	if off >= st.size {
		return 0, io.EOF
	}
	n, err := f.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("read %q: %w", key, explain(err))
	}
	return n, err
}

// openObject opens an object for reading; ErrNotExist where the name is nothing, or a folder.
func (d *Dir) openObject(ctx context.Context, key string) (file, stat, error) {
	if err := checkKey(key); err != nil {
		return nil, stat{}, err
	}
	if err := ctx.Err(); err != nil {
		return nil, stat{}, err
	}
	f, err := d.sys.open(d.path(key))
	if isAbsent(err) {
		return nil, stat{}, d.absent()
	}
	if err != nil {
		return nil, stat{}, explain(err)
	}
	st, err := f.Stat()
	if err == nil && st.folder {
		err = ErrNotExist
	}
	if err != nil {
		f.Close()
		return nil, stat{}, err
	}
	return f, st, nil
}

// ensureDurable syncs a name that was seen and may not be durable yet: its writer is between naming it and
// syncing its folder, or was killed there.
func (d *Dir) ensureDurable(key string, st stat) error {
	if d.now().Sub(st.changed) > unsettledAge || d.durable.has(key, st.inode) {
		return nil
	}
	err := foldersOf(key, func(parent, folder string) error {
		if d.durable.hasFolder(folder) {
			return nil
		}
		return d.syncInto(parent, folder)
	})
	if err == nil {
		err = d.settle(key, st.inode)
	}
	if err != nil {
		return fmt.Errorf("sync its folder before answering: %w", explain(err))
	}
	return nil
}

// newInfo describes an object. An inode's number can come back within the file system's clock tick, so the ETag
// holds the checksum too: two versions that agree in all four parts are one version.
func newInfo(key string, st stat, crc uint32) Info {
	return Info{
		Key: key, Size: st.size, Modified: st.modified, Checksum: formatChecksum(crc),
		ETag: fmt.Sprintf("%s%08x", etagOf(st), crc),
	}
}

// etagOf is the part of an ETag that is known without reading the object.
func etagOf(st stat) string {
	return fmt.Sprintf("%x-%x-%x-", st.inode, st.modified.UnixNano(), st.size)
}

// List implements Store; ETag and Checksum stay empty.
func (d *Dir) List(ctx context.Context, prefix string, fn func(Info) error) error {
	return d.walk(ctx, prefix[:strings.LastIndexByte(prefix, '/')+1], prefix, fn)
}

// walk lists below folder, which is "" or ends in a slash.
func (d *Dir) walk(ctx context.Context, folder, prefix string, fn func(Info) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("list %q: %w", prefix, err)
	}
	names, err := d.sorted(folder)
	if err != nil {
		return fmt.Errorf("list %q: %w", prefix, err)
	}
	for _, name := range names {
		key := folder + name
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if isFolder(name) {
			err = d.walk(ctx, key, prefix, fn)
		} else {
			err = d.listObject(key, prefix, fn)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sorted reads one folder, "" or ending in a slash, in the order of the keys: a folder's name has a slash at its end,
// so that "a.b" comes before "a/b". It leaves out what no key names, Dir's own folder among it.
func (d *Dir) sorted(folder string) ([]string, error) {
	if folder != "" && checkKey(folder[:len(folder)-1]) != nil {
		return nil, nil // no key begins so
	}
	entries, err := d.sys.readDir(d.path(folder))
	if isAbsent(err) {
		return nil, d.present()
	}
	if err != nil {
		return nil, explain(err)
	}
	if len(entries) == 0 {
		if err := d.present(); err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		if checkKey(folder+e.name) != nil {
			continue
		}
		if e.folder {
			e.name += "/"
		}
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names, nil
}

// isFolder says that a name which sorted returned is a folder's.
func isFolder(name string) bool { return strings.HasSuffix(name, "/") }

func (d *Dir) listObject(key, prefix string, fn func(Info) error) error {
	st, err := d.sys.stat(d.path(key))
	if isAbsent(err) {
		return d.present() // deleted since its folder was read
	}
	if err != nil {
		return fmt.Errorf("list %q: %w", prefix, explain(err))
	}
	return fn(Info{Key: key, Size: st.size, Modified: st.modified})
}
