package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"firn/ingestd/eventlog"
)

// served counts the connections that are served directly.
func (s *stack) served() int {
	d := &s.server.directs
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.conns)
}

// answers reads so many replies from a connection.
func (s *stack) answers(in *bufio.Reader, n int) []answer {
	s.t.Helper()
	var got []answer
	for range n {
		resp, err := http.ReadResponse(in, &http.Request{Method: "POST"})
		if err != nil {
			s.t.Fatalf("after %d replies: %v", len(got), err)
		}
		got = append(got, s.read(resp))
	}
	return got
}

func post(path, body string) string {
	return head(path, fmt.Sprintf("Content-Length: %d\r\n", len(body))) + body
}

// TestDirect sends sequences of requests over one connection, in pieces of several sizes: they are answered in order,
// whoever serves them, and the connection ends up where plain requests are served.
func TestDirect(t *testing.T) {
	s := newStack(t, options{})
	s.ok(s.do("POST", "/tables/events", "makes the table"))
	http.DefaultClient.CloseIdleConnections()
	big := strings.Repeat("x", 300_000)
	f := func(name, text string, statuses ...int) {
		t.Helper()
		for _, piece := range []int{len(text), 1 << 10, 7} {
			if len(text)/piece > 10_000 {
				continue
			}
			waitFor(t, func() bool { return s.served() == 0 })
			c := s.dial()
			go func() {
				for rest := text; rest != ""; rest = rest[min(piece, len(rest)):] {
					if _, err := io.WriteString(c, rest[:min(piece, len(rest))]); err != nil {
						return
					}
				}
			}()
			for i, a := range s.answers(bufio.NewReader(c), len(statuses)) {
				if a.status != statuses[i] {
					t.Errorf("%s, in pieces of %d: reply %d is %d, want %d: %s", name, piece, i, a.status, statuses[i], a.body)
				}
				if a.header.Get("Date") == "" || a.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: headers %v", name, a.header)
				}
			}
			waitFor(t, func() bool { return s.served() == 1 }) // net/http's server has given the connection back
			c.Close()
		}
	}
	one, bulk := post("/tables/events", "x"), post("/tables/events/bulk", `{"records":[{"payload":1},{"payload":2}]}`)
	f("one", one, 200)
	f("three at once", one+bulk+one, 200, 200, 200)
	f("other lengths", post("/tables/events", "x")+post("/tables/events", strings.Repeat("y", 12))+post("/tables/events", "zz"), 200, 200, 200)
	f("large", post("/tables/events", big)+one, 200, 200)
	f("no body", post("/tables/events", "")+one, 400, 200)
	f("refused with its body unread", head("/tables/events", unread+"Content-Length: 9\r\n")+"123456789"+one, 415, 200)
	f("refused after its body", post("/tables/events/bulk", "{")+one, 400, 200)
	f("a route without a body", one+"GET /tables HTTP/1.1\r\nHost: x\r\n\r\n"+one, 200, 200, 200)
	f("a table that is not known", one+post("/tables/Bad", "x")+one, 200, 400, 200)
	f("chunks", head("/tables/events", "Transfer-Encoding: chunked\r\n")+"1\r\nx\r\n0\r\n\r\n"+one, 200, 200)
	f("parameters", post("/tables/events?ack=log", "x")+one, 200, 200)
	f("two lengths", head("/tables/events", "Content-Length: 1\r\nContent-Length: 1\r\n")+"x", 200)
	f("a length in another spelling", head("/tables/events", "content-length: 1\r\n")+"x"+one, 200, 200)
	f("keep-alive", head("/tables/events", "Connection: keep-alive\r\nContent-Length: 1\r\n")+"x"+one, 200, 200)
}

// TestDirectCloses ends connections as their clients or the replies ask for.
func TestDirectCloses(t *testing.T) {
	s := newStack(t, options{})
	s.ok(s.do("POST", "/tables/events", "makes the table"))
	f := func(text string, status int) {
		t.Helper()
		c := s.dial()
		if a := s.raw(c, text); a.status != status {
			t.Errorf("%.80q gives %d: %s", text, a.status, a.body)
		}
		gone(t, c)
	}
	f(head("/tables/events", "Connection: close\r\nContent-Length: 1\r\n")+"x", 200)
	f("POST /tables/events HTTP/1.0\r\nContent-Length: 1\r\n\r\nx", 200)
	f("POST /tables/events HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", 400) // no Host
	f(head("/tables/events", "Content-Length: 1\r\nContent-Length: 2\r\n")+"x", 400)
	f(head("/tables/events", "Content-Length: -1\r\n"), 400)
	f(head("/tables/events", "Content-Length: 100000000\r\n")+strings.Repeat("x", 100), 413)
}

// TestDirectPanic sees a connection cut off by a handler's panic, and the next one served.
func TestDirectPanic(t *testing.T) {
	broken := &brokenLog{}
	s := newStack(t, options{deps: func(d *Deps) { broken.Log, d.Log = d.Log, broken }})
	s.ok(s.do("POST", "/tables/events", "makes the table"))
	broken.now.Store(true)
	c := s.dial()
	_, _ = io.WriteString(c, post("/tables/events", "x"))
	gone(t, c)
	broken.now.Store(false)
	s.ok(s.raw(s.dial(), post("/tables/events", "x")))
}

// brokenLog panics when told to.
type brokenLog struct {
	Log
	now atomic.Bool
}

func (l *brokenLog) Append(ctx context.Context, a eventlog.Append) (eventlog.Appended, error) {
	if l.now.Load() {
		panic("told to")
	}
	return l.Log.Append(ctx, a)
}

// TestDirectShutdown ends idle connections, those that never sent a byte among them, at once.
func TestDirectShutdown(t *testing.T) {
	s := newStack(t, options{})
	s.ok(s.do("POST", "/tables/events", "makes the table"))
	fresh, kept := s.dial(), s.dial()
	s.ok(s.raw(kept, post("/tables/events", "x")))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	http.DefaultClient.CloseIdleConnections()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	gone(t, fresh)
	gone(t, kept)
}

// TestPlainHead tells heads that are served directly from those that net/http's server has to see.
func TestPlainHead(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		var p plainHead
		if got := p.parse([]byte(text)); got != want {
			t.Errorf("%q: plain %v, want %v", text, got, want)
		}
	}
	const length = "Content-Length: 3\r\n"
	f(head("/tables/events", length), true)
	f(head("/tables/events/bulk", length), true)
	f(head("/tables/events", "content-LENGTH: 3\r\n"), true)
	f(head("/tables/events", length+"Content-Encoding: zstd\r\nX-Request-Id: 7\r\nAccept: */*\r\n"), true)
	f(head("/tables/events", length+"Connection: keep-alive\r\n"), true)
	f(head("/tables/events", ""), false)
	f(head("/tables/events", length+length), false)
	f(head("/tables/events", "Content-Length: 03\r\n"), false)
	f(head("/tables/events", "Content-Length: +3\r\n"), false)
	f(head("/tables/events", "Content-Length:3\r\n"), false)
	f(head("/tables/events", "Content-Length: 3 \r\n"), false)
	f(head("/tables/events", "Content-Length: 12345678901\r\n"), false)
	f(head("/tables/events", length+"Transfer-Encoding: chunked\r\n"), false)
	f(head("/tables/events", length+"Transfer-Encoding: identity\r\n"), false)
	f(head("/tables/events", length+"Expect: 100-continue\r\n"), false)
	f(head("/tables/events", length+"Connection: close\r\n"), false)
	f(head("/tables/events", length+"Connection: keep-alive, upgrade\r\n"), false)
	f(head("/tables/events", length+"Upgrade: h2c\r\n"), false)
	f(head("/tables/events", length+"X-Folded: a\r\n b\r\n"), false)
	f(head("/tables/events", length+"X-Bare: a\rb\r\n"), false)
	f(head("/tables/events", length+"X-Bare: a\nX: b\r\n"), false)
	f(head("/tables/events", length+"X-Byte: \x80\r\n"), false)
	f(head("/tables/events", length+"X-Space : a\r\n"), false)
	f(head("/tables/events", length+"Host: y\r\n"), false)
	f(head("/tables/events?ack=staged", length), false)
	f(head("/tables/events/", length), false)
	f(head("/tables//bulk", length), false)
	f(head("/tables/events/commit", length), false)
	f(head("/tables/%65vents", length), false)
	f(head("http://x/tables/events", length), false)
	f("PUT /tables/events HTTP/1.1\r\nHost: x\r\n"+length+"\r\n", false)
	f("POST /tables/events HTTP/1.0\r\nHost: x\r\n"+length+"\r\n", false)
	f("POST /tables/events HTTP/1.1\r\n"+length+"\r\n", false)
	f("POST /tables/events HTTP/1.1\r\nHost: a/b\r\n"+length+"\r\n", false)
}

// FuzzPlainHead holds what is served directly to net/http's reading of the same bytes: the head by itself, and as one
// that is taken for a repetition of another.
func FuzzPlainHead(f *testing.F) {
	add := func(lines string) {
		one := "POST /tables/events/bulk HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\n" + lines + "\r\n"
		f.Add([]byte(one), []byte(strings.Replace(one, "12", "345", 1)))
		f.Add([]byte(one), []byte(one[:len(one)-2]+"X: y\r\n\r\n"))
	}
	add("")
	add("Content-Type: application/json\r\nX-Partition: 3\r\nIdempotency-Key: k\r\n")
	add("Transfer-Encoding: chunked\r\n")
	add("Connection: close\r\nExpect: 100-continue\r\n")
	add("Content-Length: 13\r\n")
	add("X:\r\n Content-Length: 4\r\n")
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var p, fresh plainHead
		if a = a[:p.length(a)]; len(a) == 0 || !p.parse(a) {
			return
		}
		same(t, &p, p.request.ContentLength, a)
		if size, n, ok := p.known(b); ok {
			if size != fresh.length(b) {
				t.Fatalf("%q after %q: %d bytes, by itself %d", b, a, size, fresh.length(b))
			}
			same(t, &p, int64(n), b[:size])
		}
	})
}

// same compares a plain head with what net/http makes of it.
func same(t *testing.T, p *plainHead, contentLength int64, head []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("0123456789"))))
	if err != nil {
		t.Fatalf("%q: net/http refuses it: %v", head, err)
	}
	path := "/tables/" + p.request.PathValue("table")
	if p.bulk {
		path += "/bulk"
	}
	if r.Method != "POST" || r.URL.Path != path || r.URL.RawQuery != "" || r.ContentLength != contentLength || r.Close || len(r.TransferEncoding) > 0 || r.Host == "" {
		t.Fatalf("%q: read as %s of %d bytes; net/http reads %s %s of %d bytes, close %v, encoding %v",
			head, path, contentLength, r.Method, r.URL, r.ContentLength, r.Close, r.TransferEncoding)
	}
	for name := range r.Header {
		if strings.ContainsAny(name, " \t") {
			t.Fatalf("%q: header %q", head, name)
		}
		if name != "Content-Length" && fmt.Sprint(r.Header[name]) != fmt.Sprint(p.request.Header[name]) {
			t.Fatalf("%q: header %s is %q, net/http reads %q", head, name, p.request.Header[name], r.Header[name])
		}
	}
}
