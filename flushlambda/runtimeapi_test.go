package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// runtimeAPI is AWS's side of a Lambda function: it hands out one invocation at a time and takes its answer. The
// function under test is the real program, built as it is delivered.
type runtimeAPI struct {
	url string // host:port
	in  chan invocation

	mu      sync.Mutex // waiting
	waiting map[string]chan answer

	initError chan string
}

type invocation struct {
	id      string
	body    []byte
	timeout time.Duration
}

type answer struct {
	body   []byte
	failed bool // posted to …/error
	at     time.Time
}

func newRuntimeAPI(t *testing.T) *runtimeAPI {
	a := &runtimeAPI{in: make(chan invocation), waiting: map[string]chan answer{}, initError: make(chan string, 1)}
	const base = "/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+base+"invocation/next", func(w http.ResponseWriter, r *http.Request) {
		select {
		case inv := <-a.in:
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", inv.id)
			w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(inv.timeout).UnixMilli(), 10))
			w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:000000000000:function:flushlambda")
			w.Write(inv.body)
		case <-r.Context().Done():
		}
	})
	take := func(failed bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			at := time.Now()
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			a.mu.Lock()
			ch := a.waiting[r.PathValue("id")]
			a.mu.Unlock()
			w.WriteHeader(http.StatusAccepted)
			if ch == nil {
				t.Errorf("an answer to the unknown invocation %s: %s", r.PathValue("id"), body)
				return
			}
			ch <- answer{body, failed, at}
		}
	}
	mux.HandleFunc("POST "+base+"invocation/{id}/response", take(false))
	mux.HandleFunc("POST "+base+"invocation/{id}/error", take(true))
	mux.HandleFunc("POST "+base+"init/error", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.initError <- string(body)
		w.WriteHeader(http.StatusAccepted)
	})
	srv := httptest.NewServer(mux) // 127.0.0.1
	t.Cleanup(func() {
		srv.CloseClientConnections() // the function is waiting for its next invocation
		srv.Close()
	})
	a.url = strings.TrimPrefix(srv.URL, "http://")
	return a
}

// invoke runs one invocation and returns the function's answer.
func (a *runtimeAPI) invoke(t *testing.T, id string, body []byte) answer {
	t.Helper()
	ch := make(chan answer, 1)
	a.mu.Lock()
	a.waiting[id] = ch
	a.mu.Unlock()
	late := time.After(30 * time.Second)
	select {
	case a.in <- invocation{id, body, 30 * time.Second}:
	case <-late:
		t.Fatal("the function does not ask for its next invocation")
	}
	select {
	case got := <-ch:
		return got
	case <-late:
		t.Fatal("the function does not answer")
	}
	panic("not reached")
}

// process is the function's process.
type process struct {
	started time.Time
	stderr  *bytes.Buffer // read only after wait
	wait    func() error
}

// bootstrap is the function built as it is delivered, once for all tests.
var bootstrap = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(buildDir, "bootstrap")
	cmd := exec.Command("go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags", "-X main.version=test", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build bootstrap: %w\n%s", err, out)
	}
	return bin, nil
})

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

// start runs the function with the given environment and no other; the test's end kills it.
func start(t *testing.T, env ...string) *process {
	t.Helper()
	bin, err := bootstrap()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, bin)
	cmd.Env = env
	p := &process{stderr: new(bytes.Buffer)}
	cmd.Stderr = p.stderr
	p.started = time.Now()
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	p.wait = sync.OnceValue(cmd.Wait)
	t.Cleanup(func() {
		cancel()
		var exit *exec.ExitError
		if err := p.wait(); err != nil && !errors.As(err, &exit) {
			t.Errorf("wait for bootstrap: %v", err)
		}
		if t.Failed() {
			t.Logf("bootstrap logged:\n%s", p.stderr)
		}
	})
	return p
}
