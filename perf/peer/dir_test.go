package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// What processes left that are gone is removed, and nothing else.
func TestSweep(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	f := func(name string, stays bool) {
		t.Helper()
		dir := filepath.Join(os.TempDir(), name)
		if err := os.MkdirAll(filepath.Join(dir, "bucket"), 0o700); err != nil {
			t.Fatal(err)
		}
		sweep()
		if _, err := os.Stat(dir); (err == nil) != stays {
			t.Errorf("%s: %v, want it to stay: %v", name, err, stays)
		}
	}
	f(dirPrefix+strconv.Itoa(gone.Process.Pid), false)
	f(dirPrefix+strconv.Itoa(os.Getpid()), true)
	f(dirPrefix+strconv.Itoa(os.Getppid()), true)
	f(dirPrefix+"of-somebody-else", true)
	f("other", true)
}
