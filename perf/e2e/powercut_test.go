package e2e

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"firn/perf/spawn"
	"firn/perf/tier"
)

// disk is a mounted file system that forgets what was not synced: perf/powercut.
type disk struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Reader
}

func mountDisk(t *testing.T, mountpoint, image string, seed uint64) *disk {
	t.Helper()
	d := &disk{t: t, cmd: exec.Command(Build(t, "powercut", "perf/powercut", "."), "-seed", fmt.Sprint(seed), mountpoint, image)}
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := spawn.Start(d.cmd); err != nil {
		t.Fatalf("mount: %v", err)
	}
	d.lines = bufio.NewReader(out)
	d.expect("mounted")
	t.Cleanup(func() {
		if d.cmd.ProcessState == nil {
			d.cmd.Process.Kill()
			d.cmd.Wait()
			syscall.Unmount(mountpoint, syscall.MNT_DETACH)
		}
	})
	return d
}

func (d *disk) expect(want string) {
	d.t.Helper()
	if line, err := d.lines.ReadString('\n'); strings.TrimSpace(line) != want {
		d.t.Fatalf("powercut said %q, %v; want %q", line, err, want)
	}
}

// end cuts the power (SIGUSR1) or shuts down in order (SIGTERM); user, if not nil, is
// what has files open, and ends in between.
func (d *disk) end(sig syscall.Signal, user *Daemon) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.t.Fatal(err)
	}
	d.expect("cut")
	if user != nil {
		user.Kill()
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Fatalf("powercut: %v", err)
	}
}

// The power is cut under load. What was acked must be in the tables once, though everything that was
// not synced is gone: bytes of the log, files of the warehouse, names in folders. Half of the cuts keep
// a random part of what was not synced.
func TestPowerCut(t *testing.T) {
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs /dev/fuse and root to mount perf/powercut")
	}
	seed := Seed(t)
	r := rand.New(rand.NewPCG(seed, 2))
	cuts := tier.Pick(4, 15, 100)
	tables := []string{"clicks", "views", "orders"}
	p := NewProducers(NewLedger(), 0, 36, tables...)
	p.Broken = true // from the cut until it is killed, the daemon sees a disk that fails
	dir := t.TempDir()
	mountpoint, image := filepath.Join(dir, "mnt"), filepath.Join(dir, "image")
	data := filepath.Join(mountpoint, "data")
	o := Options{Binary: PlainIngestd(t), Data: data, Flags: []string{"-cut-interval", "150ms"}}
	for i := range cuts {
		keep := uint64(0)
		if i%2 == 1 {
			keep = r.Uint64() | 1
		}
		disk := mountDisk(t, mountpoint, image, keep)
		d := Start(t, o)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Run(ctx, t, d.URL, seed+uint64(i))
		}()
		time.Sleep(time.Duration(r.IntN(900)) * time.Millisecond)
		disk.end(syscall.SIGUSR1, d)
		stop()
		select {
		case <-done:
		case <-time.After(2 * requestTime):
			t.Fatalf("cut %d: requests still hang %v after the daemon's death", i, 2*requestTime)
		}
		if t.Failed() {
			t.Fatalf("cut %d (keeping seed %d)", i, keep)
		}
	}

	disk := mountDisk(t, mountpoint, image, 0)
	o.Flags = []string{"-cut-interval", "5s"} // enough snapshots for the tables' readers
	d := Start(t, o)
	t.Logf("%d events were sent again under their keys", p.Resend(t, d.Client()))
	d.Stop()
	Drain(t, o, 2*time.Minute)
	for _, engine := range []string{"duckdb-folder", "pyiceberg"} {
		p.Ledger.Verify(t, engine, Folder(filepath.Join(data, "warehouse")), tables...)
	}
	disk.end(syscall.SIGTERM, nil)
}
