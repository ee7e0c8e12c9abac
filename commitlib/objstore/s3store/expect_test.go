package s3store

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"firn/commitlib/objstore"
)

// TestRefusedBeforeTheBody: a server that refuses a condition without reading the body, and hangs up, is understood each
// time, and no body is sent to it; one that takes the body gets it.
func TestRefusedBeforeTheBody(t *testing.T) {
	var bodies atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			refused.write(w)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		bodies.Add(n)
		ok.write(w)
	}))
	defer server.Close()
	s := newTestStore(t, testConfig(server.URL))
	body := pattern(3 << 20)
	for range 50 {
		if _, err := s.Put(t.Context(), "k", body, ifAbsent); !errors.Is(err, objstore.ErrPrecondition) {
			t.Fatalf("put: %v", err)
		}
	}
	if _, err := s.Put(t.Context(), "k", body, anyway); err != nil || bodies.Load() != int64(len(body)) {
		t.Errorf("put: %v; %d bytes arrived", err, bodies.Load())
	}
}
