package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The server's time-outs. Bodies and pages have their own, since their time depends on their size.
const (
	headerTimeout  = 10 * time.Second
	idleTimeout    = 2 * time.Minute // longer than the 60 s after which common balancers drop an idle connection themselves
	replyTimeout   = time.Minute
	maxHeaderBytes = 16 << 10 // net/http adds 4 KiB; a request here needs a few hundred bytes
)

// Server serves an API on one listener: plain requests by itself (direct), all others with net/http's server.
type Server struct {
	api     *API
	http    http.Server
	rest    *handed // what http serves
	directs directs
	date    dateText

	listening sync.Mutex // protects the next
	listener  net.Listener
}

// NewServer returns a server; Serve starts it.
func NewServer(a *API) *Server {
	s := &Server{api: a, http: http.Server{
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		// From the end of the header on: the longest that a handler may take, and then some for the reply.
		WriteTimeout:   a.cfg.BodyTimeout + a.cfg.ReplyWithin + replyTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(a.Logger.Handler(), slog.LevelDebug), // clients that break off: theirs to know
	}}
	s.http.Handler = http.HandlerFunc(s.serveRest)
	s.http.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, handedKey{}, c) }
	s.directs.conns = map[*direct]struct{}{}
	s.rest = &handed{conns: make(chan net.Conn), done: make(chan struct{})}
	return s
}

// Serve answers until Shutdown, and then returns nil.
func (s *Server) Serve(l net.Listener) error {
	s.listening.Lock()
	s.listener, s.rest.addr = l, l.Addr()
	s.listening.Unlock()
	if s.api.closing.Load() { // Shutdown came first and found no listener to close
		_ = l.Close()
		return nil
	}
	go func() { _ = s.http.Serve(s.rest) }() // ends when rest is closed, which Shutdown does
	go s.watchClients()
	limited := &limitedListener{Listener: l, most: int64(s.api.cfg.MaxConns), metrics: s.api.Metrics}
	for {
		c, err := limited.Accept()
		switch {
		case err == nil:
			s.serve(c)
		case s.api.closing.Load():
			return nil
		case errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.ECONNABORTED):
			time.Sleep(acceptPause)
		default:
			return fmt.Errorf("serve HTTP: %w", err)
		}
	}
}

// acceptPause is how long a server that cannot take connections, for want of file descriptors or memory, waits for
// others to end.
const acceptPause = 50 * time.Millisecond

func (s *Server) serve(c *limitedConn) {
	if t, ok := c.Conn.(syscall.Conn); ok {
		if raw, err := t.SyscallConn(); err == nil {
			go s.serveDirect(c, raw, nil, "")
			return
		}
	}
	if !s.rest.give(c) {
		_ = c.Close()
	}
}

var errStopping = errors.New("the daemon is stopping")

// waiting bounds how long a handler waits for a commit: ReplyWithin, or until the server stops. A commit may be a cut
// interval away, longer than a stop may take, and the next start makes it.
func (a *API) waiting(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(a.stopping, func() { end(errStopping) })
	ctx, cancel := context.WithTimeout(ctx, a.cfg.ReplyWithin)
	return ctx, func() {
		unhook()
		cancel()
		end(nil)
	}
}

// Shutdown refuses new requests, lets those under way finish, so that what was accepted is acked, and returns when all
// have or ctx ends; then it cuts what is left, which nothing was acked of.
func (s *Server) Shutdown(ctx context.Context) error {
	s.api.closing.Store(true)
	s.api.stop(errStopping)
	s.listening.Lock()
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.listening.Unlock()
	direct := s.directs.stop(ctx)
	err := s.http.Shutdown(ctx)
	_ = s.rest.Close()
	if err != nil {
		err = errors.Join(fmt.Errorf("finish requests under way: %w", err), s.http.Close())
	}
	return errors.Join(direct, err)
}

// limitedListener bounds open connections. What comes beyond is accepted, told so and closed: left in the kernel's
// queue it would wait without knowing why.
type limitedListener struct {
	net.Listener
	most    int64
	open    atomic.Int64
	metrics *Metrics
}

const shedReply = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"

var tooManyConns = func() []byte {
	const body = `{"error":{"code":"busy","message":"as many connections are open as may be","record":null,"byte":null,"hint":"keep connections open and use them again"}}` + "\n"
	return fmt.Appendf(nil, shedReply, len(body), body)
}()

func (l *limitedListener) Accept() (*limitedConn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			l.metrics.conns.Inc()
			return &limitedConn{Conn: c, l: l}, nil
		}
		l.open.Add(-1)
		l.metrics.turned.Inc()
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)) // it fits any socket buffer: no client holds this loop up
		_, _ = c.Write(tooManyConns)
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.CloseWrite()
			_ = t.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, _ = io.CopyN(io.Discard, t, maxHeaderBytes) // unread bytes would make the close a reset, and the reply be lost
		}
		c.Close()
	}
}

type limitedConn struct {
	net.Conn
	l    *limitedListener
	once sync.Once
}

func (c *limitedConn) Close() error {
	c.once.Do(func() {
		c.l.open.Add(-1)
		c.l.metrics.conns.Dec()
	})
	return c.Conn.Close()
}

// CloseWrite lets net/http half-close, so that a client still sending gets the reply before it meets a reset.
func (c *limitedConn) CloseWrite() error {
	if t, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return t.CloseWrite()
	}
	return nil
}

// dateText is the time as a Date header has it, made once a second.
type dateText struct{ last atomic.Pointer[dateSecond] }

type dateSecond struct {
	second int64
	text   string
}

func (d *dateText) at(now time.Time) string {
	last := d.last.Load()
	if last == nil || last.second != now.Unix() {
		last = &dateSecond{now.Unix(), now.UTC().Format(http.TimeFormat)}
		d.last.Store(last)
	}
	return last.text
}
