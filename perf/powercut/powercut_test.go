package main

import (
	"bytes"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// mount runs the file system in this process and returns the function that cuts the power and waits.
func mount(t *testing.T, seed uint64) (mnt, image string, end func(syscall.Signal)) {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs /dev/fuse and root")
	}
	mnt, image = filepath.Join(t.TempDir(), "mnt"), filepath.Join(t.TempDir(), "image")
	done := make(chan error, 1)
	go func() { done <- run(mnt, image, seed) }()
	for i := 0; ; i++ {
		var a, b syscall.Stat_t
		if syscall.Stat(mnt, &a) == nil && syscall.Stat(filepath.Dir(mnt), &b) == nil && a.Dev != b.Dev {
			break
		}
		if i == 100 {
			t.Fatal("not mounted after 10 s")
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // run installs its signal handler right after the mount
	return mnt, image, func(sig syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func syncPath(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func TestACutForgetsWhatWasNotSynced(t *testing.T) {
	mnt, image, end := mount(t, 0)
	in := func(elem ...string) string { return filepath.Join(append([]string{mnt}, elem...)...) }

	f, err := os.Create(in("grown"))
	must(t, err)
	_, err = f.WriteString("synced")
	must(t, err)
	must(t, f.Sync())
	_, err = f.WriteString(" and lost")
	must(t, err)
	must(t, os.WriteFile(in("unsynced bytes"), []byte("gone"), 0o644))
	must(t, os.WriteFile(in("old name"), []byte("kept"), 0o644))
	syncPath(t, in("old name"))
	must(t, os.Mkdir(in("folder"), 0o755))
	syncPath(t, mnt)

	must(t, os.Rename(in("old name"), in("new name")))
	must(t, os.WriteFile(in("folder", "unsynced name"), []byte("x"), 0o644))
	syncPath(t, in("folder", "unsynced name"))
	must(t, f.Close())
	end(syscall.SIGUSR1)

	want := func(name, content string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(image, name))
		if err != nil || string(b) != content {
			t.Errorf("%s holds %q, %v; want %q", name, b, err, content)
		}
	}
	gone := func(name string) {
		t.Helper()
		if _, err := os.Stat(filepath.Join(image, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", name)
		}
	}
	want("grown", "synced")
	want("unsynced bytes", "")
	want("old name", "kept")
	gone("new name")
	gone("folder/unsynced name")
}

func TestAnOrderlyShutdownKeepsEverything(t *testing.T) {
	mnt, image, end := mount(t, 0)
	must(t, os.Mkdir(filepath.Join(mnt, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(mnt, "d", "f"), []byte("all"), 0o644))
	end(syscall.SIGTERM)
	if b, err := os.ReadFile(filepath.Join(image, "d", "f")); err != nil || string(b) != "all" {
		t.Errorf("d/f holds %q, %v", b, err)
	}
}

// Whatever the seed keeps: what was synced is there, and each page of what was not is as written, or zeros. Over some
// seeds there are holes in front of written pages, sizes in between, and cuts that lose all or nothing.
func TestACutKeepsSomePages(t *testing.T) {
	const synced, writes, each = page + 100, 3, 3*page + 10
	var holes, middle, nothing, all int
	for seed := range uint64(200) {
		f := &file{disk: &disk{}}
		write := func(n int, c byte) {
			off := int64(len(f.live))
			if _, errno := f.Write(t.Context(), nil, bytes.Repeat([]byte{c}, n), off); errno != 0 {
				t.Fatal(errno)
			}
		}
		write(synced, 's')
		f.Fsync(t.Context(), nil, 0)
		for i := range writes {
			write(each, 'a'+byte(i))
		}
		f.persistSome(rand.New(rand.NewPCG(seed, 1)))
		got := f.durable
		if len(got) < synced || (len(got)-synced)%each != 0 || !bytes.Equal(got[:synced], f.live[:synced]) {
			t.Fatalf("seed %d: %d bytes, or synced ones changed", seed, len(got))
		}
		hole, behind := false, false
		for p := 0; p < len(got); p += page {
			from, to := max(p, synced), min(p+page, len(got))
			switch {
			case from >= to:
			case bytes.Equal(got[from:to], f.live[from:to]):
				behind = behind || hole
			case len(bytes.Trim(got[from:to], "\x00")) == 0:
				hole = true
			default:
				t.Fatalf("seed %d: the page at %d is neither as written nor zeros", seed, p)
			}
		}
		switch {
		case behind:
			holes++
		case len(got) == synced:
			nothing++
		case len(got) == len(f.live) && !hole:
			all++
		case !hole:
			middle++
		}
	}
	if holes < 20 || middle < 20 || nothing < 10 || all < 10 {
		t.Errorf("of 200 cuts %d left holes, %d a part, %d nothing, %d all", holes, middle, nothing, all)
	}
}
