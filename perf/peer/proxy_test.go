package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// echo counts the requests that reach it and answers with a digest of what it got.
func echo(t *testing.T) (proxy *FaultProxy, reached *atomic.Int64) {
	t.Helper()
	reached = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		if err != nil {
			return
		}
		reached.Add(1)
		w.Header().Set("X-Host", r.Host)
		w.Header().Set("X-Path", r.RequestURI)
		w.Header().Set("X-Length", r.Header.Get("Content-Length"))
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, strings.Repeat("x", int(n%1000))+string(h.Sum(nil)))
	}))
	t.Cleanup(server.Close)
	return Proxy(t, server.URL), reached
}

// send puts a body through a connection of its own.
func send(p *FaultProxy, path string, body []byte) (status int, text []byte, err error) {
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequest(http.MethodPut, p.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	text, err = io.ReadAll(resp.Body)
	return resp.StatusCode, text, err
}

// Without a fault a proxy is not to be noticed: bodies of any size, escaped paths and the Host header go through.
func TestProxyIsTransparent(t *testing.T) {
	p, reached := echo(t)
	for i, size := range []int{0, 1, 1000, maxSeenBody, maxSeenBody + 1} {
		body := bytes.Repeat([]byte{byte(i)}, size)
		status, text, err := send(p, "/bucket/a%2Fb%20c?x=1&y", body)
		sum := sha256.Sum256(body)
		if want := strings.Repeat("x", size%1000) + string(sum[:]); err != nil || status != http.StatusAccepted || string(text) != want {
			t.Errorf("%d bytes: answered %d, %d bytes, %v; want 202 and %d bytes", size, status, len(text), err, len(want))
		}
	}
	resp, err := http.Get(p.URL + "/bucket/a%2Fb%20c?x=1&y")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if host, path := resp.Header.Get("X-Host"), resp.Header.Get("X-Path"); "http://"+host != p.URL || path != "/bucket/a%2Fb%20c?x=1&y" {
		t.Errorf("the server saw host %s and path %s", host, path)
	}
	if reached.Load() != 6 {
		t.Errorf("%d requests reached the server, want 6", reached.Load())
	}
	if c := p.Counts()["PutObject"]; c.Requests != 5 || c.In != 2*maxSeenBody+1002 || c.Out != 5*32+int64(1+2*(maxSeenBody%1000)+1) || c.Status[202] != 5 {
		t.Errorf("counted %+v", c)
	}
	if n := p.Requests("GetObject"); n != 1 {
		t.Errorf("counted %d GetObject, want 1", n)
	}
}

// Each fault does to the client what it says, and the server has or has not seen the request.
func TestProxyFaults(t *testing.T) {
	// f wants the request to reach the server or not, and judges what the client saw.
	f := func(name string, fault Fault, reaches bool, ok func(status int, text []byte, err error) bool) {
		t.Helper()
		p, reached := echo(t)
		p.Hook(func(r *Request) Fault {
			if r.Operation != "PutObject" || r.N != 1 || string(r.Body) != "0123456789" {
				t.Errorf("%s: the hook saw %+v", name, r)
			}
			return fault
		})
		began := time.Now()
		status, text, err := send(p, "/bucket/key", []byte("0123456789"))
		if !ok(status, text, err) {
			t.Errorf("%s: the client saw %d, %q, %v", name, status, text, err)
		}
		if took := time.Since(began); took < fault.Delay {
			t.Errorf("%s: took %v, want %v at least", name, took, fault.Delay)
		}
		if got := reached.Load() == 1; got != reaches {
			t.Errorf("%s: reached the server: %v, want %v", name, got, reaches)
		}
	}
	isReset := func(_ int, _ []byte, err error) bool { return errors.Is(err, syscall.ECONNRESET) }
	f("none", Fault{}, true, func(s int, _ []byte, err error) bool { return s == 202 && err == nil })
	f("late", Fault{Delay: 50 * time.Millisecond}, true, func(s int, _ []byte, err error) bool { return s == 202 && err == nil })
	f("reset", Fault{Reset: true}, false, isReset)
	f("lost answer", Fault{Lose: true}, true, isReset)
	f("half of the answer", Fault{HalfSent: true}, true, func(s int, text []byte, err error) bool {
		return s == 202 && len(text) == 21 && errors.Is(err, io.ErrUnexpectedEOF)
	})
	f("another answer, not asked", Fault{Answer: &Answer{Status: 503, Header: http.Header{"Retry-After": {"7"}}, Body: "SlowDown"}}, false,
		func(s int, text []byte, err error) bool { return s == 503 && string(text) == "SlowDown" })
	f("another answer, applied", Fault{Instead: &Answer{Status: 500, Body: "oops"}}, true,
		func(s int, text []byte, err error) bool { return s == 500 && string(text) == "oops" })
}

// What a hook lets through reaches the server, though the client left meanwhile: as a write under way on a network would.
func TestProxyPassesOnWhatItHeld(t *testing.T) {
	p, reached := echo(t)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	p.Hook(func(*Request) Fault {
		cancel()
		<-gone
		time.Sleep(10 * time.Millisecond) // the server's side learns of the client's leave a little later
		return Fault{}
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, p.URL+"/bucket/key", strings.NewReader("0123456789"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v, want %v", err, context.Canceled)
	}
	close(gone)
	for p.Requests("PutObject") == 0 { // it counts once it is done
		if t.Context().Err() != nil {
			t.Fatal("the request was never done")
		}
		time.Sleep(time.Millisecond)
	}
	if reached.Load() != 1 {
		t.Error("the request did not reach the server")
	}
}

// A request without an answer ends when its client goes away.
func TestProxyHangs(t *testing.T) {
	p, reached := echo(t)
	p.Hook(func(*Request) Fault { return Fault{Hang: true} })
	client := &http.Client{Timeout: 100 * time.Millisecond}
	if _, err := client.Get(p.URL + "/bucket/key"); err == nil {
		t.Error("a request that hangs was answered")
	}
	if reached.Load() != 0 {
		t.Error("it reached the server")
	}
}

// While a proxy is down connections break, old and new ones; it comes back at the same address.
func TestProxyDownAndUp(t *testing.T) {
	p, reached := echo(t)
	client := &http.Client{Transport: &http.Transport{}}
	get := func() error {
		resp, err := client.Get(p.URL + "/bucket/key")
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	p.Down()
	for range 3 {
		if err := get(); err == nil {
			t.Error("a request went through a proxy that is down")
		}
	}
	p.Up()
	if n := p.TurnedAway(); n < 3 {
		t.Errorf("%d connections were turned away, want 3 at least", n)
	}
	if err := get(); err != nil {
		t.Errorf("after it came back: %v", err)
	}
	if reached.Load() != 2 {
		t.Errorf("%d requests reached the server, want 2", reached.Load())
	}
}

// A rate holds over all transfers together, in both directions.
func TestProxyThrottles(t *testing.T) {
	p, _ := echo(t)
	p.Throttle(1 << 20)
	began := time.Now()
	for range 2 {
		if _, _, err := send(p, "/bucket/key", make([]byte, 256<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 450*time.Millisecond {
		t.Errorf("half a MiB took %v at 1 MiB/s", took)
	}
}

func TestOperation(t *testing.T) {
	f := func(method, path, target, want string) {
		t.Helper()
		r := httptest.NewRequest(method, path, nil)
		if target != "" {
			r.Header.Set("X-Amz-Target", target)
		}
		if got := operation(r); got != want {
			t.Errorf("%s %s %s is %q, want %q", method, path, target, got, want)
		}
	}
	f("POST", "/", "AmazonSQS.SendMessageBatch", "SendMessageBatch")
	f("POST", "/", "AWSGlue.UpdateTable", "UpdateTable")
	f("GET", "/", "", "ListBuckets")
	f("GET", "/bucket?list-type=2&prefix=a", "", "ListObjectsV2")
	f("HEAD", "/bucket/", "", "HeadBucket")
	f("PUT", "/bucket", "", "CreateBucket")
	f("POST", "/bucket?delete", "", "DeleteObjects")
	f("PUT", "/bucket/v1/key", "", "PutObject")
	f("PUT", "/bucket/key?partNumber=1&uploadId=x", "", "UploadPart")
	f("POST", "/bucket/key?uploads", "", "CreateMultipartUpload")
	f("POST", "/bucket/key?uploadId=x", "", "CompleteMultipartUpload")
	f("DELETE", "/bucket/key?uploadId=x", "", "AbortMultipartUpload")
	f("DELETE", "/bucket/key", "", "DeleteObject")
	f("HEAD", "/bucket/key", "", "HeadObject")
	f("GET", "/v1/config?warehouse=x", "", "getConfig")
	f("POST", "/catalog/v1/oauth/tokens", "", "getToken")
	f("GET", "/v1/namespaces", "", "listNamespaces")
	f("POST", "/v1/a/b/namespaces", "", "createNamespace")
	f("GET", "/v1/namespaces/default", "", "loadNamespace")
	f("POST", "/v1/namespaces/default/tables", "", "createTable")
	f("GET", "/v1/main%7Cx/namespaces/default/tables/clicks", "", "loadTable")
	f("POST", "/v1/namespaces/default/tables/clicks", "", "updateTable")
	f("GET", "/v1/namespaces/default/tables/clicks/credentials", "", "loadCredentials")
}
