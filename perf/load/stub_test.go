package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// stub is a server that acks what it gets, with the routes that a step asks.
type stub struct {
	*httptest.Server
	requests atomic.Int64
	before   func(n int64, w http.ResponseWriter, r *http.Request) (done bool) // may answer in its place
}

func newStub(t *testing.T) *stub {
	s := &stub{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/metrics":
			fmt.Fprintf(w, "# HELP x y\nfirn_log_events_total %d\nfirn_table_backlog_events{table=\"other\"} 5\n", s.requests.Load())
		case r.URL.Path == "/version":
			fmt.Fprint(w, `{"version":"v","revision":"r","go":"g"}`)
		case r.Method == http.MethodPost:
			n := s.requests.Add(1)
			if s.before == nil || !s.before(n, w, r) {
				fmt.Fprint(w, `{"accepted":1}`)
			}
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *stub) target() *Target { return &Target{Addr: strings.TrimPrefix(s.URL, "http://")} }
