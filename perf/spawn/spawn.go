// Package spawn starts the processes of a test so that none outlives it: the kernel kills each with SIGKILL when the
// test's process ends, however that ends. For tests alone.
package spawn

import (
	"os/exec"
	"runtime"
	"syscall"
)

// spawner is the one OS thread that starts processes, and it never ends: a parent-death signal is tied to the thread
// that forked, and Go ends threads when it likes.
var spawner = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for f := range spawner {
			f()
		}
	}()
}

// Start is cmd.Start for a process that goes with this one.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan error)
	spawner <- func() { done <- cmd.Start() }
	return <-done
}
