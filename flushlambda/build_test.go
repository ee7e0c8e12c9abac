package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// buildDir outlives the single tests.
var buildDir string

func TestMain(m *testing.M) {
	var err error
	if buildDir, err = os.MkdirTemp("", "firn-bootstrap-*"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(buildDir)
	os.Exit(code)
}

// built is the function built as scripts/dist delivers it, once for all tests. Its clients speak HTTP/1.1 (commitlib/awsenv
// says why), so that the standard library's HTTP/2 is left out: 0.3 MB.
var built = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(buildDir, "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc,nethttpomithttp2", "-ldflags", "-s -w -X main.version=test", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build bootstrap: %w\n%s", err, out)
	}
	return bin, nil
})

// maxSize bounds the file in bytes: what a cold start loads. The parts that weigh are the SDK's S3 client (1.5 MB), TLS
// and its SQS client; maintenance takes 0.2 MB.
const maxSize = 12_000_000

func TestBootstrapIsSmall(t *testing.T) {
	info, err := os.Stat(bootstrap(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the function's file has %.1f MB", float64(info.Size())/1e6)
	if info.Size() > maxSize {
		t.Errorf("the function's file has %d bytes, more than %d: see what was linked with `go tool nm -size -sort size`", info.Size(), maxSize)
	}
}

func bootstrap(t testing.TB) string {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}
