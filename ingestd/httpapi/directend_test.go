package httpapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"firn/ingestd/eventlog"
)

// deadlines is a listener that notes until when its connections may be read from.
type deadlines struct {
	net.Listener
	mu    sync.Mutex
	conns []*readBy
}

type readBy struct {
	*net.TCPConn
	mu sync.Mutex
	by time.Time
}

func (l *deadlines) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, &readBy{TCPConn: c.(*net.TCPConn)})
	return l.conns[len(l.conns)-1], nil
}

func (c *readBy) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.by = t
	c.mu.Unlock()
	return c.TCPConn.SetReadDeadline(t)
}

func (c *readBy) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.by = t
	c.mu.Unlock()
	return c.TCPConn.SetDeadline(t)
}

// within waits until the latest connection may be silent for longer than one time and at most another.
func (l *deadlines) within(t *testing.T, least, most time.Duration) {
	t.Helper()
	waitFor(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.conns) == 0 {
			return false
		}
		c := l.conns[len(l.conns)-1]
		c.mu.Lock()
		defer c.mu.Unlock()
		left := time.Until(c.by)
		return left > least && left <= most
	})
}

// newTimed is a stack with a second server, whose deadlines are known.
func newTimed(t *testing.T) (*stack, *deadlines) {
	t.Helper()
	s := newStack(t, options{})
	s.ok(s.do("POST", "/tables/events", "makes the table"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	timed := *s
	d := &deadlines{Listener: l}
	timed.server, timed.addr = NewServer(s.api), l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- timed.server.Serve(d) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = timed.server.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return &timed, d
}

// TestDirectDeadlines follows the time that a connection has, over requests that each server serves: a balancer in front
// keeps connections for a minute and must not meet one that is being closed.
func TestDirectDeadlines(t *testing.T) {
	s, d := newTimed(t)
	c := s.dial()
	head := func() { t.Helper(); d.within(t, 0, headerTimeout) }
	idle := func() { t.Helper(); d.within(t, idleTimeout*3/4, idleTimeout) }
	head() // a connection is opened for a request
	s.ok(s.raw(c, post("/tables/events", "x")))
	idle()
	_, _ = io.WriteString(c, "POST /tables/events HT")
	head()
	s.ok(s.raw(c, "TP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"))
	idle()
	s.ok(s.raw(c, "GET /tables HTTP/1.1\r\nHost: x\r\n\r\n"))
	idle()
	_, _ = io.WriteString(c, "GET /")
	head()
	s.ok(s.raw(c, "tables HTTP/1.1\r\nHost: x\r\n\r\n"))
	idle()
	s.ok(s.raw(c, post("/tables/events", "x")))
	idle()
}

// TestShutdownLeavesHeads cuts off a client that has sent a part of a head: nothing of its request is accepted, and it
// might take longer over the rest than the daemon may take to stop.
func TestShutdownLeavesHeads(t *testing.T) {
	s, d := newTimed(t)
	c := s.dial()
	s.ok(s.raw(c, post("/tables/events", "x")))
	d.within(t, idleTimeout*3/4, idleTimeout)
	_, _ = io.WriteString(c, "POST /tables/events HTTP/1.1\r\nHost: ")
	d.within(t, 0, headerTimeout)
	ctx, cancel := context.WithTimeout(t.Context(), headerTimeout*3/4)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	gone(t, c)
}

// TestServeAfterShutdown stops a server before it has begun.
func TestServeAfterShutdown(t *testing.T) {
	s := newStack(t, options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(s.api)
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err := <-served:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it serves")
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Fatal("it still listens")
	}
}

// gatedLog holds appends up.
type gatedLog struct {
	Log
	begun chan struct{} // one for each append that has begun
	goOn  chan struct{}
}

func (l *gatedLog) Append(ctx context.Context, a eventlog.Append) (eventlog.Appended, error) {
	l.begun <- struct{}{}
	select {
	case <-l.goOn:
		return l.Log.Append(ctx, a)
	case <-ctx.Done():
		return eventlog.Appended{}, ctx.Err()
	}
}

// newGated is a stack whose appends are held up but for the one that makes the table.
func newGated(t *testing.T) (*stack, *gatedLog) {
	t.Helper()
	log := &gatedLog{begun: make(chan struct{}, 100), goOn: make(chan struct{}, 1)}
	s := newStack(t, options{deps: func(d *Deps) { log.Log, d.Log = d.Log, log }})
	log.goOn <- struct{}{}
	s.ok(s.do("POST", "/tables/events", "makes the table"))
	<-log.begun
	http.DefaultClient.CloseIdleConnections()
	return s, log
}

// TestDirectShutdownAcks lets a direct request under way finish and ack, says that the connection ends, and takes
// nothing of what was sent behind it.
func TestDirectShutdownAcks(t *testing.T) {
	s, log := newGated(t)
	c := s.dial()
	_, _ = io.WriteString(c, post("/tables/events", "x")+post("/tables/events", "y"))
	<-log.begun
	stopped := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- s.server.Shutdown(ctx)
	}()
	waitFor(t, s.server.directs.stopped.Load)
	select {
	case err := <-stopped:
		t.Fatalf("shutdown left a request behind: %v", err)
	default:
	}
	close(log.goOn)
	if a := s.ok(s.raw(c, "")); a.header.Get("Date") == "" {
		t.Errorf("headers are %v", a.header)
	}
	gone(t, c)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	if n := s.stored(); n != 2 {
		t.Fatalf("%d events are stored, want 2", n)
	}
}

// TestDirectShutdownGivesUp cuts off a request whose append does not end in time, and says so.
func TestDirectShutdownGivesUp(t *testing.T) {
	s, log := newGated(t)
	c := s.dial()
	_, _ = io.WriteString(c, post("/tables/events", "x"))
	<-log.begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.server.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Fatalf("shutdown says %v", err)
	}
	gone(t, c)
	waitFor(t, func() bool { return s.served() == 0 })
	if n := s.stored(); n != 1 {
		t.Fatalf("%d events are stored, want 1", n)
	}
}

// TestDirectGivesUp has clients lose patience with a disk that stalls: their requests end and give back what they hold,
// those of others go on.
func TestDirectGivesUp(t *testing.T) {
	s, log := newGated(t)
	waitFor(t, func() bool { return s.served() == 0 })
	large := strings.Repeat("x", 2*directBytes)
	stays, leaves, breaks := s.dial(), s.dial(), s.dial()
	for _, c := range []net.Conn{stays, leaves, breaks} {
		_, _ = io.WriteString(c, post("/tables/events", large))
		<-log.begun
	}
	leaves.Close()
	_ = breaks.SetLinger(0) // a reset
	breaks.Close()
	waitFor(t, func() bool {
		s.server.directs.giveUp()
		return s.served() == 1 && s.api.budget.held.Load() == int64(steps[1])
	})
	close(log.goOn)
	s.ok(s.raw(stays, ""))
	if n := s.stored(); n != 2 {
		t.Fatalf("%d events are stored, want 2", n)
	}
}

// TestDirectClientLeaves has clients leave while their appends are under way: nothing of them is left.
func TestDirectClientLeaves(t *testing.T) {
	s, log := newGated(t)
	for range 10 {
		c := s.dial()
		_, _ = io.WriteString(c, post("/tables/events", "x")+"POST /tables/ev")
		<-log.begun
		_ = c.SetLinger(0) // a reset
		c.Close()
	}
	close(log.goOn)
	waitFor(t, func() bool { return s.served() == 0 })
	waitFor(t, func() bool {
		open := s.ok(s.raw(s.dial(), "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		return strings.Contains(string(open.body), "\nfirn_http_connections 1\n")
	})
}

// TestPlainHeadBounds leaves heads that an idle connection should not keep to net/http.
func TestPlainHeadBounds(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		var p plainHead
		if got := p.parse([]byte(text)); got != want || mayBePlain([]byte(text[:len(text)-2])) != (len(text)-2 <= maxPlainHead) {
			t.Errorf("%d bytes: plain %v, want %v", len(text), got, want)
		}
	}
	const length = "Content-Length: 3\r\n"
	var many strings.Builder
	for i := range maxPlainHeaders - 1 {
		fmt.Fprintf(&many, "X-%d: y\r\n", i)
	}
	f(head("/tables/events", length+many.String()), true)
	f(head("/tables/events", length+many.String()+"X: y\r\n"), false)
	rest := maxPlainHead - len(head("/tables/events", length+"X: \r\n"))
	f(head("/tables/events", length+"X: "+strings.Repeat("y", rest)+"\r\n"), true)
	f(head("/tables/events", length+"X: "+strings.Repeat("y", rest+1)+"\r\n"), false)
}
