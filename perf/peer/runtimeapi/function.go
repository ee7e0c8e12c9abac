package runtimeapi

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"firn/perf/spawn"
)

// Function is a running process of the function, with a Runtime API of its own.
type Function struct {
	Started time.Time // when the process was started

	api    *server
	cmd    *exec.Cmd
	log    string // file of its standard output and error
	exited chan struct{}
}

// Start starts a process of the function, the program at path, with the given environment and no other; the test's end
// kills it.
func Start(t testing.TB, path string, env ...string) *Function {
	t.Helper()
	f, err := Launch(path, filepath.Join(t.TempDir(), "function.log"), env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.Kill()
		if t.Failed() {
			t.Logf("the end of the function's log:\n%s", f.Log(4000))
		}
	})
	return f
}

// Launch is Start for a caller that ends the process itself, by Kill. What the process prints is appended to a file.
func Launch(path, log string, env ...string) (*Function, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the function's log: %w", err)
	}
	defer out.Close()
	api, err := newServer()
	if err != nil {
		return nil, err
	}
	f := &Function{api: api, log: log, exited: make(chan struct{})}
	f.cmd = exec.Command(path)
	f.cmd.Env = append(env, "AWS_LAMBDA_RUNTIME_API="+api.addr, "AWS_LAMBDA_FUNCTION_NAME=flushlambda", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256")
	f.cmd.Stdout, f.cmd.Stderr = out, out
	f.Started = time.Now()
	if err := spawn.Start(f.cmd); err != nil {
		api.close()
		return nil, fmt.Errorf("start the function: %w", err)
	}
	go func() {
		f.cmd.Wait() // how it ended is in cmd.ProcessState
		close(f.exited)
		api.close()
	}()
	return f, nil
}

// Invoke runs one invocation and returns the function's answer. timeout is what the function is told of its deadline.
// The error is ErrDied if the process went away meanwhile. One caller at a time.
func (f *Function) Invoke(ctx context.Context, body []byte, timeout time.Duration) (Answer, error) {
	return f.api.invoke(ctx, body, timeout, f.exited)
}

// Asked waits until the process asks for its first invocation, which is when a cold start is over, and says when the
// process ended instead, or refused to start.
func (f *Function) Asked(ctx context.Context) error {
	select {
	case <-f.api.asked:
		return nil
	case text := <-f.api.refused:
		return fmt.Errorf("the function refuses to start: %s", text)
	case <-f.exited:
		select { // it may have said why
		case text := <-f.api.refused:
			return fmt.Errorf("the function refuses to start: %s", text)
		default:
			return fmt.Errorf("%w: %s", ErrDied, f.cmd.ProcessState)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// PID is the process's id: for measuring it by what the kernel says of it.
func (f *Function) PID() int { return f.cmd.Process.Pid }

// Kill ends the process by SIGKILL, as AWS ends one whose time is up, and waits until it is gone.
func (f *Function) Kill() {
	f.cmd.Process.Kill() // an error says that it is gone
	<-f.exited
}

// Terminate asks the process to end, by SIGTERM.
func (f *Function) Terminate() error { return f.cmd.Process.Signal(syscall.SIGTERM) }

// Wait waits for the process's own end: nil is exit 0.
func (f *Function) Wait(ctx context.Context) error {
	select {
	case <-f.exited:
		if !f.cmd.ProcessState.Success() {
			return fmt.Errorf("the function ended: %s", f.cmd.ProcessState)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Log is the last n bytes of what the process printed.
func (f *Function) Log(n int) string {
	text, err := os.ReadFile(f.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-n):])
}
