package objstore

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Put implements Store by the steps that Dir's comment numbers.
func (d *Dir) Put(ctx context.Context, key string, body []byte, cond Condition) (Info, error) {
	if err := CheckPut(key, cond); err != nil {
		return Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return Info{}, fmt.Errorf("put %q: %w", key, err)
	}
	info, err := d.put(ctx, key, body, cond)
	if err != nil {
		return Info{}, fmt.Errorf("put %q: %w", key, err)
	}
	return info, nil
}

func (d *Dir) put(ctx context.Context, key string, body []byte, cond Condition) (Info, error) {
	if err := d.present(); err != nil { // before folders are made under a mount point that lost its mount
		return Info{}, err
	}
	if err := d.refuseEarly(key, cond); err != nil {
		return Info{}, err
	}
	if err := d.makeFolders(key); err != nil {
		return Info{}, explain(err)
	}
	temp, st, err := d.writeTemp(body)
	if err != nil {
		return Info{}, explain(err)
	}
	return d.publishDurably(ctx, temp, key, st, crc32.Checksum(body, castagnoli), cond)
}

// publishDurably is steps 3 to 5: the synced temporary file becomes the object, or goes.
func (d *Dir) publishDurably(ctx context.Context, temp, key string, st stat, crc uint32, cond Condition) (Info, error) {
	err := d.publish(ctx, temp, key, st, cond)
	if err == nil {
		err = d.settle(key, st.inode)
		if err != nil {
			// The name is there and may or may not outlive a power cut: not the caller's to clean up.
			err = fmt.Errorf("%w: %v", ErrUnknown, explain(err))
		}
	}
	// After a rename there is nothing to remove; what cannot be removed now is removed by a later open.
	_ = d.sys.unlink(temp)
	if err != nil {
		return Info{}, err
	}
	return newInfo(key, st, crc), nil
}

// refuseEarly saves the writing and syncing of a body that will be refused: of a large upload that is sent again, or of
// the loser of a race. What it lets through is decided in publish.
func (d *Dir) refuseEarly(key string, cond Condition) error {
	if cond == (Condition{}) {
		return nil
	}
	st, err := d.sys.stat(d.path(key))
	switch {
	case err == nil && cond.Absent:
		return refusal(st)
	case err == nil && !strings.HasPrefix(cond.ETag, etagOf(st)), isAbsent(err) && cond.ETag != "":
		return ErrPrecondition
	}
	return nil
}

// makeFolders makes every folder above key and syncs each into its parent. A folder that exists is synced all the same
// unless this process has seen it synced: whoever made it may be between the two calls.
func (d *Dir) makeFolders(key string) error {
	return foldersOf(key, func(parent, folder string) error {
		if d.durable.hasFolder(folder) {
			return nil
		}
		if err := d.sys.mkdir(d.path(folder)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return d.syncInto(parent, folder)
	})
}

func (d *Dir) syncInto(parent, folder string) error {
	if err := d.syncFolder(d.path(parent)); err != nil {
		return err
	}
	d.durable.addFolder(folder)
	return nil
}

// writeTemp writes body to a new temporary file and syncs it. After an error nothing is left of it.
func (d *Dir) writeTemp(body []byte) (string, stat, error) {
	name := d.tempName()
	f, err := d.sys.create(name)
	if err != nil {
		if gone := d.present(); gone != nil {
			err = gone
		}
		return "", stat{}, err
	}
	var st stat
	if _, err = f.Write(body); err == nil {
		st, err = finish(f, int64(len(body)))
	} else {
		_ = f.Close()
	}
	if err != nil {
		_ = d.sys.unlink(name)
		return "", stat{}, err
	}
	return name, st, nil
}

// finish syncs a temporary file that has size bytes, and closes it whatever comes.
func finish(f file, size int64) (stat, error) {
	err := f.Sync()
	var st stat
	if err == nil {
		st, err = f.Stat()
	}
	if err == nil && st.size != size {
		err = fmt.Errorf("wrote %d bytes and found %d", size, st.size)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return st, err
}

// publish gives the temporary file its name, if the condition holds. nil means that the name is this file.
func (d *Dir) publish(ctx context.Context, temp, key string, st stat, cond Condition) error {
	if !cond.Absent {
		return d.replace(ctx, temp, key, st, cond)
	}
	err := d.sys.link(temp, d.path(key))
	if errors.Is(err, fs.ErrNotExist) { // somebody removed the folder since it was last seen
		d.durable.forgetFolders(key)
		if err := d.makeFolders(key); err != nil {
			return explain(err)
		}
		err = d.sys.link(temp, d.path(key))
	}
	return d.outcome(err, key, st)
}

// replace renames the temporary file over the object. The lock makes comparison and rename one step for all that take
// it, which is everything but an exclusive creation: that one cannot come between, since it refuses what exists.
func (d *Dir) replace(ctx context.Context, temp, key string, st stat, cond Condition) error {
	unlock, err := d.sys.lock(ctx, d.lockFile())
	if err != nil {
		return explain(err)
	}
	defer unlock()
	if cond.ETag != "" {
		info, _, err := d.describe(ctx, key)
		if err != nil && !errors.Is(err, ErrNotExist) {
			return fmt.Errorf("compare with the object that is there: %w", err)
		}
		if info.ETag != cond.ETag { // an absent object has none
			return ErrPrecondition
		}
	}
	err = d.sys.rename(temp, d.path(key))
	if errors.Is(err, fs.ErrNotExist) && cond.ETag == "" {
		d.durable.forgetFolders(key)
		if err := d.makeFolders(key); err != nil {
			return explain(err)
		}
		err = d.sys.rename(temp, d.path(key))
	}
	return d.outcome(err, key, st)
}

// outcome finds out what a link or rename did whose answer was err. An error does not always mean that nothing happened
// (a network file system repeats a call whose answer got lost, and then finds its own work): the inode tells.
func (d *Dir) outcome(err error, key string, temp stat) error {
	if err == nil {
		return nil
	}
	there, look := d.sys.stat(d.path(key))
	switch {
	case look == nil && there.inode == temp.inode:
		return nil
	case look == nil && errors.Is(err, fs.ErrExist):
		return refusal(there)
	case look == nil && there.folder:
		return refusal(there)
	case look == nil || isAbsent(look):
		return explain(err)
	}
	return fmt.Errorf("%w: %v, and then %v", ErrUnknown, err, look)
}

func refusal(there stat) error {
	if there.folder {
		return fmt.Errorf("%w: a folder has this name; choose keys that are not the beginning of others up to a slash", unix.EISDIR)
	}
	return ErrPrecondition
}

// settle makes the name durable.
func (d *Dir) settle(key string, inode uint64) error {
	if err := d.syncFolder(path.Dir(d.path(key))); err != nil {
		return err
	}
	d.durable.add(key, inode)
	return nil
}
