package objstore_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"firn/commitlib/objstore"
	"firn/commitlib/objstore/storetest"
)

func openDir(t *testing.T, root string) *objstore.Dir {
	t.Helper()
	d, err := objstore.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDirContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store { return openDir(t, t.TempDir()) })
}

// alternating sends each write to the other of two stores that were opened on one directory, as two processes would.
type alternating struct {
	objstore.Store
	other objstore.Store
	calls *atomic.Int64
}

func (a alternating) Put(ctx context.Context, key string, body []byte, cond objstore.Condition) (objstore.Info, error) {
	if a.calls.Add(1)%2 == 0 {
		return a.other.Put(ctx, key, body, cond)
	}
	return a.Store.Put(ctx, key, body, cond)
}

func TestDirContractTwoHandles(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store {
		root := t.TempDir()
		return alternating{openDir(t, root), openDir(t, root), new(atomic.Int64)}
	})
}

// TestDirProcesses counts under If-Match from four processes: the lock must hold between them.
func TestDirProcesses(t *testing.T) {
	const each, processes = 25, 4
	if root := os.Getenv("FIRN_TEST_STORE"); root != "" {
		d := openDir(t, root)
		for range each {
			increment(t, d)
		}
		return
	}
	root := t.TempDir()
	d := openDir(t, root)
	if _, err := d.Put(t.Context(), "counter", []byte("0"), absent); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range processes {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDirProcesses$")
			cmd.Env = append(os.Environ(), "FIRN_TEST_STORE="+root)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	wg.Wait()
	if body, _, err := d.Get(t.Context(), "counter"); err != nil || string(body) != strconv.Itoa(each*processes) {
		t.Errorf("counted to %s, %v; want %d", body, err, each*processes)
	}
}

func increment(t *testing.T, d *objstore.Dir) {
	for {
		body, info, err := d.Get(t.Context(), "counter")
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(string(body))
		if err != nil {
			t.Fatalf("read %q", body)
		}
		_, err = d.Put(t.Context(), "counter", []byte(strconv.Itoa(n+1)), objstore.Condition{ETag: info.ETag})
		if err == nil {
			return
		}
		if !errors.Is(err, objstore.ErrPrecondition) {
			t.Fatal(err)
		}
	}
}

func TestDirRoot(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	d := openDir(t, "some/new/warehouse")
	if want := filepath.Join(here, "some/new/warehouse"); d.Root() != want {
		t.Errorf("root %q, want %q", d.Root(), want)
	}
	if err := os.WriteFile("file", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"file", "file/below", "/"} {
		if _, err := objstore.OpenDir(root); err == nil {
			t.Errorf("%s was opened", root)
		}
	}
}

// TestDirVanished moves the directory away under an open store, as a lost mount does, and leaves nothing or an empty
// mount point: no object may be called absent then, no listing empty, and no write may make the directory anew.
func TestDirVanished(t *testing.T) {
	f := func(mountPoint bool) {
		root := filepath.Join(t.TempDir(), "store")
		d := openDir(t, root)
		if _, err := d.Put(t.Context(), "default/clicks/v1", []byte("1"), absent); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(root, root+"2"); err != nil {
			t.Fatal(err)
		}
		if mountPoint {
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		check := func(call string, err error) {
			t.Helper()
			if err == nil || errors.Is(err, objstore.ErrNotExist) || errors.Is(err, objstore.ErrPrecondition) || !strings.Contains(err.Error(), root) {
				t.Errorf("%s (mount point %v): %v, want an error that names %s", call, mountPoint, err, root)
			}
		}
		none := func(objstore.Info) error { return nil }
		_, _, err := d.Get(t.Context(), "default/clicks/v1")
		check("get", err)
		_, err = d.Head(t.Context(), "default/clicks/v2")
		check("head", err)
		_, err = d.ReadAt(t.Context(), "default/clicks/v1", make([]byte, 1), 0)
		check("read", err)
		for _, prefix := range []string{"", "default/", "default/clicks/v"} {
			check("list "+prefix, d.List(t.Context(), prefix, none))
		}
		for _, prefix := range []string{"", "default/"} {
			check("folders "+prefix, d.Folders(t.Context(), prefix, func(string) error { return nil }))
		}
		for _, cond := range []objstore.Condition{{}, absent, {ETag: "x"}} {
			_, err = d.Put(t.Context(), "default/clicks/v2", []byte("2"), cond)
			check("put", err)
			_, err = d.Put(t.Context(), "new", []byte("2"), cond)
			check("put", err)
		}
		check("delete", d.Delete(t.Context(), "default/clicks/v1"))
		if left, err := os.ReadDir(root); len(left) > 0 || (err == nil) != mountPoint {
			t.Errorf("the directory was made anew: %v, %v", left, err)
		}

		if mountPoint {
			if err := os.Remove(root); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(root+"2", root); err != nil {
			t.Fatal(err)
		}
		if body, _, err := d.Get(t.Context(), "default/clicks/v1"); err != nil || string(body) != "1" {
			t.Errorf("back again: %q, %v", body, err)
		}
	}
	f(false)
	f(true)
}

// TestDirLinkedFolder: an operator moved a table to another folder of the same file system and left a symbolic link.
func TestDirLinkedFolder(t *testing.T) {
	root, elsewhere := t.TempDir(), t.TempDir()
	d := openDir(t, root)
	if err := os.Symlink(elsewhere, root+"/moved"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere+"/none", root+"/dangling"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Put(t.Context(), "moved/a/b", []byte("x"), absent); err != nil {
		t.Fatal(err)
	}
	var keys []string
	err := d.List(t.Context(), "", func(info objstore.Info) error {
		keys = append(keys, info.Key)
		return nil
	})
	if err != nil || len(keys) != 1 || keys[0] != "moved/a/b" {
		t.Errorf("listed %q, %v", keys, err)
	}
}

// TestDirNamesClash: an object and a folder cannot have one name here; the error says so and is no refusal of a
// condition.
func TestDirNamesClash(t *testing.T) {
	d := openDir(t, t.TempDir())
	if _, err := d.Put(t.Context(), "a/b", nil, absent); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "a/b/c"} {
		for _, cond := range []objstore.Condition{absent, {}} {
			_, err := d.Put(t.Context(), key, nil, cond)
			if err == nil || errors.Is(err, objstore.ErrPrecondition) || errors.Is(err, objstore.ErrUnknown) || !strings.Contains(err.Error(), "choose keys") {
				t.Errorf("put %s with %+v: %v", key, cond, err)
			}
		}
	}
	if left, err := filepath.Glob(d.Root() + "/.firn-tmp/*-*"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestDirReadOnly(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("permissions do not bind the superuser; TestExplain shows the message")
	}
	root := t.TempDir()
	d := openDir(t, root)
	for _, folder := range []string{root, root + "/.firn-tmp"} {
		if err := os.Chmod(folder, 0o555); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(folder, 0o755)
	}
	if _, err := d.Put(t.Context(), "a/b", nil, absent); err == nil || !strings.Contains(err.Error(), "give the user") {
		t.Errorf("put: %v", err)
	}
	if _, err := objstore.OpenDir(root); err == nil || !strings.Contains(err.Error(), "give the user") {
		t.Errorf("open: %v", err)
	}
}

func BenchmarkDirPut(b *testing.B) {
	d, err := objstore.OpenDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{1 << 10, 1 << 20, 16 << 20} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			body := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, err := d.Put(b.Context(), "t/"+strconv.Itoa(size)+"-"+strconv.Itoa(n), body, absent); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
