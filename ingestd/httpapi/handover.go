package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// handedConn is a connection whose first bytes were read already.
type handedConn struct {
	*limitedConn
	raw  syscall.RawConn
	left []byte
}

// Read gives the bytes that were read, and then reads on.
func (c *handedConn) Read(p []byte) (int, error) {
	if len(c.left) > 0 {
		n := copy(p, c.left)
		if c.left = c.left[n:]; len(c.left) == 0 {
			c.left = nil
		}
		return n, nil
	}
	return c.limitedConn.Read(p)
}

// handedKey finds a request's handedConn in its context.
type handedKey struct{}

// serveRest answers a request that came by net/http's server, and takes the connection back where the next request can
// begin right behind this one: a producer's first event, which makes its table, or a look at the watermark must not
// slow down all that it sends later.
func (s *Server) serveRest(w http.ResponseWriter, r *http.Request) {
	conn, ok := r.Context().Value(handedKey{}).(*handedConn)
	if !ok {
		s.api.handler.ServeHTTP(w, r)
		return
	}
	out := &sizeWriter{ResponseWriter: w}
	body := &eofBody{ReadCloser: r.Body, eof: r.Body == http.NoBody}
	inner := r.WithContext(r.Context()) // net/http looks at r.Body to decide what becomes of the connection
	inner.Body = body
	s.api.handler.ServeHTTP(out, inner)
	h := w.Header()
	if !body.eof || r.Method == "HEAD" || !staysOpen(r) || h.Get("Connection") != "" || h.Get("Content-Length") != strconv.Itoa(out.size) {
		return
	}
	ctl := http.NewResponseController(w)
	if ctl.Flush() != nil {
		return
	}
	_, rw, err := ctl.Hijack()
	if err != nil {
		return
	}
	left, _ := rw.Reader.Peek(rw.Reader.Buffered()) // they are there: no error
	left = append(bytes.Clone(left), conn.left...)
	if len(left) > directBytes {
		if !s.rest.give(&handedConn{conn.limitedConn, conn.raw, left}) {
			_ = conn.Close()
		}
		return
	}
	go s.serveDirect(conn.limitedConn, conn.raw, left, r.Method)
}

// staysOpen says whether net/http cannot take a request for the last one of its connection. It finds "close" in more
// places of a Connection header than there should be, so none of them is looked at that is not plain.
func staysOpen(r *http.Request) bool {
	return !r.Close && r.ProtoMajor == 1 && r.ProtoMinor >= 1 && keepsAlive(r.Header["Connection"])
}

// keepsAlive says whether the values of Connection ask for nothing.
func keepsAlive(values []string) bool {
	return len(values) == 0 || len(values) == 1 && strings.EqualFold(values[0], "keep-alive")
}

// sizeWriter counts the bytes of a reply's body.
type sizeWriter struct {
	http.ResponseWriter
	size int
}

func (w *sizeWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.size += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *sizeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// eofBody notes whether a body was read to its end.
type eofBody struct {
	io.ReadCloser
	eof bool
}

func (b *eofBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.eof = b.eof || err == io.EOF
	return n, err
}

// handed is a listener whose connections are those that were handed over.
type handed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
	addr  net.Addr
}

// give hands a connection over; false if nobody takes any more.
func (l *handed) give(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.done:
		return false
	}
}

// Accept implements net.Listener.
func (l *handed) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *handed) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr implements net.Listener.
func (l *handed) Addr() net.Addr { return l.addr }

// directs are the connections that are served directly.
type directs struct {
	stopped atomic.Bool // none waits for another request; set before those that wait are looked for

	mu    sync.Mutex // protects all below
	conns map[*direct]struct{}
	ended chan struct{} // closed when the last one has left after stop; nil before
}

func (s *Server) enter(c *direct) bool {
	d := &s.directs
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended != nil {
		return false
	}
	d.conns[c] = struct{}{}
	return true
}

func (s *Server) leave(c *direct) {
	d := &s.directs
	d.mu.Lock()
	defer d.mu.Unlock()
	if delete(d.conns, c); d.ended != nil && len(d.conns) == 0 {
		close(d.ended)
	}
}

// stop cuts off the connections that wait for a request, lets the others finish theirs, and returns when all have left
// or ctx ends; then it closes what is left.
func (d *directs) stop(ctx context.Context) error {
	d.stopped.Store(true)
	d.mu.Lock()
	if d.ended == nil {
		if d.ended = make(chan struct{}); len(d.conns) == 0 {
			close(d.ended)
		}
	}
	for c := range d.conns {
		if c.idle.Load() {
			_ = c.SetReadDeadline(time.Unix(1, 0))
		}
	}
	d.mu.Unlock()
	select {
	case <-d.ended:
		return nil
	case <-ctx.Done():
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		_ = c.Conn.Close()
		c.giveUp()
	}
	return fmt.Errorf("finish requests under way: %w", ctx.Err())
}
