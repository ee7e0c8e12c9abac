package s3store

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// rewinding gives net/http the means to send a body anew. It does that for a PUT in one case alone: the idle connection
// that it chose was closed by the server before the first byte of the request was written. Without it such a write
// would end with an unknown outcome, whenever a process was idle for longer than the store keeps connections.
type rewinding struct{ aws.HTTPClient }

type bodyKey struct{}

// withBody tells rewinding the body of the request that is made from ctx.
func withBody(ctx context.Context, body []byte) context.Context {
	return context.WithValue(ctx, bodyKey{}, body)
}

// Do implements aws.HTTPClient.
func (r rewinding) Do(req *http.Request) (*http.Response, error) {
	body, ok := req.Context().Value(bodyKey{}).([]byte)
	if ok && req.GetBody == nil && req.ContentLength == int64(len(body)) {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	}
	return r.HTTPClient.Do(req)
}
