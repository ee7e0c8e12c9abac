package s3store

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// expectBytes is the body from which a write asks for "100 Continue" before it sends it: more than the sockets' buffers
// take at once. A refused condition then costs a header, and not a body whose sender is still writing when the server
// hangs up: the reset would arrive in place of the 412, and make the outcome unknown.
const expectBytes = 256 << 10

// expecting makes net/http heed the Expect header that the SDK sets: it does for requests of HTTP/1.1 alone, and the
// SDK's say no version. Without it the header is sent, and the body right behind it.
type expecting struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (e expecting) Do(req *http.Request) (*http.Response, error) {
	req.Proto, req.ProtoMajor, req.ProtoMinor = "HTTP/1.1", 1, 1
	return e.HTTPClient.Do(req)
}
