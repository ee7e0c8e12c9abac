package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"firn/perf/spawn"
)

// MemoryLimit makes a place for one process that may use at most limit bytes of memory: a cgroup of version 1 or 2, or
// a systemd scope. It returns the command that puts a program there (Options.Wrapper). Where none can be made (an
// ordinary user in a container), it returns nil and says why: PeakMemory alone judges then.
func MemoryLimit(t testing.TB, limit int64) []string {
	t.Helper()
	var why []string
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		why = append(why, err.Error())
	}
	for _, line := range strings.Split(strings.TrimSpace(string(groups)), "\n") {
		controllers, path, _ := strings.Cut(line[strings.Index(line, ":")+1:], ":")
		var parents []string
		var file string
		switch controllers {
		case "memory": // version 1
			file = "memory.limit_in_bytes"
			parents = []string{"/sys/fs/cgroup/memory", filepath.Join("/sys/fs/cgroup/memory", path)}
		case "": // version 2
			file = "memory.max"
			parents = []string{filepath.Join("/sys/fs/cgroup", path), filepath.Join("/sys/fs/cgroup", filepath.Dir(path)), "/sys/fs/cgroup"}
		default:
			continue
		}
		for _, parent := range parents {
			group, err := makeGroup(parent, file, limit)
			if err != nil {
				why = append(why, err.Error())
				continue
			}
			// Busy until the daemon is gone, which its own clean-up sees to: that one was
			// registered later, and runs first.
			t.Cleanup(func() {
				if err := os.Remove(group); err != nil {
					t.Logf("remove cgroup: %v", err)
				}
			})
			t.Logf("cgroup %s: at most %d bytes", group, limit)
			return []string{"sh", "-c", `echo $$ >"$0"/cgroup.procs && exec "$@"`, group}
		}
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil && os.Geteuid() == 0 {
		if _, err := exec.LookPath("systemd-run"); err == nil {
			t.Logf("systemd scope: at most %d bytes", limit)
			return []string{"systemd-run", "--scope", "--quiet", "-p", fmt.Sprintf("MemoryMax=%d", limit), "-p", "MemorySwapMax=0"}
		}
	}
	t.Logf("no cgroup could be made, so memory is only measured: %s", strings.Join(why, "; "))
	return nil
}

func makeGroup(parent, file string, limit int64) (string, error) {
	if _, err := os.Stat(filepath.Join(parent, file)); err != nil && file == "memory.limit_in_bytes" {
		return "", err // no such group is mounted here: a folder made there would be an ordinary one
	}
	group, err := os.MkdirTemp(parent, "firn-e2e-*")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(group, file), []byte(strconv.FormatInt(limit, 10)), 0); err != nil {
		os.Remove(group)
		return "", err
	}
	return group, nil
}

// PeakMemory is the most memory that the running daemon ever had resident, in bytes.
func (d *Daemon) PeakMemory() int64 {
	d.t.Helper()
	return spawn.Memory(d.t, d.PID(), "VmHWM")
}
