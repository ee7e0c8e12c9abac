package peer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"firn/perf/tier"
)

// The account of all peers. ministack takes an access key of twelve digits for the account's id.
const (
	AccessKey = "111122223333"
	SecretKey = "firn-tests-secret-key"
	Region    = "us-east-1"
)

// S3Server is an S3 server and a bucket in it that is the caller's own. Requests are path-style.
type S3Server struct {
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string
	Region    string
	Bucket    string

	dir string // the server's folder, in which each bucket is one
}

var versitygw = shared{program: func(t testing.TB) program {
	return program{
		name: "versitygw", path: binary(t, "versitygw"), ready: listBuckets,
		args: func(port int, dir string) []string {
			return []string{"--port", "127.0.0.1:" + strconv.Itoa(port), "posix", dir}
		},
		env: func(int, string) []string {
			return []string{"ROOT_ACCESS_KEY=" + AccessKey, "ROOT_SECRET_KEY=" + SecretKey, "VGW_REGION=" + Region}
		},
	}
}}

var minio = shared{program: func(t testing.TB) program {
	return program{
		name: "minio", path: binary(t, "minio"), ready: listBuckets,
		args: func(port int, dir string) []string {
			return []string{"server", "--quiet", "--address", "127.0.0.1:" + strconv.Itoa(port), dir}
		},
		env: func(int, string) []string {
			return []string{"MINIO_ROOT_USER=" + AccessKey, "MINIO_ROOT_PASSWORD=" + SecretKey, "MINIO_REGION_NAME=" + Region, "MINIO_BROWSER=off", "MINIO_UPDATE=off"}
		},
	}
}}

// S3 is versitygw, shared by the tests of this binary, with a bucket of the caller's own. About 5% of the losers of a
// race with bodies of 1 MiB see a reset connection in place of the 412.
func S3(t testing.TB) *S3Server {
	t.Helper()
	return bucketIn(t, versitygw.get(t))
}

// sharedBucket is the lasting bucket of one shared server, made by the first test that starts it.
type sharedBucket struct {
	once sync.Once
	s3   *S3Server
}

// get is the bucket; the test ends where there is none. what names whose bucket it is.
func (b *sharedBucket) get(t testing.TB, what string) *S3Server {
	t.Helper()
	b.once.Do(func() { b.s3 = lastingS3(t) })
	if b.s3 == nil {
		missing(t, what, "make peers", nil)
	}
	return b.s3
}

// lastingS3 is S3 with a bucket that lives as long as the server: for other shared servers.
func lastingS3(t testing.TB) *S3Server {
	t.Helper()
	s := serverOf(versitygw.get(t))
	s.Bucket = s.makeBucket(t)
	return s
}

// OwnS3 is versitygw as a process for this test alone.
func OwnS3(t testing.TB) *S3Server {
	t.Helper()
	return bucketIn(t, versitygw.program(t).own(t))
}

// MinIO is MinIO, shared by the tests of this binary, with a bucket of the caller's own: the slow tier's second
// opinion. It ignores a wrong If-Match on DELETE.
func MinIO(t testing.TB) *S3Server {
	t.Helper()
	tier.Need(t, tier.Slow)
	return bucketIn(t, minio.get(t))
}

func serverOf(s *server) *S3Server {
	return &S3Server{Endpoint: s.base, AccessKey: AccessKey, SecretKey: SecretKey, Region: Region, dir: s.dir}
}

func bucketIn(t testing.TB, s *server) *S3Server {
	t.Helper()
	o := serverOf(s)
	o.Bucket = o.NewBucket(t)
	return o
}

// NewBucket makes one more bucket. It goes with the test.
func (s *S3Server) NewBucket(t testing.TB) string {
	t.Helper()
	name := s.makeBucket(t)
	// The shared server stays until the binary ends: what a test wrote must not stay as long.
	t.Cleanup(func() { os.RemoveAll(filepath.Join(s.dir, name)) })
	return name
}

func (s *S3Server) makeBucket(t testing.TB) string {
	t.Helper()
	name := "firn-" + unique()
	if _, err := call(context.Background(), s.Endpoint, "s3", http.MethodPut, "/"+name, nil, nil); err != nil {
		t.Fatalf("make bucket %s: %v", name, err)
	}
	return name
}

// Root is the bucket as a warehouse: s3://bucket.
func (s *S3Server) Root() string { return "s3://" + s.Bucket }

// At is the same server and bucket, reached through a proxy in front of it.
func (s *S3Server) At(p *FaultProxy) *S3Server {
	c := *s
	c.Endpoint = p.URL
	return &c
}

// Env is the environment of a process that uses this server and no other: append it to one without AWS_ variables.
func (s *S3Server) Env() []string {
	return append(credentialsEnv(), "AWS_ENDPOINT_URL_S3="+s.Endpoint)
}

func credentialsEnv() []string {
	return []string{
		"AWS_REGION=" + Region, "AWS_ACCESS_KEY_ID=" + AccessKey, "AWS_SECRET_ACCESS_KEY=" + SecretKey,
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
	}
}

func listBuckets(ctx context.Context, base string) error {
	_, err := call(ctx, base, "s3", http.MethodGet, "/", nil, nil)
	return err
}

func unique() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
