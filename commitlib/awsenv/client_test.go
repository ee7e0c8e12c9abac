package awsenv

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
)

// TestConnectionsAreKept: rounds of more requests at once than the default transport keeps connections for need no new
// ones.
func TestConnectionsAreKept(t *testing.T) {
	const atOnce = idlePerHost / 2
	var opened atomic.Int32
	var here sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		here.Done()
		here.Wait() // all requests of a round are under way together
		io.WriteString(w, "ok")
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := newClient()
	round := func() {
		here.Add(atOnce)
		var all sync.WaitGroup
		for range atOnce {
			all.Go(func() {
				resp, err := client.Get(server.URL)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			})
		}
		all.Wait()
	}
	round()
	after := opened.Load()
	for range 3 {
		round()
	}
	if more := opened.Load() - after; after < atOnce || more > atOnce/8 { // the last to give a connection back may be late by a moment
		t.Errorf("%d connections for %d requests at once, and then %d more", after, atOnce, more)
	}
}

// TestNoRedirects: a redirect is handed to the caller, who signed for one host.
func TestNoRedirects(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusTemporaryRedirect))
	defer server.Close()
	resp, err := newClient().Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("status %d", resp.StatusCode)
	}
}
