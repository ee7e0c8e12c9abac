package objstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Dir is an object store in a local directory: a key is a file's path below the root. It is durable by fsync, and safe
// between processes on one host. The file system must have hard links, must keep one file system below the root (a
// temporary file is linked from the root's own folder), and must tell names apart by case.
//
// # How an object is put
//
//  1. Every folder down to the object's is made and synced into its parent, unless this process knows it to be durable.
//  2. The body is written to a new file in <root>/.firn-tmp and synced.
//  3. The file is given its name: by link, which refuses a name that exists, for Condition.Absent; by rename otherwise,
//     under a lock with the comparison that Condition.ETag asks for. This is the commit point for whoever looks.
//  4. The folder is synced. This is the commit point for durability; Put returns nil after it and not before.
//  5. A linked file's temporary name is removed.
//
// A crash before 3 leaves at most a file in .firn-tmp, removed when a later open finds it older than
// tempAge; after 3 and before 4 the object is there whole, or after a power cut perhaps not at all. It is
// never opened for writing at its final name: a kill would leave it cut short there, and as the table's
// current version. An error of 4 is ErrUnknown.
//
// A name can be seen between 3 and 4. Who acts on what it read (trims a log, say) must not lose it to a
// power cut afterwards, so Get and Head sync the folder themselves when the name is younger than
// unsettledAge and not known to be durable.
//
// Dir keeps no checksum: Head reads the object to make one, at about the speed of the disk. ReadAt and List do not, and
// List holds the names of one folder at a time. Delete is not synced, so that a power cut can bring an object back:
// delete it again. It leaves empty folders behind, which Folders shows and nothing else does.
//
// A store whose directory vanishes while it is open (a lost mount, a folder that was moved away) is no
// empty store: callers would make tables anew in it. So nothing is called absent unless <root>/.firn-tmp is
// there, and only opening makes directories.
type Dir struct {
	root    string
	temp    string
	sys     syscalls
	now     func() time.Time
	durable durable
}

const (
	// tempAge is how old a temporary file must be before it is taken for a crash's remains: another process may be
	// writing it. Taking one too early costs its writer an error that left nothing, never an object, since link and
	// rename then find no file.
	tempAge = time.Hour

	// unsettledAge is how long after its change time a name may still be without its folder's sync. Beyond it the
	// kernel has written it back by itself: local file systems commit their journals every 5 to 30 seconds.
	unsettledAge = time.Minute
)

// OpenDir opens the store in a directory, and makes it if it does not exist. It fails where the file system cannot do
// what Dir needs, and says what to do about it.
func OpenDir(root string) (*Dir, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open store directory %s: %w", root, err)
	}
	return openDir(abs, realSyscalls, time.Now)
}

func openDir(root string, sys syscalls, now func() time.Time) (*Dir, error) {
	d := &Dir{root: root, temp: root + "/" + tempFolder, sys: sys, now: now}
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("open store directory %s: %w", root, explain(err))
	}
	return d, nil
}

func (d *Dir) open() error {
	if d.root == "/" {
		return errors.New("the root of the file system cannot be a store; name a directory below it")
	}
	if err := d.makeRoot(d.root); err != nil {
		return err
	}
	if err := d.sys.mkdir(d.temp); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.removeStale(); err != nil {
		return err
	}
	return d.probe()
}

// makeRoot makes a folder and its missing parents, and syncs each into the folder above.
func (d *Dir) makeRoot(folder string) error {
	st, err := d.sys.stat(folder)
	switch {
	case err == nil && !st.folder:
		return fmt.Errorf("%s is a file; name a directory", folder)
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := path.Dir(folder)
	if err := d.makeRoot(parent); err != nil {
		return err
	}
	if err := d.sys.mkdir(folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.syncFolder(parent)
}

// removeStale removes what crashes left in the folder of temporary files. A file that goes away meanwhile is another
// opener's work.
func (d *Dir) removeStale() error {
	entries, err := d.sys.readDir(d.temp)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := d.temp + "/" + e.name
		if e.folder || name == d.lockFile() {
			continue
		}
		st, err := d.sys.stat(name)
		if err == nil && d.now().Sub(st.modified) > tempAge {
			err = d.sys.unlink(name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// probe finds out at start, not at the first commit, whether files can be made and linked here.
func (d *Dir) probe() error {
	name, _, err := d.writeTemp(nil)
	if err != nil {
		return err
	}
	defer d.sys.unlink(name)
	linked := name + "-link"
	if err := d.sys.link(name, linked); err != nil {
		return err
	}
	return d.sys.unlink(linked)
}

// Root is the absolute path of the directory: locations in table metadata are plain
// paths, which engines on this host open.
func (d *Dir) Root() string { return d.root }

// Delete implements Store. It keeps going after an error, and returns all of them.
func (d *Dir) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	for _, key := range keys {
		if err := CheckKey(key); err != nil {
			return err
		}
	}
	unlock, err := d.sys.lock(ctx, d.lockFile()) // a conditional Put must not rename over what was deleted after its comparison
	if err != nil {
		return fmt.Errorf("delete %q: %w", keys[0], explain(err))
	}
	defer unlock()
	var failed []error
	for _, key := range keys {
		err := d.sys.unlink(d.path(key))
		if err != nil && !isAbsent(err) {
			failed = append(failed, fmt.Errorf("delete %q: %w", key, explain(err)))
		}
		d.durable.forget(key)
	}
	return errors.Join(failed...)
}

// present says whether the store's directory is still the one that was opened. A mount point that lost its mount is
// there, and empty: the folder of temporary files tells.
func (d *Dir) present() error {
	_, err := d.sys.stat(d.temp)
	if isAbsent(err) {
		return fmt.Errorf("the store directory %s is gone, or is another one (its %s is missing): mount it or move it back", d.root, tempFolder)
	}
	if err != nil {
		return explain(err)
	}
	return nil
}

// absent is the answer that there is no object, if that can be told.
func (d *Dir) absent() error {
	if err := d.present(); err != nil {
		return err
	}
	return ErrNotExist
}

func (d *Dir) path(key string) string { return d.root + "/" + key }

func (d *Dir) lockFile() string { return d.temp + "/lock" }

func (d *Dir) tempName() string {
	return fmt.Sprintf("%s/%d-%s", d.temp, os.Getpid(), strings.ToLower(rand.Text()))
}

func (d *Dir) syncFolder(folder string) error {
	f, err := d.sys.open(folder)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
