package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// dial opens a connection to talk HTTP by hand.
func (s *stack) dial() *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

// raw sends text as it is and reads one reply.
func (s *stack) raw(c net.Conn, text string) answer {
	s.t.Helper()
	if text != "" {
		if _, err := io.WriteString(c, text); err != nil {
			s.t.Fatal(err)
		}
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: "POST"})
	if err != nil {
		s.t.Fatalf("after %q: %v", text, err)
	}
	return s.read(resp)
}

// gone waits until the server has closed the connection.
func gone(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("the connection stays open (%d bytes came): %v", n, err)
	}
}

func head(path, more string) string {
	return "POST " + path + " HTTP/1.1\r\nHost: x\r\n" + more + "\r\n"
}

// TestLyingLength sends bodies that are shorter or longer than they say.
func TestLyingLength(t *testing.T) {
	s := newStack(t, options{})

	c := s.dial() // shorter, then the end
	_, _ = io.WriteString(c, head("/tables/events", "Content-Length: 100\r\n")+"only this")
	_ = c.CloseWrite()
	s.want(s.raw(c, ""), 400, "truncated_body", -1, 9)
	gone(t, c)

	c = s.dial() // longer: the rest is no request
	a := s.raw(c, head("/tables/events/bulk", "Content-Length: 20\r\nContent-Type: application/json\r\n")+`{"records":[{"payload":1}]}`)
	s.want(a, 400, "truncated_json", 0, 20)
	_ = c.CloseWrite()
	gone(t, c)

	c = s.dial() // announced beyond the bound: refused before a byte of it comes
	s.want(s.raw(c, head("/tables/events", "Content-Length: 99999999999\r\n")), 413, "body_too_large", -1, s.api.cfg.Limits.MaxBodyBytes)
	gone(t, c)

	for _, framing := range []string{"Content-Length: -1\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: x\r\n", "Transfer-Encoding: gzip\r\n"} {
		c = s.dial()
		_, _ = io.WriteString(c, head("/tables/events", framing)+"x")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode < 400 || resp.StatusCode == 500 {
			t.Fatalf("%q: %v %v", framing, resp, err)
		}
	}

	for _, chunks := range []string{"zz\r\nhello\r\n0\r\n\r\n", "5\r\nhelloXX", "ffffffffffffffffff\r\nx"} {
		c = s.dial()
		if a := s.raw(c, head("/tables/events", "Transfer-Encoding: chunked\r\n")+chunks); a.status != 400 || a.Error.Code != "truncated_body" {
			t.Fatalf("chunks %q gave %d: %s", chunks, a.status, a.body)
		}
		gone(t, c)
	}
	c = s.dial() // chunks that stop
	_, _ = io.WriteString(c, head("/tables/events", "Transfer-Encoding: chunked\r\n")+"5\r\nhello\r\n")
	_ = c.CloseWrite()
	s.want(s.raw(c, ""), 400, "truncated_body", -1, 5)
	if s.stored() != 0 {
		t.Fatal("something was stored")
	}

	c = s.dial() // whole chunks are a body like any other, and the connection goes on
	for range 2 {
		s.ok(s.raw(c, head("/tables/events", "Transfer-Encoding: chunked\r\n")+"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"))
	}
}

// TestChunkedTooLarge sends without announcing: the bound holds all the same.
func TestChunkedTooLarge(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.Limits.MaxBodyBytes, c.Limits.MaxEventBytes = 100_000, 1000 }})
	c := s.dial()
	chunk := "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"
	a := s.raw(c, head("/tables/events", "Transfer-Encoding: chunked\r\n")+strings.Repeat(chunk, 25))
	s.want(a, 413, "body_too_large", -1, 100_000)
	gone(t, c)
}

// TestSlowSenders pauses, trickles, and stalls in the header: each loses its own
// connection, and others are served meanwhile.
func TestSlowSenders(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.BodyIdle, c.BodyTimeout = 150*time.Millisecond, 400*time.Millisecond }})

	c := s.dial()
	start := time.Now()
	s.want(s.raw(c, head("/tables/events", "Content-Length: 100\r\n")+"and then nothing"), 408, "body_timeout", -1, 16)
	if took := time.Since(start); took > 3*time.Second {
		t.Fatalf("the reply took %v", took)
	}
	gone(t, c)

	c = s.dial()
	_, _ = io.WriteString(c, head("/tables/events", "Content-Length: 100\r\n"))
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for range 14 { // never idle for long, but never done
			if _, err := io.WriteString(c, "x"); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	s.ok(s.do("POST", "/tables/events", "meanwhile"))
	if a := s.raw(c, ""); a.status != 408 || a.Error.Code != "body_timeout" {
		t.Fatalf("a trickle gave %d: %s", a.status, a.body)
	}
	<-stop

	// A refusal does not wait for the rest of a body either.
	c = s.dial()
	start = time.Now()
	s.want(s.raw(c, head("/tables/Bad", "Content-Length: 100\r\n")+"x"), 400, "bad_table_name", -1, -1)
	if took := time.Since(start); took > 5*time.Second {
		t.Fatalf("the reply took %v", took)
	}
	gone(t, c)

	// Nor does a reply by a route that wants no body.
	c = s.dial()
	if a := s.raw(c, "GET /tables HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"); a.status != 200 {
		t.Fatalf("GET with a body gave %d", a.status)
	}
	gone(t, c)
	if s.stored() != 1 {
		t.Fatalf("%d events are stored, want 1", s.stored())
	}
}

// TestSlowAppend makes an append outlast the deadlines of the body: they must be gone by then, or net/http
// would take them for a client that left.
func TestSlowAppend(t *testing.T) {
	slow := &slowLog{delay: 300 * time.Millisecond}
	s := newStack(t, options{
		config: func(c *Config) { c.BodyIdle, c.BodyTimeout = 50*time.Millisecond, 100*time.Millisecond },
		deps:   func(d *Deps) { slow.Log, d.Log = d.Log, slow },
	})
	s.ok(s.do("POST", "/tables/events", "x"))
	if err := slow.err; err != nil {
		t.Fatalf("the request's context ended: %v", err)
	}
}

// TestAnnouncedIsNotHeld has many connections announce large bodies and send nothing: they hold no
// memory of the budget, so others are served.
func TestAnnouncedIsNotHeld(t *testing.T) {
	const limit = 1 << 20
	s := newStack(t, options{config: func(c *Config) {
		c.Limits.MaxBodyBytes, c.Limits.MaxEventBytes, c.InFlightBytes = limit, limit, 2*limit
		c.BodyIdle = 10 * time.Second
	}})
	var idle []*net.TCPConn
	for range 10 {
		c := s.dial()
		_, _ = io.WriteString(c, head("/tables/events", fmt.Sprintf("Content-Length: %d\r\n", limit)))
		idle = append(idle, c)
	}
	waitFor(t, func() bool { return s.api.budget.held.Load() == int64(10*steps[0]) })
	s.ok(s.do("POST", "/tables/events", strings.Repeat("x", limit/2)))

	// What they really send is held, and what is beyond the budget is shed.
	half := strings.Repeat("x", limit/2)
	for _, c := range idle[:3] {
		_, _ = io.WriteString(c, half)
	}
	waitFor(t, func() bool { return s.api.budget.held.Load() >= limit }) // one of them has grown to where no other can
	shed := s.do("POST", "/tables/events", half)
	s.want(shed, 503, "busy", -1, -1)
	if shed.header.Get("Retry-After") != "1" {
		t.Fatalf("Retry-After is %q", shed.header.Get("Retry-After"))
	}
	for _, c := range idle {
		c.Close()
	}
	waitFor(t, func() bool { return s.api.budget.held.Load() == 0 })
	s.ok(s.do("POST", "/tables/events", half))
}

// TestOverload posts far more at once than the budget holds: each request is acked or shed, what is stored is what was
// acked, and the budget is never exceeded.
func TestOverload(t *testing.T) {
	const limit = 256 << 10
	s := newStack(t, options{config: func(c *Config) {
		c.Limits.MaxBodyBytes, c.Limits.MaxEventBytes, c.InFlightBytes = limit, limit, 4*limit
	}})
	plain := strings.Repeat("x", limit)
	squeezed := string(gzipped([]byte(plain)))
	var acked, shed atomic.Uint64
	var wg sync.WaitGroup
	for i := range 32 {
		body, headers := plain, []string(nil)
		if i%2 == 0 {
			body, headers = squeezed, []string{"Content-Encoding: gzip"}
		}
		wg.Go(func() {
			for range 6 {
				switch a := s.do("POST", "/tables/events", body, headers...); {
				case a.status == 200:
					acked.Add(1)
				case a.status == 503 && a.Error.Code == "busy":
					shed.Add(1)
				default:
					t.Errorf("got %d: %s", a.status, a.body)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	most := int64(0)
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			most = max(most, s.api.budget.held.Load())
			runtime.Gosched()
		}
	}
	if got := s.stored(); got != acked.Load() || acked.Load() == 0 {
		t.Fatalf("%d events are stored, %d were acked", got, acked.Load())
	}
	if most > 4*limit {
		t.Fatalf("bodies held %d bytes of %d", most, 4*limit)
	}
	t.Logf("%d acked, %d shed, most held %d of %d", acked.Load(), shed.Load(), most, 4*limit)
}

// TestSlowReader asks for a page and does not read it: it is cut off, and gives back what it held. A connection that
// did read its page is good for later requests.
func TestSlowReader(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.PageTimeout = 100 * time.Millisecond }})
	kept := s.dial()
	s.ok(s.raw(kept, head("/tables/events", "Content-Length: 1\r\n")+"x"))
	s.ok(s.raw(kept, "GET /tables/events HTTP/1.1\r\nHost: x\r\n\r\n"))

	for range 8 {
		s.ok(s.do("POST", "/tables/events", strings.Repeat("\x01", 500_000))) // six times as much as JSON
	}
	c := s.dial()
	_, _ = io.WriteString(c, "GET /tables/events?limit=10000 HTTP/1.1\r\nHost: x\r\n\r\n")
	waitFor(t, func() bool { return len(s.api.reads) == 1 })
	waitFor(t, func() bool { return len(s.api.reads) == 0 })
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	if err == nil {
		t.Fatal("a page that was cut off looks whole")
	}
	s.ok(s.raw(kept, head("/tables/events", "Content-Length: 1\r\n")+"x"))
}

// TestConnectionLimit opens more connections than may be.
func TestConnectionLimit(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.MaxConns = 2 }})
	first, second := s.dial(), s.dial()
	s.ok(s.raw(first, head("/tables/events", "Content-Length: 1\r\n")+"x"))
	s.ok(s.raw(second, head("/tables/events", "Content-Length: 1\r\n")+"x"))
	for range 3 {
		a := s.raw(s.dial(), "")
		s.want(a, 503, "busy", -1, -1)
		if a.header.Get("Retry-After") == "" {
			t.Fatal("Retry-After is missing")
		}
	}
	first.Close()
	waitFor(t, func() bool {
		c := s.dial()
		return s.raw(c, head("/tables/events", "Content-Length: 1\r\n")+"x").status == 200
	})
}

// TestHeaderBounds leaves header lines to net/http, and sees that it is told to bound them.
func TestHeaderBounds(t *testing.T) {
	s := newStack(t, options{})
	c := s.dial()
	_, _ = io.WriteString(c, "POST /tables/events HTTP/1.1\r\nHost: x\r\n")
	go func() {
		for range 100 {
			if _, err := fmt.Fprintf(c, "X-Filler: %s\r\n", strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || resp.StatusCode != 431 {
		t.Fatalf("a header of 100 KB gave %v, %v", resp, err)
	}
	if h := &s.server.http; h.ReadHeaderTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes <= 0 {
		t.Fatal("the server lacks a time-out or a bound")
	}
}

// TestShutdown lets an append under way finish and ack, and refuses what comes later.
func TestShutdown(t *testing.T) {
	slow := &slowLog{delay: 200 * time.Millisecond, begun: make(chan struct{}, 1)}
	s := newStack(t, options{deps: func(d *Deps) { slow.Log, d.Log = d.Log, slow }})
	kept := s.dial() // an idle connection, as producers keep them
	s.ok(s.raw(kept, "GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"))

	got := make(chan answer, 1)
	go func() { got <- s.do("POST", "/tables/events", "x") }()
	<-slow.begun
	s.api.closing.Store(true)
	s.want(s.do("POST", "/tables/events", "late"), 503, "shutting_down", -1, -1)
	if a := s.do("GET", "/health/ready", ""); a.status != 503 {
		t.Fatalf("ready says %d while stopping", a.status)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	http.DefaultClient.CloseIdleConnections()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case a := <-got:
		s.ok(a)
	default:
		t.Fatal("shutdown returned before the append under way was acked")
	}
	if s.stored() != 1 {
		t.Fatalf("%d events are stored, want 1", s.stored())
	}
}

func waitFor(t testing.TB, cond func() bool) {
	t.Helper()
	for range 4000 { // 20 s: a busy machine takes long
		if cond() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("never came about")
}
