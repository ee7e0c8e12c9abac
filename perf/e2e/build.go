package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// built holds the programs that this test process has built, by name; they live until Main removes them.
var built struct {
	sync.Mutex
	dir   string
	tried map[string]func() (string, error)
}

// Main runs the tests of a package that builds programs, and removes the programs afterwards. Its TestMain calls it.
func Main(m *testing.M) int {
	code := m.Run()
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	return code
}

// Build compiles a program once for each test process and returns its path. module is the folder of its go.mod, from
// the repository's root.
func Build(t testing.TB, name, module, pkg string, flags ...string) string {
	t.Helper()
	return buildWith(t, nil, name, module, pkg, flags...)
}

func buildWith(t testing.TB, env []string, name, module, pkg string, flags ...string) string {
	t.Helper()
	built.Lock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "firn-e2e-*")
		if err != nil {
			built.Unlock()
			t.Fatal(err)
		}
		built.dir, built.tried = dir, make(map[string]func() (string, error))
	}
	once, ok := built.tried[name]
	if !ok {
		out := filepath.Join(built.dir, name)
		once = sync.OnceValues(func() (string, error) {
			cmd := exec.Command("go", append(append([]string{"build", "-o", out}, flags...), pkg)...)
			cmd.Dir = filepath.Join(Root(), module)
			cmd.Env = append(os.Environ(), env...)
			if text, err := cmd.CombinedOutput(); err != nil {
				return "", fmt.Errorf("build %s: %w\n%s", name, err, text)
			}
			return out, nil
		})
		built.tried[name] = once
	}
	built.Unlock()
	path, err := once()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Ingestd builds the daemon, with the race detector where the test has it.
func Ingestd(t testing.TB) string {
	t.Helper()
	if raceEnabled {
		return Build(t, "ingestd-race", ".", "./ingestd", "-race")
	}
	return PlainIngestd(t)
}

// PlainIngestd builds the daemon without the race detector: for tests that measure it.
func PlainIngestd(t testing.TB) string {
	t.Helper()
	return Build(t, "ingestd", ".", "./ingestd")
}

// Bootstrap builds the Lambda function as it is delivered (scripts/dist).
func Bootstrap(t testing.TB) string {
	t.Helper()
	return buildWith(t, []string{"CGO_ENABLED=0"}, "bootstrap", ".", "./flushlambda", "-trimpath", "-tags", "lambda.norpc,nethttpomithttp2", "-ldflags", "-s -w -X main.version=test")
}

// Root is the repository's root.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
