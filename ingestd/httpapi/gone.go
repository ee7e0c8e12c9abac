package httpapi

import (
	"syscall"
	"time"
)

// gonePause is how often the server looks for clients that have left: well below the patience of producers, who wait
// seconds for a reply, and above what any append takes whose disk is well.
const gonePause = time.Second

// watchClients ends requests whose clients have left, until Shutdown is done. net/http's server notices one at once, for
// a goroutine and two deadlines a request. It matters where appends take long, as when a disk stalls: clients lose
// patience and come back on new connections, and the requests that they left would hold their connections, of which
// there is a bounded number, and be stored besides what is sent again.
func (s *Server) watchClients() {
	t := time.NewTicker(gonePause)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			s.directs.giveUp()
		case <-s.rest.done:
			return
		}
	}
}

// giveUp ends, of the requests that were under way the last time too, those whose clients have left.
func (d *directs) giveUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		n := c.turn.Load()
		if n%2 == 1 && n == c.seen && c.left() {
			c.giveUp()
		}
		c.seen = n
	}
}

// left says whether the client has closed its side, or reset the connection, and nothing unread is before that.
func (c *direct) left() bool {
	var gone bool
	err := c.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		gone = n == 0 && err == nil || err == syscall.ECONNRESET || err == syscall.ETIMEDOUT || err == syscall.EPIPE
	})
	return err == nil && gone
}
