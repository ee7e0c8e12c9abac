package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"firn/perf/peer"
)

// Python is the interpreter that has the readers: FIRN_PYTHON, or the repository's .venv.
func Python(t testing.TB) string {
	t.Helper()
	p := os.Getenv("FIRN_PYTHON")
	if p == "" {
		p = filepath.Join(Root(), ".venv", "bin", "python")
	}
	if _, err := exec.LookPath(p); err != nil {
		t.Fatalf("the readers' Python is not there: run `make venv`, or set FIRN_PYTHON: %v", err)
	}
	return p
}

// PythonCommand is a script of perf/readers, ready to run. Of this process's environment it gets what is neither
// AWS's nor Firn's, and env besides.
func PythonCommand(t testing.TB, env []string, script string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(Python(t), append([]string{"-B", filepath.Join(Root(), "perf", "readers", script)}, args...)...)
	cmd.Env = append(peer.CleanEnv(), env...)
	return cmd
}

// RunPython runs a script of perf/readers and returns what it prints.
func RunPython(t testing.TB, env []string, script string, args ...string) []byte {
	t.Helper()
	return output(t, PythonCommand(t, env, script, args...))
}

// output runs a program to its end and returns its standard output; the test fails with its standard error otherwise.
func output(t testing.TB, cmd *exec.Cmd) []byte {
	t.Helper()
	out, err := cmd.Output()
	if err != nil {
		var text []byte
		if e, ok := err.(*exec.ExitError); ok {
			text = e.Stderr[max(0, len(e.Stderr)-4000):]
		}
		t.Fatalf("%s: %v\n%s", filepath.Base(cmd.Args[len(cmd.Args)-min(len(cmd.Args), 3)]), err, text)
	}
	return out
}
