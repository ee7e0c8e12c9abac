package e2e

import (
	"os/exec"
	"runtime"
)

// spawner is the one OS thread that starts daemons, and it never ends: a parent-death signal is tied to the thread
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

func startLocked(cmd *exec.Cmd) error {
	done := make(chan error)
	spawner <- func() { done <- cmd.Start() }
	return <-done
}
