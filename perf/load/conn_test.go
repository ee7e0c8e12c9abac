package load

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serveText answers each request on each connection with the next text, in pieces of so many bytes.
func serveText(t *testing.T, piece int, texts ...string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 100)
			for len(texts) > 0 {
				if n, err := c.Read(buf); n == 0 || err != nil {
					break
				}
				text := texts[0]
				texts = texts[1:]
				for len(text) > 0 {
					n := min(piece, len(text))
					c.Write([]byte(text[:n]))
					text = text[n:]
				}
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

// Answers are read as they come, whatever pieces they come in.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	texts := []string{
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 503 Service Unavailable\r\nretry-AFTER: 1\r\ncontent-length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + long,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
		"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 1\r\nRetry-After: 3\r\n\r\n!",
	}
	want := []answer{{200, false, []byte("ok")}, {503, true, nil}, {200, false, []byte(long)}, {200, false, []byte("abcde")}, {429, true, []byte("!")}}
	for _, piece := range []int{1, 7, 1 << 20} {
		c := newConn(serveText(t, piece, texts...))
		for i, w := range want {
			a, err := c.do([]byte("request"), time.Now())
			if err != nil || a.status != w.status || a.retryAfter != w.retryAfter || !bytes.Equal(a.body, w.body) {
				t.Fatalf("pieces of %d, answer %d: %v, status %d, retry %v, %d bytes", piece, i, err, a.status, a.retryAfter, len(a.body))
			}
		}
		c.close()
	}
}

// What is no answer is an error, and the next request gets a new connection.
func TestBrokenAnswers(t *testing.T) {
	for _, text := range []string{"", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", strings.Repeat("a", 5000)} {
		c := newConn(serveText(t, 1<<20, text))
		if a, err := c.do([]byte("request"), time.Now()); err == nil {
			t.Errorf("%q is status %d", text, a.status)
		}
		if c.c != nil {
			t.Errorf("%q: the connection is kept", text)
		}
	}
	c := newConn(serveText(t, 1<<20, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	for i := range 2 {
		if a, err := c.do([]byte("request"), time.Now()); err != nil || a.status != http.StatusOK {
			t.Errorf("request %d: %d, %v", i, a.status, err)
		}
	}
}

// A pass through all heads of the server's shape costs no memory.
func TestHeadsCostNoMemory(t *testing.T) {
	text := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: 128\r\nContent-Type: application/json\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nRetry-After: 1\r\n\r\n")
	if n := testing.AllocsPerRun(100, func() { parseHead(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
