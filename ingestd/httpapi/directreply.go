package httpapi

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// directBody is the body of the request under way.
type directBody struct {
	c    *direct
	left int64
}

// Read implements io.Reader: first what arrived with the head, then straight from the connection.
func (b *directBody) Read(p []byte) (int, error) {
	c := b.c
	p = p[:min(int64(len(p)), b.left)]
	var n int
	if c.r < c.w {
		n = copy(p, c.buf[c.r:c.w])
		c.r += n
	} else if b.left > 0 {
		var err error
		c.arm(c.reply.readBy, 0)
		n, err = c.Conn.Read(p)
		if b.left -= int64(n); err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil || b.left > 0 {
			return n, err
		}
		return n, io.EOF
	}
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	return n, nil
}

// whole returns the body if all of it arrived with the head, and counts it as read. It is valid until the reply is sent.
func (b *directBody) whole() ([]byte, bool) {
	c := b.c
	if b.left > int64(c.w-c.r) {
		return nil, false
	}
	body := c.buf[c.r : c.r+int(b.left) : c.r+int(b.left)]
	c.r += int(b.left)
	b.left = 0
	return body, true
}

// Close implements io.Closer; answer sees to what is left.
func (b *directBody) Close() error { return nil }

// directReply gathers a handler's reply, which is small, and sends it in one piece.
type directReply struct {
	c      *direct
	header http.Header
	status int
	body   []byte
	wire   []byte
	readBy time.Time // the read deadline that the handler wants; the connection gets it where a read has to wait
}

func (w *directReply) reset() {
	clear(w.header)
	w.status, w.body, w.readBy = 0, w.body[:0], time.Time{}
}

// Header implements http.ResponseWriter.
func (w *directReply) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *directReply) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

// Write implements http.ResponseWriter.
func (w *directReply) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, b...)
	return len(b), nil
}

// SetReadDeadline is what http.ResponseController looks for.
func (w *directReply) SetReadDeadline(t time.Time) error {
	w.readBy = t
	return nil
}

// send writes the reply; last says so to a client that does not know it yet.
func (c *direct) send(last bool) error {
	w := &c.reply
	w.WriteHeader(http.StatusOK)
	now := time.Now()
	b := append(w.wire[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(w.status), 10)
	b = append(append(b, ' '), http.StatusText(w.status)...)
	for name, values := range w.header {
		if name == "Connection" || name == "Content-Length" {
			continue
		}
		for _, v := range values {
			b = append(append(append(b, "\r\n"...), name...), ": "...)
			b = append(b, oneLine.Replace(v)...)
		}
	}
	b = append(b, "\r\nDate: "...)
	b = append(b, c.s.date.at(now)...)
	if last {
		b = append(b, "\r\nConnection: close"...)
	}
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(w.body)), 10)
	b = append(b, "\r\n\r\n"...)
	w.wire = append(b, w.body...)
	// A reply fits the socket's buffer, so it waits for a client only that sends requests and reads no replies. Between
	// half of the time-out and all of it is as good a bound, and spares a timer a request.
	if within := c.s.http.WriteTimeout; c.writeBy.Sub(now) < within/2 {
		c.writeBy = now.Add(within)
		_ = c.SetWriteDeadline(c.writeBy)
	}
	_, err := c.Conn.Write(w.wire)
	return err
}

// oneLine keeps a header's value in its line.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")
