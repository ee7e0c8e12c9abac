package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// node is a daemon in this process, over real files and whatever its environment names.
type node struct {
	t       testing.TB
	data    string
	url     string
	logs    *lines
	metrics *lines
	stop    context.CancelFunc
	done    chan error
}

// lines gathers what a daemon logs.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// at returns the lines of that level or above which contain text.
func (l *lines) at(least slog.Level, text string) (found []string) {
	for line := range strings.SplitSeq(l.String(), "\n") {
		var entry struct{ Level slog.Level }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Level >= least && strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// configure parses settings as the command line does.
func configure(t testing.TB, data string, environ []string, args ...string) (Config, error) {
	t.Helper()
	return Parse(append([]string{"-listen", "127.0.0.1:0", "-data", data}, args...), environ)
}

// launch starts a daemon and does not wait for it.
func launch(t testing.TB, data string, environ []string, args ...string) *node {
	t.Helper()
	cfg, err := configure(t, data, environ, args...)
	if err != nil {
		t.Fatal(err)
	}
	return launchAs(t, cfg)
}

// launchAs is launch of a configuration that need not be one that an operator can give.
func launchAs(t testing.TB, cfg Config) *node {
	t.Helper()
	data := cfg.Data
	_ = os.Remove(filepath.Join(data, "http.addr")) // of an earlier run
	ctx, stop := context.WithCancel(context.Background())
	n := &node{t: t, data: data, logs: &lines{}, metrics: &lines{}, stop: stop, done: make(chan error, 1)}
	logger := slog.New(slog.NewJSONHandler(n.logs, nil))
	go func() { n.done <- run(ctx, cfg, "", n.metrics, logger) }()
	t.Cleanup(func() {
		n.close()
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", n.logs)
		}
	})
	return n
}

// start starts a daemon and waits until it serves, ready or not.
func start(t testing.TB, data string, environ []string, args ...string) *node {
	t.Helper()
	return launch(t, data, environ, args...).serving()
}

// serving waits until the daemon serves.
func (n *node) serving() *node {
	n.t.Helper()
	n.within(20*time.Second, "it serves", func() bool {
		select {
		case err := <-n.done:
			n.done <- err
			n.t.Fatalf("the daemon ended: %v\n%s", err, n.logs)
		default:
		}
		addr, err := os.ReadFile(filepath.Join(n.data, "http.addr"))
		n.url = "http://" + string(addr)
		return err == nil
	})
	return n
}

// close stops the daemon and returns its error.
func (n *node) close() error {
	n.stop()
	err := <-n.done
	n.done <- err
	http.DefaultClient.CloseIdleConnections()
	return err
}

// within fails the test unless ok holds in time.
func (n *node) within(d time.Duration, what string, ok func() bool) {
	n.t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			n.t.Fatalf("not within %s: %s\n%s", d, what, n.logs)
		}
	}
}

// do sends a request and returns status and body.
func (n *node) do(method, path, body string) (int, string) {
	n.t.Helper()
	req, err := http.NewRequest(method, n.url+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatalf("%s %s: %v\n%s", method, path, err, n.logs)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// ok is do that must answer 200 or 201; out, if any, takes the reply.
func (n *node) ok(method, path, body string, out any) {
	n.t.Helper()
	status, text := n.do(method, path, body)
	if status != 200 && status != 201 {
		n.t.Fatalf("%s %s: %d %s\n%s", method, path, status, text, n.logs)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			n.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
}

// post acks count events of a table, each with a text of its own.
func (n *node) post(table string, count int) {
	n.t.Helper()
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "\"%s-%d\"\n", table, i)
	}
	req, err := http.NewRequest("POST", n.url+"/tables/"+table+"/bulk", strings.NewReader(b.String()))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 {
		n.t.Fatalf("events for %s: %d %s\n%s", table, resp.StatusCode, text, n.logs)
	}
}

// backlog is how many events of a table wait.
func (n *node) backlog(table string) int {
	n.t.Helper()
	var out struct {
		Backlog int `json:"backlog_events"`
	}
	n.ok("GET", "/tables/"+table+"/watermark", "", &out)
	return out.Backlog
}
