package load

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
	"time"

	"firn/perf/spawn"
)

const (
	startTime = 30 * time.Second // for a daemon to be ready, on a busy machine
	stopTime  = 30 * time.Second // for SIGTERM to end it: it promises 10 s
)

// Process is an ingestd that belongs to this one: started in a directory of its own, ended and removed with it.
type Process struct {
	Target
	Admin string // its admin address; empty: it has none
	cmd   *exec.Cmd
	dir   string
	done  chan error
}

// Start starts an ingestd with these flags besides its address and directories, below the directory in, and waits until
// it is ready. The kernel kills it if this process ends without Stop.
func Start(ctx context.Context, binary, in string, flags []string) (*Process, error) {
	dir, err := os.MkdirTemp(in, "firn-perf-*")
	if err != nil {
		return nil, fmt.Errorf("start ingestd: %w", err)
	}
	data := filepath.Join(dir, "data")
	p := &Process{dir: dir, done: make(chan error, 1)}
	p.Data, p.Warehouse, p.Flags = data, filepath.Join(data, "warehouse", "default"), flags
	log, err := os.Create(filepath.Join(dir, "ingestd.log"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start ingestd: %w", err), os.RemoveAll(dir))
	}
	defer log.Close()
	p.cmd = exec.Command(binary, append([]string{"-listen", "127.0.0.1:0", "-data", data}, flags...)...)
	p.cmd.Stderr = log
	for _, e := range os.Environ() { // an operator's settings are not this measurement's
		if !strings.HasPrefix(e, "FIRN_") && !strings.HasPrefix(e, "AWS_") {
			p.cmd.Env = append(p.cmd.Env, e)
		}
	}
	if err := spawn.Start(p.cmd); err != nil {
		return nil, errors.Join(fmt.Errorf("start ingestd: %w", err), os.RemoveAll(dir))
	}
	p.PID = p.cmd.Process.Pid
	go func() { p.done <- p.cmd.Wait() }()
	if err := p.awaitReady(ctx); err != nil {
		tail := readText(log.Name())
		p.cmd.Process.Kill()
		return nil, errors.Join(fmt.Errorf("start ingestd: %w\n%s", err, tail[max(0, len(tail)-2000):]), os.RemoveAll(dir))
	}
	return p, nil
}

func (p *Process) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		select {
		case err := <-p.done:
			return fmt.Errorf("it ended: %v", err)
		case <-ctx.Done():
			return fmt.Errorf("it was not ready in %v", startTime)
		case <-time.After(5 * time.Millisecond):
		}
		p.Addr = strings.TrimSpace(readText(filepath.Join(p.Data, "http.addr")))
		if p.Addr == "" {
			continue
		}
		p.Admin = strings.TrimSpace(readText(filepath.Join(p.Data, "admin.addr")))
		resp, err := client.Get("http://" + p.Addr + "/health/ready")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// Stop ends the daemon by SIGTERM, and by SIGKILL when that takes too long, and removes its directory.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop ingestd: %w", err)
	}
	var err error
	select {
	case err = <-p.done:
	case <-time.After(stopTime):
		p.cmd.Process.Kill()
		err = errors.Join(fmt.Errorf("it still ran after %v", stopTime), <-p.done)
	}
	if err != nil {
		tail := readText(filepath.Join(p.dir, "ingestd.log"))
		err = fmt.Errorf("stop ingestd: %w\n%s", err, tail[max(0, len(tail)-2000):])
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}
