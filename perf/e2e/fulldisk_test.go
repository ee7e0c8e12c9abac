package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A volume fills up under the daemon: first below its reserve, then to the last byte, by a file of somebody else's.
// Appends are refused with 507 meanwhile, while reading and committing go on; once there is room again they are taken
// within seconds. Nothing acked is lost.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	volume := filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(volume, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", volume, "tmpfs", 0, "size=384m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(volume, syscall.MNT_DETACH) })
	warehouse := t.TempDir()
	o := Options{
		Data:  filepath.Join(volume, "data"),
		Flags: []string{"-warehouse", warehouse, "-disk-reserve", "64MiB", "-log-bytes", "128MiB", "-cut-interval", "1h"},
	}
	d := Start(t, o)
	defer d.Kill()
	c, ctx := d.Client(), t.Context()
	from := time.Now().UnixMicro()
	want := Expected{}
	n := 0
	post := func() error {
		n++
		e := Event{TimeMs: time.Now().UnixMilli(), Payload: fmt.Appendf(nil, `{"n":%d}`, n)}
		ack, err := c.Single(ctx, "clicks", e)
		if err == nil {
			want.Add(t, e.Row(ack.Log, ack.First))
		}
		return err
	}
	status := func(err error) int {
		var s *StatusError
		if errors.As(err, &s) {
			return s.Status
		}
		if err == nil {
			return http.StatusOK
		}
		t.Fatal(err)
		return 0
	}
	// until posts until the answer is the wanted one.
	until := func(wanted int) {
		t.Helper()
		last := 0
		for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if last = status(post()); last == wanted {
				return
			}
			if last != http.StatusOK && last != http.StatusInsufficientStorage && last != http.StatusServiceUnavailable {
				t.Fatalf("an append was answered with %d", last)
			}
		}
		t.Fatalf("appends are answered with %d after 15 s, want %d", last, wanted)
	}
	reads := func() {
		t.Helper()
		if err := c.Do(ctx, "GET", "/tables/clicks?limit=10", nil, nil, nil); err != nil {
			t.Errorf("reading while the volume is full: %v", err)
		}
	}
	commits := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if err := c.Do(ctx, "POST", "/tables/clicks/commit", nil, nil, nil); err != nil {
			t.Errorf("committing while the volume is full: %v", err)
		}
	}

	for range 20 {
		if err := post(); err != nil {
			t.Fatal(err)
		}
	}
	filler := filepath.Join(volume, "somebody-elses-file")
	t.Log("below the reserve")
	fill(t, filler, volume, 40<<20)
	until(http.StatusInsufficientStorage)
	reads()
	commits()
	os.Remove(filler)
	until(http.StatusOK)

	t.Log("to the last byte")
	for range 20 {
		if err := post(); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, filler, volume, 0)
	until(http.StatusInsufficientStorage)
	reads()
	commits()
	var ready *StatusError
	if err := c.Do(ctx, "GET", "/health/ready", nil, nil, nil); !errors.As(err, &ready) || ready.Status != http.StatusServiceUnavailable {
		t.Errorf("/health/ready says %v of a full volume, want 503", err)
	}
	os.Remove(filler)
	until(http.StatusOK)

	d.Stop()
	Drain(t, o, time.Minute)
	want.Compare(t, "duckdb-folder", filepath.Join(warehouse, "default", "clicks"), from, time.Now().UnixMicro())
}

// fill grows a file until the volume has no more than left bytes free.
func fill(t *testing.T, path, volume string, left int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunk := make([]byte, 1<<20)
	for {
		var s syscall.Statfs_t
		if err := syscall.Statfs(volume, &s); err != nil {
			t.Fatal(err)
		}
		free := int64(s.Bavail) * s.Bsize
		if free <= left {
			return
		}
		_, err := f.Write(chunk[:min(int64(len(chunk)), free-left)])
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, io.ErrShortWrite) {
			if left == 0 {
				return
			}
			t.Fatalf("the volume is full with %d bytes to leave", left)
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
