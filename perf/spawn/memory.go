package spawn

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// MemoryOf is one of the sizes in /proc/PID/status of a running process, in bytes: VmRSS is what it has resident, VmHWM
// the most that it ever had.
func MemoryOf(pid int, name string) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("process %d: %s: %w", pid, name, err)
			}
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("process %d: /proc has no %s", pid, name)
}

// Memory is MemoryOf in a test, which ends where it cannot be read.
func Memory(t testing.TB, pid int, name string) int64 {
	t.Helper()
	size, err := MemoryOf(pid, name)
	if err != nil {
		t.Fatal(err)
	}
	return size
}
