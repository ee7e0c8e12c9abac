package httpapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// buffer is a body in memory. Its capacity is taken from the budget as it grows, so that a sender holds what it has
// sent and not what it has announced. A body that lies in its connection's read buffer, of which there is one a
// connection anyway, is lent from there and takes nothing of the budget.
type buffer struct {
	b      []byte
	budget *budget
	lent   bool
	kept   int64 // of the budget, beside b
}

// Buffers are pooled by capacity: each step is grown to from the one before, so a body is copied at most once for each.
// Larger ones than the last are made when needed and left to the collector.
var steps = [...]int{16 << 10, 128 << 10, 1 << 20, 4 << 20}

var bufferPools [len(steps)]sync.Pool

// lingerTimeout bounds how long a connection whose request was refused half-read may go on sending: long enough that a
// sender on a slow line reads the reply before it meets a reset, short enough to hold nobody up.
const lingerTimeout = time.Second

// grow makes room for at least one more byte, up to limit bytes in all; it must not be called at the limit.
func (f *buffer) grow(limit int) error {
	size, pooled := limit, -1
	for i, n := range steps {
		if n > cap(f.b) && n < limit {
			size, pooled = n, i
			break
		}
	}
	if pooled < 0 { // beyond the steps: double
		size = min(max(2*cap(f.b), 1), limit)
	}
	if err := f.budget.take(int64(size)); err != nil {
		return err
	}
	var next []byte
	if pooled >= 0 {
		if p, ok := bufferPools[pooled].Get().(*[]byte); ok {
			next = *p
		}
	}
	if next == nil {
		next = make([]byte, 0, size)
	}
	next = append(next[:0], f.b...)
	f.release()
	f.b = next
	return nil
}

// shrink gives the memory back, and keeps a part of what the budget counted of it: at most so many bytes.
func (f *buffer) shrink(bytes int64) {
	held := f.recycle()
	f.kept = min(bytes, held)
	f.budget.give(held - f.kept)
}

// release gives the memory back. The buffer is empty afterwards and may be used again.
func (f *buffer) release() {
	if f.budget == nil {
		return // nothing was read
	}
	f.budget.give(f.recycle() + f.kept)
	f.kept = 0
}

// recycle puts the memory into its pool, and returns what the budget counted of it.
func (f *buffer) recycle() (held int64) {
	if f.lent {
		f.b = nil
		return 0
	}
	held = int64(cap(f.b))
	for i, n := range steps {
		if cap(f.b) == n {
			b := f.b[:0]
			bufferPools[i].Put(&b)
		}
	}
	f.b = nil
	return held
}

// readBody reads a request's body into an empty buffer, and expands it. The caller releases the buffer, whatever comes.
func (a *API) readBody(body *buffer, w http.ResponseWriter, r *http.Request, limit int) error {
	encoding, err := contentEncoding(r)
	if err != nil {
		return err
	}
	body.budget = &a.budget
	if err := a.receive(body, w, r, limit); err != nil || encoding == "" {
		return err
	}
	sent := *body
	defer sent.release()
	*body = buffer{budget: &a.budget}
	return a.expand(body, sent.b, encoding, limit)
}

// receive reads the body as it was sent. On an error the rest of it stays unread, and the connection is closed.
func (a *API) receive(body *buffer, w http.ResponseWriter, r *http.Request, limit int) error {
	if r.ContentLength > int64(limit) {
		return tooLarge(limit)
	}
	if r.ContentLength == 0 {
		return nil
	}
	if direct, ok := r.Body.(*directBody); ok {
		if body.b, body.lent = direct.whole(); body.lent {
			return nil
		}
	}
	if err := a.budget.begin(max(r.ContentLength, 0)); err != nil {
		return err
	}
	conn := http.NewResponseController(w)
	start := time.Now()
	end := start.Add(a.cfg.BodyTimeout)
	arm := func(now time.Time) {
		idle := now.Add(a.cfg.BodyIdle)
		if idle.After(end) {
			idle = end
		}
		_ = conn.SetReadDeadline(idle) // a recorder in a test has none
	}
	arm(start)
	for {
		if len(body.b) == cap(body.b) {
			if len(body.b) > limit {
				return tooLarge(limit)
			}
			if err := body.grow(limit + 1); err != nil {
				return err
			}
		}
		n, err := r.Body.Read(body.b[len(body.b):cap(body.b)])
		body.b = body.b[:len(body.b)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return a.bodyError(err, len(body.b))
		}
		arm(time.Now())
	}
	// net/http now reads on in the background, to notice a client that leaves: an old deadline would look like one.
	_ = conn.SetReadDeadline(time.Time{})
	if len(body.b) > limit {
		return tooLarge(limit)
	}
	return nil
}

func (a *API) bodyError(err error, have int) error {
	var f *fault
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f = newFault("body_timeout", "send the body without pauses, or in smaller requests", "the body came too slowly: %d bytes, then a pause of %v, or %v in all", have, a.cfg.BodyIdle, a.cfg.BodyTimeout)
	} else {
		f = newFault("truncated_body", "send as many bytes as Content-Length says, or whole chunks", "the body broke off: %s", clip(err.Error()))
	}
	f.byte, f.closeConn = have, true
	return f
}

func tooLarge(limit int) error {
	f := newFault("body_too_large", "send fewer events in one request", "the body has more than %d bytes", limit)
	f.byte, f.closeConn = limit, true
	return f
}

// contentEncoding returns "", "gzip" or "zstd".
func contentEncoding(r *http.Request) (string, error) {
	switch v := r.Header["Content-Encoding"]; {
	case len(v) == 0 || len(v) == 1 && (v[0] == "" || strings.EqualFold(v[0], "identity")):
		return "", nil
	case len(v) == 1 && (strings.EqualFold(v[0], "gzip") || strings.EqualFold(v[0], "x-gzip")):
		return "gzip", nil
	case len(v) == 1 && strings.EqualFold(v[0], "zstd"):
		return "zstd", nil
	default:
		return "", newFault("unsupported_encoding", "send the body plain, or with Content-Encoding gzip or zstd, applied once", "Content-Encoding is %q", clip(strings.Join(v, ", ")))
	}
}
