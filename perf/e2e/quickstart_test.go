package e2e

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"firn/perf/tier"
)

// firstQuery is how long the README's way to the first query may take a new user, download and build included.
const firstQuery = 5 * time.Minute

var fence = regexp.MustCompile("(?ms)^```(sh|python)\n(.*?)^```$")

// The README's commands, as they stand there, in a clean clone with empty caches.
func TestQuickstart(t *testing.T) {
	tier.Need(t, tier.Slow)
	if l, err := net.Listen("tcp", "127.0.0.1:8080"); err != nil {
		t.Fatalf("the README's port is taken: %v", err)
	} else {
		l.Close()
	}
	work := t.TempDir()
	clone := filepath.Join(work, "firn")
	output(t, exec.Command("git", "clone", "-q", Root(), clone))
	env := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "FIRN_") || strings.HasPrefix(e, "MAKE") })
	// Caches that can be removed afterwards: the module cache is read-only otherwise.
	env = append(env, "GOCACHE="+filepath.Join(work, "cache"), "GOMODCACHE="+filepath.Join(work, "mod"), "GOFLAGS=-modcacherw")

	readme, err := os.ReadFile(filepath.Join(clone, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var daemon *exec.Cmd
	exited := make(chan error, 1)
	for _, block := range fence.FindAllStringSubmatch(section(t, string(readme), "## Start", "## What a table looks like"), -1) {
		language, text := block[1], block[2]
		if strings.TrimSpace(text) == "make run" {
			daemon = exec.Command("make", "run")
			daemon.Dir, daemon.Env = clone, env
			daemon.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // make and what it starts
			if err := daemon.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { syscall.Kill(-daemon.Process.Pid, syscall.SIGKILL) })
			go func() { exited <- daemon.Wait() }()
			awaitServing(t, exited, began)
			t.Logf("serving after %v", time.Since(began).Round(time.Second))
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), firstQuery)
		defer cancel()
		cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
		if language == "python" {
			cmd = exec.CommandContext(ctx, filepath.Join(clone, ".venv", "bin", "python"), "-c", text)
		}
		cmd.Dir, cmd.Env = clone, env
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%v\n%s", text, err, out)
		}
		if strings.Contains(text, "iceberg_scan") || language == "python" {
			for _, who := range []string{"ada", "bob", "eve"} {
				if !strings.Contains(string(out), who) {
					t.Errorf("%s\ndoes not show %s:\n%s", text, who, out)
				}
			}
			t.Logf("%s query after %v", language, time.Since(began).Round(time.Second))
			if took := time.Since(began); took > firstQuery {
				t.Errorf("the README's way to a query took %v, want at most %v", took, firstQuery)
			}
		}
	}
	if daemon == nil {
		t.Fatal("the README does not say make run")
	}
	if err := syscall.Kill(-daemon.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-exited:
	case <-time.After(stopTime):
		t.Errorf("make run does not end within %v of SIGTERM", stopTime)
	}
}

// section is the text from one heading to another.
func section(t *testing.T, text, from, to string) string {
	t.Helper()
	_, text, ok := strings.Cut(text, "\n"+from+"\n")
	text, _, ok2 := strings.Cut(text, "\n"+to+"\n")
	if !ok || !ok2 {
		t.Fatalf("the README has no %q followed by %q", from, to)
	}
	return text
}

func awaitServing(t *testing.T, exited <-chan error, began time.Time) {
	t.Helper()
	for time.Since(began) < firstQuery {
		select {
		case err := <-exited:
			t.Fatalf("make run ended: %v", errors.Join(err, errors.New("see its output")))
		case <-time.After(200 * time.Millisecond):
		}
		resp, err := http.Get("http://127.0.0.1:8080/health/ready")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatalf("make run does not serve within %v", firstQuery)
}
