package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"time"
)

// replyWait is how long an answer may take, half of it at least: longer than ingestd keeps any request waiting.
const replyWait = 2 * time.Minute

// conn is one connection to the server, made anew when it is lost. It reads answers itself: net/http's client costs more
// than the server does for a request. One goroutine owns it.
type conn struct {
	addr     string
	c        net.Conn
	buf      []byte
	deadline time.Time // of what is under way
}

func newConn(addr string) *conn { return &conn{addr: addr, buf: make([]byte, 4096)} }

// answer is what is needed of a response.
type answer struct {
	status     int
	retryAfter bool // it says when to try again
	body       []byte
}

// do sends a request, now, and reads its answer; the body is valid until the next call. After an error the connection is
// closed, and the next call makes another.
func (c *conn) do(request []byte, now time.Time) (a answer, err error) {
	if c.c == nil {
		if c.c, err = net.Dial("tcp", c.addr); err != nil {
			c.c = nil
			return a, fmt.Errorf("connect: %w", err)
		}
		c.deadline = time.Time{}
	}
	if c.deadline.Sub(now) < replyWait/2 { // not for each request: it would cost as much as reading the answer
		c.deadline = now.Add(replyWait)
		if err := c.c.SetDeadline(c.deadline); err != nil {
			c.close()
			return a, fmt.Errorf("connect: %w", err)
		}
	}
	_, sent := c.c.Write(request)
	// A server that refuses a request may answer before it has read all of it, and close: the answer is what counts.
	a, last, err := c.read()
	if err == nil && sent != nil {
		last = true
	}
	if err != nil || last {
		c.close()
	}
	return a, err
}

func (c *conn) close() {
	if c.c != nil {
		c.c.Close()
		c.c = nil
	}
}

var (
	headEnd     = []byte("\r\n\r\n")
	errBadReply = errors.New("the answer is not HTTP/1.1 with a Content-Length")
)

// read reads one answer; last says that the server closes the connection after it.
func (c *conn) read() (a answer, last bool, err error) {
	have, end := 0, -1
	for end < 0 {
		if have == len(c.buf) {
			return a, true, errBadReply
		}
		n, err := c.c.Read(c.buf[have:])
		if n == 0 && err != nil {
			return a, true, fmt.Errorf("read answer: %w", err)
		}
		from := max(0, have-len(headEnd)+1)
		have += n
		if i := bytes.Index(c.buf[from:have], headEnd); i >= 0 {
			end = from + i + len(headEnd)
		}
	}
	h := parseHead(c.buf[:end])
	if a.status, a.retryAfter = h.status, h.retryAfter; h.chunked {
		a.body, err = c.chunks(c.buf[end:have])
		return a, h.last, err
	}
	if a.status == 0 || h.length < 0 {
		return a, true, errBadReply
	}
	total := end + h.length
	if total > len(c.buf) {
		c.buf = append(c.buf, make([]byte, total-len(c.buf))...)
	}
	for have < total {
		n, err := c.c.Read(c.buf[have:total])
		if n == 0 && err != nil {
			return a, true, fmt.Errorf("read answer: %w", err)
		}
		have += n
	}
	a.body = c.buf[end:total]
	return a, h.last, nil
}

// chunks reads a body in chunks, of which begun is here already. Pages of events come so, acks never.
func (c *conn) chunks(begun []byte) ([]byte, error) {
	in := bufio.NewReader(io.MultiReader(bytes.NewReader(begun), c.c))
	body, err := io.ReadAll(httputil.NewChunkedReader(in))
	if err == nil {
		_, err = in.ReadSlice('\n') // the empty line behind the last chunk; ingestd sends no trailers
	}
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return body, nil
}

// head is what is needed of a response's head.
type head struct {
	status     int // 0: this is none
	length     int // -1: not said
	chunked    bool
	retryAfter bool
	last       bool // the server closes the connection
}

func parseHead(text []byte) head {
	const first = "HTTP/1.1 "
	if len(text) < len(first)+3 || string(text[:len(first)]) != first {
		return head{}
	}
	h := head{length: -1}
	h.status, _ = strconv.Atoi(string(text[len(first) : len(first)+3]))
	for {
		i := bytes.IndexByte(text, '\n')
		if i < 0 || len(text) < i+3 {
			return h
		}
		text = text[i+1:]
		switch text[0] | 0x20 {
		case 'c':
			if v, ok := value(text, "content-length"); ok {
				if n, err := strconv.Atoi(string(v)); err == nil {
					h.length = n
				}
			} else if v, ok := value(text, "connection"); ok {
				h.last = bytes.EqualFold(v, []byte("close"))
			}
		case 'r':
			if _, ok := value(text, "retry-after"); ok {
				h.retryAfter = true
			}
		case 't':
			if v, ok := value(text, "transfer-encoding"); ok {
				h.chunked = bytes.EqualFold(v, []byte("chunked"))
			}
		}
	}
}

// value is the value of the header line that text begins with, if it is the one called name.
func value(text []byte, name string) ([]byte, bool) {
	if len(text) <= len(name) || text[len(name)] != ':' || !bytes.EqualFold(text[:len(name)], []byte(name)) {
		return nil, false
	}
	line, _, _ := bytes.Cut(text[len(name)+1:], []byte("\r\n"))
	return bytes.TrimSpace(line), true
}
