package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"firn/perf/spawn"
	"firn/perf/tier"
)

// startTime bounds the wait for a server: a Java one on two busy cores takes tens of seconds.
const startTime = 2 * time.Minute

// program says how to start a server.
type program struct {
	name string
	path string
	// args and env get the port to listen on and a folder of the server's own.
	args func(port int, dir string) []string
	env  func(port int, dir string) []string
	// ready asks the server at base (http://127.0.0.1:port) something harmless.
	ready func(ctx context.Context, base string) error
}

// server is a running program.
type server struct {
	base   string // http://127.0.0.1:port
	dir    string
	cmd    *exec.Cmd
	exited chan struct{}
}

// start runs the program until stop or the end of this process, and returns when it is ready.
func (p program) start() (*server, error) {
	var err error
	// Another process may take the free port before the program does: then it exits, and the next port is tried.
	for range 3 {
		var s *server
		if s, err = p.try(); err == nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("start %s: %w", p.name, err)
}

func (p program) try() (*server, error) {
	dir, err := newDir(p.name)
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	logFile, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer logFile.Close()
	s := &server{base: "http://127.0.0.1:" + strconv.Itoa(port), dir: dir, exited: make(chan struct{})}
	s.cmd = exec.Command(p.path, p.args(port, dir)...)
	s.cmd.Env = append(CleanEnv(), p.env(port, dir)...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = dir, logFile, logFile
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := spawn.Start(s.cmd); err != nil {
		return nil, err
	}
	go func() {
		s.cmd.Wait() // how it ended is in its log
		close(s.exited)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := s.awaitReady(ctx, p.ready); err != nil {
		text, _ := os.ReadFile(logFile.Name())
		s.stop()
		return nil, fmt.Errorf("%w\n%s", err, text[max(0, len(text)-2000):])
	}
	return s, nil
}

func (s *server) awaitReady(ctx context.Context, ready func(context.Context, string) error) error {
	last := errors.New("not asked yet")
	for {
		select {
		case <-s.exited:
			return fmt.Errorf("it exited: %s", s.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("not ready in %v: %w", startTime, last)
		case <-time.After(20 * time.Millisecond):
		}
		if last = ready(ctx, s.base); last == nil {
			return nil
		}
	}
}

// stop kills the server with what it started, and removes its folder.
func (s *server) stop() {
	syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // an error says that it is gone
	<-s.exited
	os.RemoveAll(s.dir)
}

// shared is a server that the tests of this binary have in common: started by the first that asks, and gone with the
// binary.
type shared struct {
	program func(t testing.TB) program
	once    sync.Once
	server  *server
	err     error
}

func (s *shared) get(t testing.TB) *server {
	t.Helper()
	p := s.program(t)
	s.once.Do(func() { s.server, s.err = p.start() })
	if s.err != nil {
		t.Fatal(s.err)
	}
	return s.server
}

// own starts a server for one test alone.
func (p program) own(t testing.TB) *server {
	t.Helper()
	s, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

// binary is the path of a program that make peers builds.
func binary(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(peersDir(), name)
	if _, err := exec.LookPath(path); err != nil {
		missing(t, name, "make peers", err)
	}
	return path
}

// peersDir is where make peers puts what it builds.
func peersDir() string {
	if dir := os.Getenv("FIRN_PEERS"); dir != "" {
		return dir
	}
	return filepath.Join(Root(), ".peers")
}

// besidePython is the path of a program of the readers' Python.
func besidePython(t testing.TB, name string) string {
	t.Helper()
	python := os.Getenv("FIRN_PYTHON")
	if python == "" {
		python = filepath.Join(Root(), ".venv", "bin", "python")
	}
	path := filepath.Join(filepath.Dir(python), name)
	if _, err := exec.LookPath(path); err != nil {
		missing(t, name, "make venv", err)
	}
	return path
}

// missing ends a test whose peer is not there: where all must be there, the test does not pass.
func missing(t testing.TB, name, target string, err error) {
	t.Helper()
	if tier.Now() < tier.CI {
		t.Skipf("%s is not there: run `%s` (%v)", name, target, err)
	}
	t.Fatalf("%s is not there: run `%s` (%v)", name, target, err)
}

// CleanEnv is the environment without what would lead a server, or a client, to another account or store.
func CleanEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "FIRN_") {
			env = append(env, e)
		}
	}
	return env
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
