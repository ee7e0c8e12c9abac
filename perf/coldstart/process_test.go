package coldstart

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cpu is the time that a process's threads have run so far, by the kernel's nanosecond account. Go's runtime ends no
// thread of an idle process, so that none is missing.
func cpu(t testing.TB, pid int) (sum time.Duration) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		t.Fatalf("read the CPU time of process %d: no threads (%v)", pid, err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			t.Fatal(err)
		}
		ran, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(ran, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", task, err)
		}
		sum += time.Duration(ns)
	}
	return sum
}
