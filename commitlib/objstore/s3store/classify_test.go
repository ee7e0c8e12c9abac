package s3store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"firn/commitlib/awsenv"
)

// judged sends one request to a server that gives one answer, through the SDK, and returns what classify made of it.
func judged(t *testing.T, op string, a reply) (v verdict) {
	t.Helper()
	server := script(t, a)
	s := newTestStore(t, testConfig(server.URL))
	v, _ = s.attempt(t.Context(), call{op: op, bucket: "bucket", key: "k"}, s.sending(op))
	if n := server.requests(); n != 1 {
		t.Errorf("%+v: the SDK sent %d requests, not one", a, n)
	}
	return v
}

// TestClassify is the table of all answers: what S3 and those like it say, as the SDK hands it on.
func TestClassify(t *testing.T) {
	f := func(status int, code string, want answer) {
		t.Helper()
		v := judged(t, "put", reply{status: status, code: code, text: "why"})
		if v.answer != want || v.code != code || v.status != status {
			t.Errorf("%d %s is %v (%d %s), want %v", status, code, v.answer, v.status, v.code, want)
		}
		if throttled := status == 503 || status == 429 || code == "ThrottlingException"; v.throttled != throttled {
			t.Errorf("%d %s: throttled %v, want %v", status, code, v.throttled, throttled)
		}
	}
	// The condition.
	f(412, "PreconditionFailed", conflict)
	f(409, "ConditionalRequestConflict", retry)
	f(409, "OperationAborted", retry)
	// Absent: the key, which is an answer, and the bucket, which is a mistake.
	f(404, "NoSuchKey", absent)
	f(404, "NoSuchUpload", absent)
	f(404, "NoSuchBucket", fatal)
	f(404, "XAdminUserNotFound", fatal)
	f(404, "SomethingNew", fatal)
	// Certainly not applied.
	f(400, "RequestTimeout", retry)
	f(400, "IncompleteBody", retry)
	f(400, "BadDigest", retry)
	f(400, "XAmzContentSHA256Mismatch", retry)
	f(400, "XAmzContentChecksumMismatch", retry)
	// Perhaps applied.
	f(500, "InternalError", unknown)
	f(502, "BadGateway", unknown)
	f(504, "GatewayTimeout", unknown)
	f(408, "Timeout", unknown)
	// Perhaps applied, and asked to come later.
	f(503, "SlowDown", unknown)
	f(503, "SlowDownWrite", unknown)
	f(503, "ServiceUnavailable", unknown)
	f(503, "SomethingNew", unknown)
	f(429, "TooManyRequests", unknown)
	f(400, "ThrottlingException", unknown)
	// No space.
	f(507, "XMinioStorageFull", full)
	f(507, "Whatever", full)
	f(403, "QuotaExceeded", full)
	// Refused until someone changes something.
	f(403, "AccessDenied", fatal)
	f(403, "SignatureDoesNotMatch", fatal)
	f(403, "InvalidAccessKeyId", fatal)
	f(403, "RequestTimeTooSkewed", fatal)
	f(400, "ExpiredToken", fatal)
	f(400, "InvalidRequest", fatal)
	f(400, "AuthorizationHeaderMalformed", fatal)
	f(400, "KMS.DisabledException", fatal)
	f(400, "EntityTooLarge", fatal)
	f(405, "MethodNotAllowed", fatal)
	f(501, "NotImplemented", fatal)
	f(301, "PermanentRedirect", fatal)
	f(307, "TemporaryRedirect", fatal)
}

// TestClassifyHead: the answer to a HEAD has no body, so that its status is all there is.
func TestClassifyHead(t *testing.T) {
	f := func(status int, want answer) {
		t.Helper()
		if v := judged(t, "head", reply{status: status}); v.answer != want || v.status != status {
			t.Errorf("%d is %v (%d %s), want %v", status, v.answer, v.status, v.code, want)
		}
	}
	f(404, absent)
	f(403, fatal)
	f(400, fatal)
	f(301, fatal)
	f(412, conflict)
	f(500, unknown)
	f(503, unknown)
	f(429, unknown)
}

// TestClassifyOddities: answers that no S3 gives.
func TestClassifyOddities(t *testing.T) {
	f := func(what, op string, a reply, want answer) {
		t.Helper()
		if v := judged(t, op, a); v.answer != want {
			t.Errorf("%s is %v, want %v", what, v.answer, want)
		}
	}
	f("an error that is no XML", "put", reply{status: 502, text: "<html>bad gateway"}, unknown)
	f("a page that is not there", "list", reply{status: 404, text: "<html>404"}, fatal)
	f("a page that is not there either", "put", reply{status: 404}, fatal)
	f("a refusal that is no XML", "put", reply{status: 403, text: "forbidden"}, fatal)
	f("a list that is no XML", "list", reply{status: 200, text: "<html>welcome"}, unknown)
	f("a list that breaks off", "list", reply{status: 200, text: "<ListBucketResult><Contents>", cut: 20}, unknown)
	f("a reset", "put", reply{reset: true}, unknown)
	f("a reset of a read", "head", reply{reset: true}, unknown)
	f("an error inside a success", "complete upload", reply{status: 200, code: "InternalError"}, unknown)
	f("a busy one inside a success", "complete upload", reply{status: 200, code: "SlowDown"}, unknown)
	f("a refusal inside a success", "complete upload", reply{status: 200, code: "PreconditionFailed"}, conflict)
}

// TestClassifyUnanswered: where no connection was had nothing was applied, whatever the write.
func TestClassifyUnanswered(t *testing.T) {
	one := func(cfg Config) verdict {
		s := newTestStore(t, cfg)
		v, err := s.attempt(t.Context(), call{op: "put", bucket: "bucket", key: "k"}, s.sending("put"))
		if err == nil {
			t.Fatal("a request that cannot be sent was answered")
		}
		return v
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if v := one(testConfig("http://" + listener.Addr().String())); v.answer != retry {
		t.Errorf("a refused connection is %v", v.answer)
	}

	stranger := httptest.NewUnstartedServer(http.NotFoundHandler())
	stranger.Config.ErrorLog = log.New(io.Discard, "", 0)
	stranger.StartTLS()
	defer stranger.Close()
	if v := one(testConfig(stranger.URL)); v.answer != fatal {
		t.Errorf("a certificate that nobody vouches for is %v", v.answer)
	}

	cfg := testConfig("http://127.0.0.1:9")
	cfg.AWS.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, &awsenv.CredentialsError{Err: errors.New("not now")}
	})
	if v := one(cfg); v.answer != retry {
		t.Errorf("credentials that cannot be had now are %v", v.answer)
	}

	f := func(err error, sent bool, want answer) {
		t.Helper()
		if v := classify(err, sent); v.answer != want {
			t.Errorf("%v (sent: %v) is %v, want %v", err, sent, v.answer, want)
		}
	}
	f(nil, true, done)
	f(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, false, retry)
	f(&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true, unknown)
	f(&net.OpError{Op: "write", Err: syscall.EPIPE}, true, unknown)
	f(os.ErrDeadlineExceeded, true, unknown)
	f(context.DeadlineExceeded, true, unknown)
	f(context.DeadlineExceeded, false, retry)
	f(&damagedError{"x"}, true, unknown)
	f(errors.New("anything else"), true, unknown)
}

// sending sends one plain request of a kind.
func (s *Store) sending(op string) send {
	bucket, key := "bucket", "k"
	return func(ctx context.Context, opts func(*s3.Options)) (err error) {
		switch op {
		case "put":
			_, err = s.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader([]byte("body"))}, opts)
		case "head":
			_, err = s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key}, opts)
		case "list":
			_, err = s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &bucket}, opts)
		case "complete upload":
			_, err = s.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &key}, opts)
		}
		return err
	}
}
