package peer

import (
	"bytes"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"
)

// maxSeenBody is how large a request's body may be for the hook to see it, 4 MiB: commit requests, table metadata and
// manifests are far below, data files go through unread.
const maxSeenBody = 4 << 20

// Request is what a hook sees of a request.
type Request struct {
	Method    string
	Path      string
	Query     url.Values
	Header    http.Header
	Operation string // the service's own name for it: PutObject, SendMessageBatch, UpdateTable; see operation.go
	N         int    // counts the requests of this operation, from 1
	Body      []byte // nil if it is larger than 4 MiB or of unknown length
}

// Fault is what befalls a request; the zero Fault lets it through. At most one of the fields besides Delay is set.
type Fault struct {
	Delay time.Duration // before anything else

	// The server never sees the request:
	Reset  bool // the connection is reset
	Hang   bool // no answer, ever: until the client goes or the proxy stops
	Answer *Answer

	// The server does what was asked, and the client does not learn of it:
	Lose     bool    // the connection is reset in place of the answer
	HalfSent bool    // it is closed in the midst of the answer's body, or of its headers if there is no body
	Instead  *Answer // another answer
}

// Answer is an answer that the server did not give.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// FaultProxy passes HTTP requests on to a server, and does to them what its hook says. Signatures stay valid: the Host
// header goes through as it came. Safe for concurrent use.
type FaultProxy struct {
	URL string // http://127.0.0.1:port

	target    *url.URL
	listener  *trackingListener
	transport *http.Transport
	rate      rate
	stopped   chan struct{}

	mu     sync.Mutex // hook, counts, ns
	hook   func(*Request) Fault
	counts map[string]Count
	ns     map[string]int
}

// Proxy starts a proxy in front of the server at target (http://127.0.0.1:port). It stops with the test.
func Proxy(t testing.TB, target string) *FaultProxy {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil || to.Host == "" {
		t.Fatalf("proxy to %q: want http://host:port (%v)", target, err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &FaultProxy{
		URL:      "http://" + inner.Addr().String(),
		target:   to,
		listener: &trackingListener{Listener: inner, conns: make(map[net.Conn]bool)},
		// Each request of a client meets a connection of its own choosing, and no answer is changed on its way.
		transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256, ExpectContinueTimeout: time.Second},
		stopped:   make(chan struct{}),
		counts:    make(map[string]Count),
		ns:        make(map[string]int),
	}
	server := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(p.listener) // returns when the listener closes
	t.Cleanup(func() {
		close(p.stopped)
		server.Close()
		p.transport.CloseIdleConnections()
	})
	return p
}

// Hook decides the fate of each request from now on; nil lets all through. It is called from many goroutines.
func (p *FaultProxy) Hook(f func(*Request) Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = f
}

// Throttle bounds what goes through in both directions together, in bytes per second; 0 lifts the bound.
func (p *FaultProxy) Throttle(bytesPerSecond int64) { p.rate.set(bytesPerSecond) }

// Down resets every connection, those to come too, as a host does on which nothing listens any more; Up ends that.
func (p *FaultProxy) Down() { p.listener.setDown(true) }

// Up lets connections in again.
func (p *FaultProxy) Up() { p.listener.setDown(false) }

// TurnedAway is how many connections came while the proxy was down.
func (p *FaultProxy) TurnedAway() int { return p.listener.turnedAway() }

// ServeHTTP passes one request on.
func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in := &Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header, Operation: operation(r)}
	body := &countingReader{r: r.Body, rate: &p.rate}
	sent := io.Reader(body)
	if r.ContentLength >= 0 && r.ContentLength <= maxSeenBody {
		var err error
		if in.Body, err = io.ReadAll(body); err != nil {
			return // the client is gone
		}
		sent = bytes.NewReader(in.Body)
	}
	fault := p.fate(in)
	status, out := p.serve(w, r, sent, fault)
	p.count(in.Operation, status, body.n, out)
}

// fate numbers the request and asks the hook.
func (p *FaultProxy) fate(in *Request) Fault {
	p.mu.Lock()
	p.ns[in.Operation]++
	in.N = p.ns[in.Operation]
	hook := p.hook
	p.mu.Unlock()
	if hook == nil {
		return Fault{}
	}
	return hook(in)
}

// serve does what the fault says, and returns the status that the server answered with, or the one made up for the
// client where the server was not asked (0: none), and the bytes of the answer's body that went to the client.
func (p *FaultProxy) serve(w http.ResponseWriter, r *http.Request, body io.Reader, f Fault) (status int, sent int64) {
	if f.Delay > 0 { // without one, a client that left while the hook held its request must not be noticed here by chance
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
			return 0, 0
		case <-p.stopped:
			return 0, 0
		}
	}
	switch {
	case f.Reset:
		reset(w)
		return 0, 0
	case f.Hang:
		select {
		case <-r.Context().Done():
		case <-p.stopped:
		}
		reset(w)
		return 0, 0
	case f.Answer != nil:
		return f.Answer.Status, f.Answer.write(w)
	}

	// What the server was asked it does, even if the client is gone by then: as a store on the network would.
	resp, err := p.forward(context.WithoutCancel(r.Context()), r, body)
	if err != nil {
		reset(w)
		return 0, 0
	}
	defer resp.Body.Close()
	if f.Lose || f.HalfSent || f.Instead != nil {
		// All of the answer is awaited first: then the request has been applied.
		text, err := io.ReadAll(resp.Body)
		switch {
		case err != nil || f.Lose:
			reset(w)
		case f.HalfSent:
			return resp.StatusCode, half(w, resp, text)
		default:
			return resp.StatusCode, f.Instead.write(w)
		}
		return resp.StatusCode, 0
	}
	copyHeader(w.Header(), resp.Header)
	if resp.ContentLength >= 0 && w.Header().Get("Content-Length") == "" {
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	w.WriteHeader(resp.StatusCode)
	counted := &countingReader{r: resp.Body, rate: &p.rate}
	if _, err := io.Copy(w, counted); err != nil {
		panic(http.ErrAbortHandler) // net/http's way to break off an answer
	}
	return resp.StatusCode, counted.n
}

func (p *FaultProxy) forward(ctx context.Context, r *http.Request, body io.Reader) (*http.Response, error) {
	to := *r.URL
	to.Scheme, to.Host = p.target.Scheme, p.target.Host
	out := (&http.Request{Method: r.Method, URL: &to, Host: r.Host, Header: r.Header.Clone(), ContentLength: r.ContentLength}).WithContext(ctx)
	if r.ContentLength != 0 {
		out.Body = io.NopCloser(body)
	}
	for _, h := range []string{"Connection", "Keep-Alive", "Te", "Trailer", "Upgrade"} {
		out.Header.Del(h)
	}
	if out.Header.Get("User-Agent") == "" {
		out.Header.Set("User-Agent", "") // or net/http writes one of its own
	}
	return p.transport.RoundTrip(out)
}

// write gives the client an answer that the server did not give.
func (a *Answer) write(w http.ResponseWriter) int64 {
	copyHeader(w.Header(), a.Header)
	w.WriteHeader(a.Status)
	n, _ := io.WriteString(w, a.Body) // an error says that the client is gone
	return int64(n)
}

// half sends the first half of the answer and closes the connection.
func half(w http.ResponseWriter, resp *http.Response, text []byte) int64 {
	conn, ok := hijack(w)
	if !ok {
		return 0
	}
	defer conn.Close()
	var whole bytes.Buffer
	resp.Body = io.NopCloser(bytes.NewReader(text))
	if err := resp.Write(&whole); err != nil {
		return 0
	}
	head := bytes.Index(whole.Bytes(), []byte("\r\n\r\n")) + 4
	cut := head / 2
	if len(text) > 0 {
		cut = head + len(text)/2
	}
	conn.Write(whole.Bytes()[:cut])
	return int64(max(0, cut-head))
}

// reset ends the client's connection by RST.
func reset(w http.ResponseWriter) {
	if conn, ok := hijack(w); ok {
		resetConn(conn)
	}
}

func hijack(w http.ResponseWriter) (net.Conn, bool) {
	h, ok := w.(http.Hijacker)
	if !ok {
		return nil, false
	}
	conn, _, err := h.Hijack()
	return conn, err == nil
}

func copyHeader(to, from http.Header) {
	for k, v := range from {
		to[k] = v
	}
	// net/http sets its own date unless there is one; an answer without a type has none.
	if _, ok := from["Content-Type"]; !ok {
		to["Content-Type"] = nil
	}
}
