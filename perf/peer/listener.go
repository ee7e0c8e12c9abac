package peer

import (
	"net"
	"sync"
)

// trackingListener knows its open connections, so that all of them can be reset at once.
type trackingListener struct {
	net.Listener

	mu     sync.Mutex // conns, down, turned
	conns  map[net.Conn]bool
	down   bool
	turned int
}

// Accept returns the next connection. While the listener is down each is reset as soon as it is there: closing the
// listener would let another process take its port.
func (l *trackingListener) Accept() (net.Conn, error) {
	for {
		inner, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.mu.Lock()
		if l.down {
			l.turned++
			l.mu.Unlock()
			resetConn(inner)
			continue
		}
		c := &trackedConn{inner, l}
		l.conns[c] = true
		l.mu.Unlock()
		return c, nil
	}
}

func (l *trackingListener) setDown(down bool) {
	l.mu.Lock()
	l.down = down
	var open []net.Conn
	if down {
		for c := range l.conns {
			open = append(open, c)
		}
	}
	l.mu.Unlock()
	for _, c := range open {
		resetConn(c)
	}
}

// turnedAway is how many connections were reset at once.
func (l *trackingListener) turnedAway() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.turned
}

// trackedConn leaves its listener's list when it closes.
type trackedConn struct {
	net.Conn
	of *trackingListener
}

func (c *trackedConn) Close() error {
	c.of.mu.Lock()
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// resetConn closes a connection by RST, so that the other end sees a reset and no orderly end.
func resetConn(c net.Conn) {
	if t, ok := c.(*trackedConn); ok {
		defer t.Close()
		c = t.Conn
	}
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}
