//go:build linux

package objstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"firn/commitlib/objstore"
)

// TestDirFullFileSystem fills a small file system for real: the write that does not fit is ErrNoSpace and leaves
// nothing, everything before it is whole, and once space is free the same write goes through.
func TestDirFullFileSystem(t *testing.T) {
	root := t.TempDir()
	if err := unix.Mount("firn-test", root, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("a small file system cannot be mounted here (%v); TestDirFullDisk shows the same call by call", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Errorf("unmount %s: %v", root, err)
		}
	})
	d := openDir(t, root)
	body := bytes.Repeat([]byte("x"), 100<<10)
	stored := 0
	var full error
	for ; full == nil && stored < 20; stored++ {
		_, full = d.Put(t.Context(), fmt.Sprintf("t/%d", stored), body, absent)
	}
	stored--
	if !errors.Is(full, objstore.ErrNoSpace) || errors.Is(full, objstore.ErrUnknown) || stored < 5 {
		t.Fatalf("after %d objects: %v", stored, full)
	}
	key := fmt.Sprintf("t/%d", stored)
	if _, err := d.Head(t.Context(), key); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("head of what did not fit: %v", err)
	}
	if left, _ := filepath.Glob(root + "/.firn-tmp/*-*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	for n := range stored {
		got, _, err := d.Get(t.Context(), fmt.Sprintf("t/%d", n))
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("object %d of before: %d bytes, %v", n, len(got), err)
		}
	}
	if err := d.Delete(t.Context(), "t/0"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Put(t.Context(), key, body, absent); err != nil {
		t.Errorf("put once there is space: %v", err)
	}
}
