package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"firn/perf/peer"
	"firn/perf/spawn"
)

const (
	// startTime bounds the wait for a daemon to be ready. Replaying a full write-ahead
	// log on two busy cores takes seconds.
	startTime = 60 * time.Second
	// stopTime is how long SIGTERM may take: the daemon promises 10 s; the rest is for a
	// machine that is busy with other tests.
	stopTime = 20 * time.Second
)

// Options says how to start a daemon.
type Options struct {
	Binary  string   // default Ingestd(t)
	Data    string   // the data directory; required
	Flags   []string // besides -listen and -data
	Env     []string // besides the environment without Firn's and AWS's variables
	Wrapper []string // a command that starts the daemon in its own place: by exec, so that the handle stays the daemon's
}

// Daemon is a running ingestd.
type Daemon struct {
	Data string
	URL  string // http://127.0.0.1:port

	t      testing.TB
	cmd    *exec.Cmd
	log    string        // file of its standard error
	exited chan struct{} // closed when it is gone; err says how
	err    error
}

// Start starts a daemon on a port of its own, and waits until it is ready. The test's end kills it if it still runs,
// and shows the end of its log if the test did not pass.
func Start(t testing.TB, o Options) *Daemon {
	t.Helper()
	d := Launch(t, o)
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := d.awaitReady(ctx); err != nil {
		t.Fatalf("start ingestd: %v\n%s", err, d.Log(4000))
	}
	return d
}

// Launch starts the process and returns at once.
func Launch(t testing.TB, o Options) *Daemon {
	t.Helper()
	if o.Binary == "" {
		o.Binary = Ingestd(t)
	}
	d := &Daemon{Data: o.Data, t: t, exited: make(chan struct{})}
	// An address left by an earlier run must not be taken for this one's.
	if err := os.Remove(d.addrFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	logFile, err := os.CreateTemp(t.TempDir(), "ingestd-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer logFile.Close()
	d.log = logFile.Name()

	args := append(append([]string{}, o.Wrapper...), o.Binary, "-listen", "127.0.0.1:0", "-data", o.Data)
	args = append(args, o.Flags...)
	d.cmd = exec.Command(args[0], args[1:]...)
	d.cmd.Stderr, d.cmd.Stdout = logFile, logFile
	d.cmd.Env = append(peer.CleanEnv(), o.Env...)
	if err := spawn.Start(d.cmd); err != nil {
		t.Fatalf("start ingestd: %v", err)
	}
	go func() {
		d.err = d.cmd.Wait()
		close(d.exited)
	}()
	t.Cleanup(func() {
		select {
		case <-d.exited: // as the test wanted: it has told of what it did not want
		default:
			d.Kill()
			if t.Failed() {
				t.Logf("the end of ingestd's log:\n%s", d.Log(4000))
			}
		}
	})
	return d
}

func (d *Daemon) addrFile() string { return filepath.Join(d.Data, "http.addr") }

func (d *Daemon) awaitReady(ctx context.Context) error {
	var last error = errors.New("not tried")
	for {
		select {
		case <-d.exited:
			return fmt.Errorf("it exited: %w", d.exit())
		case <-ctx.Done():
			return fmt.Errorf("not ready in %v: %w", startTime, last)
		case <-time.After(10 * time.Millisecond):
		}
		addr, err := os.ReadFile(d.addrFile())
		if err != nil {
			last = err
			continue
		}
		d.URL = "http://" + strings.TrimSpace(string(addr))
		resp, err := http.Get(d.URL + "/health/ready")
		if err != nil {
			last = err
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		last = errors.New(resp.Status)
	}
}

// Log is the last n bytes of what the daemon logged.
func (d *Daemon) Log(n int) string {
	data, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-n):])
}

// PID is the daemon's process id.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

// Kill ends the daemon by SIGKILL, waits until it is gone, and may be called again.
func (d *Daemon) Kill() {
	d.cmd.Process.Kill() // an error says that it is gone
	<-d.exited
}

// Stop ends the daemon by SIGTERM and fails the test unless it exits 0 in time.
func (d *Daemon) Stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		d.t.Fatalf("stop ingestd: %v", err)
	}
	if err := d.Wait(stopTime); err != nil {
		d.t.Fatalf("stop ingestd: %v\n%s", err, d.Log(4000))
	}
}

// Wait waits for the daemon's own end: nil is exit 0.
func (d *Daemon) Wait(atMost time.Duration) error {
	select {
	case <-d.exited:
		return d.err
	case <-time.After(atMost):
		return fmt.Errorf("still runs after %v", atMost)
	}
}

// exit is how it ended; for use after exited.
func (d *Daemon) exit() error {
	if d.err == nil {
		return errors.New("exit 0")
	}
	return d.err
}

// Drain runs ingestd -drain on a data directory and waits for it to exit 0: everything acked is in the tables then.
func Drain(t testing.TB, o Options, atMost time.Duration) {
	t.Helper()
	o.Flags = append(append([]string{}, o.Flags...), "-drain")
	d := Launch(t, o)
	if err := d.Wait(atMost); err != nil {
		t.Fatalf("drain: %v\n%s", err, d.Log(4000))
	}
}
