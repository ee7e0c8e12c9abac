package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// direct serves the requests that a busy daemon spends its time on, POSTs of events to tables that are known, without
// net/http's server: measured with an empty handler, that costs 20 µs a request, most of it a second goroutine that
// watches for the client to leave, deadlines and maps; this costs 9. The handlers are the same, and what counts as a
// request is decided by net/http's parser (plainhead.go). A request that is not plain, or not a POST to a known table,
// goes to net/http's server together with its connection; it sees the same bytes, and gives the connection back after its
// reply (serveRest).
//
// One goroutine owns a connection. It keeps the bounds of net/http's server: headerTimeout for a head, idleTimeout
// between requests, the handler's deadlines for a body, WriteTimeout for a reply. A client that leaves while its append is
// under way is noticed a second or two later (watchClients).
type direct struct {
	net.Conn
	s      *Server
	raw    syscall.RawConn
	try    func(fd uintptr) bool // tryRead, bound once
	buf    []byte                // what has arrived: a pooled buffer; nil while nothing is unread, so that idle connections hold none
	r, w   int                   // of buf: unread is [r, w)
	failed error                 // of the last read

	idle    atomic.Bool // waits for the rest of a head, or for its first byte: a shutdown may cut it off
	ctx     context.Context
	giveUp  context.CancelFunc // ends the request under way
	turn    atomic.Uint64      // odd while a handler is at work
	seen    uint64             // turn when watchClients looked last; protected by directs.mu
	readBy  time.Time          // the read deadline that the connection has
	writeBy time.Time

	plain plainHead
	body  directBody
	reply directReply
}

// directBytes is a read buffer's size: the head and the body of 100 small events arrive in one read. A connection holds
// one while a request is under way.
const directBytes = 16 << 10

var directBuffers = sync.Pool{New: func() any { return new([directBytes]byte) }}

// errNotPlain hands a connection over to net/http's server.
var errNotPlain = errors.New("not a plain request")

// serveDirect serves a connection until it ends or is handed over. left was read from it already: at most directBytes.
// after is the method of the request before, "" where there was none.
func (s *Server) serveDirect(conn *limitedConn, raw syscall.RawConn, left []byte, after string) {
	c := &direct{Conn: conn, s: s, raw: raw}
	if len(left) > 0 {
		c.buf = directBuffers.Get().(*[directBytes]byte)[:]
		c.w = copy(c.buf, left)
	}
	c.try, c.body.c, c.reply.c = c.tryRead, c, c
	c.reply.header = http.Header{}
	c.ctx, c.giveUp = context.WithCancel(context.Background())
	defer c.giveUp()
	if !s.enter(c) {
		_ = conn.Close()
		return
	}
	defer s.leave(c)
	err := c.requests(after)
	if err == errNotPlain {
		left := bytes.Clone(c.buf[c.r:c.w])
		c.release()
		_ = conn.SetDeadline(time.Time{})
		if s.rest.give(&handedConn{conn, raw, left}) {
			return
		}
	}
	c.release()
	_ = conn.Close()
}

// requests answers requests until one is not plain (errNotPlain) or the connection is of no more use.
func (c *direct) requests(after string) error {
	for ; ; after = "POST" {
		n, err := c.next(after)
		if err != nil {
			return err
		}
		h, err := c.plain.match(c.buf[c.r:c.r+n], c.s)
		if err != nil {
			return err
		}
		c.r += n
		c.body.left = c.plain.request.ContentLength
		if c.plain.request.Context() != c.ctx {
			c.plain.request = c.plain.request.WithContext(c.ctx)
		}
		c.plain.request.Body = &c.body
		if err := c.answer(h); err != nil {
			return err
		}
	}
}

// next waits until the head of a request is whole and returns its length.
func (c *direct) next(after string) (int, error) {
	var headBy time.Time
	blank := 0
	for {
		for ; after == "POST" && blank < maxBlank && c.r < c.w && (c.buf[c.r] == '\r' || c.buf[c.r] == '\n'); blank++ {
			c.r++
		}
		if c.r == c.w {
			c.r, c.w = 0, 0
		}
		have := c.buf[c.r:c.w]
		if n := c.plain.length(have); n > 0 {
			return n, nil
		}
		begun := len(have) > 0 && (after == "" || blank+len(have) >= fewestBytes)
		if begun && !mayBePlain(have) {
			return 0, errNotPlain
		}
		now := time.Now()
		switch {
		case after != "" && !begun:
			c.arm(now.Add(idleTimeout), idleTimeout/8)
		case headBy.IsZero():
			headBy = now.Add(headerTimeout)
			c.arm(headBy, 0)
		}
		if c.w == len(c.buf) && c.r > 0 {
			c.w = copy(c.buf, have)
			c.r = 0
		}
		c.idle.Store(true)
		if c.s.directs.stopped.Load() {
			return 0, errStopping
		}
		err := c.fill()
		c.idle.Store(false)
		if err == io.EOF && begun {
			return 0, errNotPlain // a head that breaks off is refused
		}
		if err != nil {
			return 0, err
		}
	}
}

// How net/http takes what follows a request: maxBlank bytes of empty lines are passed over after a POST, since some
// clients end a body with one, and with fewestBytes another request has begun.
const maxBlank, fewestBytes = 4, 4

// fill waits for bytes and reads what has arrived behind what is unread.
func (c *direct) fill() error {
	if err := c.raw.Read(c.try); err != nil {
		return err
	}
	return c.failed
}

// tryRead is a step of fill: false says that nothing has arrived.
func (c *direct) tryRead(fd uintptr) bool {
	if c.buf == nil {
		c.buf = directBuffers.Get().(*[directBytes]byte)[:]
	}
	n, err := syscall.Read(int(fd), c.buf[c.w:])
	for err == syscall.EINTR {
		n, err = syscall.Read(int(fd), c.buf[c.w:])
	}
	switch {
	case err == syscall.EAGAIN:
		if c.w == 0 {
			c.release()
		}
		return false
	case err == nil && n == 0:
		err = io.EOF
	}
	c.failed = err
	c.w += max(n, 0)
	return true
}

func (c *direct) release() {
	if c.buf != nil {
		directBuffers.Put((*[directBytes]byte)(c.buf))
		c.buf, c.r, c.w = nil, 0, 0
	}
}

// arm sets the read deadline, unless there is one that is at most slack earlier: setting one costs as much as parsing a
// head.
func (c *direct) arm(by time.Time, slack time.Duration) {
	if c.readBy.IsZero() != by.IsZero() || c.readBy.After(by) || by.Sub(c.readBy) > slack {
		c.readBy = by
		_ = c.SetReadDeadline(by)
	}
}

// answer runs the handler, sends its reply, and makes sure that the next request begins behind this one's body. An
// error says that none can follow.
func (c *direct) answer(h http.Handler) (err error) {
	w := &c.reply
	w.reset()
	defer func() {
		if v := recover(); v != nil {
			if v != http.ErrAbortHandler {
				c.s.http.ErrorLog.Printf("serve %s: panic: %v\n%s", clip(c.plain.request.URL.Path), v, debug.Stack())
			}
			err = fmt.Errorf("serve HTTP: %v", v)
		}
	}()
	c.turn.Add(1)
	h.ServeHTTP(w, c.plain.request)
	c.turn.Add(1)
	last := w.header.Get("Connection") == "close" || c.body.left >= maxDiscard || c.s.directs.stopped.Load()
	if err := c.send(last); err != nil {
		return err
	}
	if !last && c.body.left > 0 {
		if err := c.discard(); err != nil {
			return err
		}
	}
	if last {
		c.linger()
		return errStopping
	}
	return nil
}

// maxDiscard bounds, in bytes, what is read of a body that nobody wants to keep its connection usable; net/http's bound.
const maxDiscard = 256 << 10

// nowhere takes what is discarded. The kernel writes nothing into it (MSG_TRUNC), so it never takes memory.
var nowhere [1 << 20]byte

// discard lets go of what is left of the body, as it arrives. The kernel drops it without a copy: 84 KB in 1.5 µs, which
// took 11.6 to read.
func (c *direct) discard() error {
	n := int(min(c.body.left, int64(c.w-c.r)))
	c.r += n
	c.body.left -= int64(n)
	for c.body.left > 0 {
		c.arm(c.reply.readBy, 0)
		var got int
		var failed error
		err := c.raw.Read(func(fd uintptr) bool {
			for failed = syscall.EINTR; failed == syscall.EINTR; {
				got, _, failed = syscall.Recvfrom(int(fd), nowhere[:min(c.body.left, int64(len(nowhere)))], syscall.MSG_TRUNC)
			}
			return failed != syscall.EAGAIN
		})
		switch {
		case err != nil:
			return err
		case failed != nil:
			return failed
		case got == 0:
			return io.ErrUnexpectedEOF
		}
		c.body.left -= int64(got)
	}
	return nil
}

// linger reads on for a while, so that a client which is still sending its body gets to read the reply before it meets a
// reset.
func (c *direct) linger() {
	if t, ok := c.Conn.(*limitedConn); !ok || t.CloseWrite() != nil {
		return
	}
	c.reply.readBy, c.body.left = time.Now().Add(lingerTimeout), int64(c.s.api.cfg.Limits.MaxBodyBytes)
	_ = c.discard()
}
