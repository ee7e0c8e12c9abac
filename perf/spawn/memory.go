package spawn

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Memory is one of the sizes in /proc/PID/status of a running process, in bytes: VmRSS is what it has resident, VmHWM
// the most that it ever had. The test ends where it cannot be read.
func Memory(t testing.TB, pid int, name string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				t.Fatalf("process %d: %s: %v", pid, name, err)
			}
			return kb << 10
		}
	}
	t.Fatalf("process %d: /proc has no %s", pid, name)
	return 0
}
