package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Profiles are on the admin address alone, and there is none unless it was asked for.
func TestProfilesHaveAnAddressOfTheirOwn(t *testing.T) {
	f := func(args ...string) (n *node, admin string) {
		t.Helper()
		n = start(t, t.TempDir(), nil, args...)
		if status, _ := n.do("GET", "/debug/pprof/", ""); status != http.StatusNotFound {
			t.Errorf("events' address: status %d for profiles", status)
		}
		addr, err := os.ReadFile(filepath.Join(n.data, "admin.addr"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return n, string(addr)
	}
	n, admin := f()
	if admin != "" {
		t.Errorf("an admin address %q that nobody asked for", admin)
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}

	n, admin = f("-admin", "127.0.0.1:0")
	n.url = "http://" + admin
	if status, text := n.do("GET", "/debug/pprof/", ""); status != http.StatusOK || !strings.Contains(text, "goroutine") {
		t.Errorf("admin address %q: status %d", admin, status)
	}
	for _, path := range []string{"/metrics", "/tables", "/"} {
		if status, _ := n.do("GET", path, ""); status != http.StatusNotFound {
			t.Errorf("admin address: status %d for %s", status, path)
		}
	}
	if err := n.close(); err != nil {
		t.Error(err)
	}
}

// The sampling of locks and waits costs time, and so ends with the profile.
func TestSamplingEndsWithTheProfile(t *testing.T) {
	during := -1
	h := sampling(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		during = runtime.SetMutexProfileFraction(-1)
		if got := r.URL.Query().Get("seconds"); got != profileFor {
			t.Errorf("taken for %q seconds", got)
		}
	}), func(on bool) { runtime.SetMutexProfileFraction(rate(on, mutexEvery)) })
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/debug/pprof/mutex?debug=0", nil))
	if after := runtime.SetMutexProfileFraction(-1); during != mutexEvery || after != 0 {
		t.Errorf("rate %d while the profile was taken, %d afterwards", during, after)
	}
}

func TestAdminAddressIsLoopback(t *testing.T) {
	_, err := Parse([]string{"-admin", "0.0.0.0:6060"}, nil)
	if err == nil || !strings.Contains(err.Error(), "-admin:") {
		t.Errorf("%v", err)
	}
	if _, err := Parse([]string{"-admin", "localhost:6060"}, nil); err != nil {
		t.Error(err)
	}
}
