package awsenv

import (
	"io"
	"net/http"
)

// plainBodies hides io.WriterTo of request bodies from net/http.
//
// The SDK closes a request's body as soon as the answer's header is there. net/http may then still be looking whether the
// body has more than its stated length; a closed body of the SDK's answers that with io.EOF, which from Read means the
// end and from WriteTo is an error. net/http takes it for a write that broke, closes the connection, and the answer's
// body cannot be read: a call that was carried out looks like one whose outcome is unknown, about one in 300 where the
// answer comes within a few tens of microseconds.
type plainBodies struct{ transport *http.Transport }

// RoundTrip is http.RoundTripper's.
func (p plainBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, ok := r.Body.(io.WriterTo); ok && r.Body != http.NoBody {
		plain := *r
		plain.Body = struct{ io.ReadCloser }{r.Body}
		r = &plain
	}
	return p.transport.RoundTrip(r)
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (p plainBodies) CloseIdleConnections() { p.transport.CloseIdleConnections() }
