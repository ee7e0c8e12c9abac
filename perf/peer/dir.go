package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

const dirPrefix = "firn-peers-"

var sweepOnce sync.Once

// newDir makes a folder for a server of this process. Its name holds the process's id: a shared server lives as long as
// the process, and has nobody to remove its folder then, so the next process does.
func newDir(name string) (string, error) {
	sweepOnce.Do(sweep)
	dir := filepath.Join(os.TempDir(), dirPrefix+strconv.Itoa(os.Getpid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a server's folder: %w", err)
	}
	return os.MkdirTemp(dir, name+"-*")
}

// sweep removes the folders of processes that are gone. What it can't remove is another user's.
func sweep() {
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		return
	}
	for _, e := range entries {
		id, ok := strings.CutPrefix(e.Name(), dirPrefix)
		pid, err := strconv.Atoi(id)
		if !ok || err != nil || pid == os.Getpid() || syscall.Kill(pid, 0) != syscall.ESRCH {
			continue
		}
		os.RemoveAll(filepath.Join(os.TempDir(), e.Name()))
	}
}

// Root is the repository's root.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
