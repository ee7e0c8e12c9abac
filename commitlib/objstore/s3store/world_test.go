package s3store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/awsenv"
	"firn/commitlib/objstore"
)

var (
	anyway   = objstore.Condition{}
	ifAbsent = objstore.Condition{Absent: true}
)

// reply is one answer of a scripted server.
type reply struct {
	status int
	code   string // makes S3's XML of an error
	text   string // the error's message, or else the body
	header map[string]string
	cut    int             // so many bytes of the body are sent, and then the connection is reset
	reset  bool            // the connection is reset before anything is answered
	wait   <-chan struct{} // nothing is answered before
}

// scripted is an S3 server that gives one answer after the other, and the last of them from then on.
type scripted struct {
	*httptest.Server
	mu      sync.Mutex // protects the rest
	replies []reply
	seen    []*http.Request
	bodies  [][]byte
}

func script(t testing.TB, replies ...reply) *scripted {
	t.Helper()
	s := &scripted{replies: replies}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	a := s.replies[0]
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	s.seen = append(s.seen, r)
	s.bodies = append(s.bodies, body)
	s.mu.Unlock()
	if a.wait != nil {
		select {
		case <-a.wait:
		case <-r.Context().Done():
		}
	}
	a.write(w)
}

func (a reply) write(w http.ResponseWriter) {
	if a.reset {
		abort(w)
		return
	}
	w.Header().Set("X-Amz-Request-Id", "REQ1")
	for k, v := range a.header {
		w.Header().Set(k, v)
	}
	text := []byte(a.text)
	if a.code != "" {
		text = fmt.Appendf(nil, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>%s</Message><RequestId>REQ1</RequestId></Error>", a.code, a.text)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(text)))
	w.WriteHeader(a.status)
	if a.cut > 0 {
		w.Write(text[:a.cut])
		http.NewResponseController(w).Flush()
		abort(w)
		return
	}
	w.Write(text)
}

func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.(*net.TCPConn).SetLinger(0) // a reset, not an end
	conn.Close()
}

func (s *scripted) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// request is the n-th that came, from 0, with its body.
func (s *scripted) request(n int) (*http.Request, []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[n], s.bodies[n]
}

func static(id, secret, token string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: id, SecretAccessKey: secret, SessionToken: token}, nil
	})
}

// testConfig is a store at an endpoint.
func testConfig(endpoint string) Config {
	return Config{
		AWS:  aws.Config{Region: "us-east-1", HTTPClient: awsenv.Client(), Credentials: static("id", "secret", "")},
		Root: "s3://bucket/ware", Endpoint: endpoint, PathStyle: true,
	}
}

// newTestStore makes a store that waits for nothing between its sendings, and counts how long it would have.
func newTestStore(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.wait = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return s
}

func pattern(n int) []byte { return bytes.Repeat([]byte("firn.is.snow:"), n/13+1)[:n] }
