package s3store

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"firn/commitlib/objstore"
	"firn/perf/peer"
	"firn/perf/tier"
)

// TestWrongSettings gives a real server what operators get wrong. Each is refused at the start, and by each call, with
// what to do; nothing of it is sent again.
func TestWrongSettings(t *testing.T) { eachPeer(t, wrongSettings) }

func wrongSettings(t *testing.T, server *peer.S3Server) {
	p := peer.Proxy(t, server.Endpoint)
	f := func(name string, change func(*Config), want string) {
		t.Helper()
		cfg := peerConfig(server.At(p))
		change(&cfg)
		if _, err := Open(t.Context(), cfg); !errors.Is(err, objstore.ErrFatal) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: open: %v, want %q in it", name, err, want)
		}
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		p.ResetCounts()
		calls(t, s, func(what string, err error) {
			if !errors.Is(err, objstore.ErrFatal) || errors.Is(err, objstore.ErrNotExist) || errors.Is(err, objstore.ErrUnknown) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s: %v, want %q in it", name, what, err, want)
			}
		})
		if n := p.Requests("PutObject") + p.Requests("GetObject") + p.Requests("HeadObject"); n != 3 {
			t.Errorf("%s: %d requests for three calls", name, n)
		}
	}
	f("no such bucket", func(c *Config) { c.Root = "s3://no-such-bucket-here/ware" }, "make the bucket no-such-bucket-here")
	f("another secret", func(c *Config) { c.AWS.Credentials = static(server.AccessKey, "wrong", "") }, "check AWS_SECRET_ACCESS_KEY")
	f("an unknown key", func(c *Config) { c.AWS.Credentials = static("nobody", "wrong", "") }, "check AWS_ACCESS_KEY_ID")
	f("no permission", func(c *Config) { c.AWS.Credentials = aws.AnonymousCredentials{} }, "allow s3:")
	if strings.HasSuffix(t.Name(), "MinIO") {
		return // takes signatures for any region
	}
	f("another region", func(c *Config) { c.AWS.Region = "eu-west-3" }, "AWS_REGION="+server.Region)
}

// eachPeer runs a test against the servers of this tier.
func eachPeer(t *testing.T, test func(*testing.T, *peer.S3Server)) {
	tier.Need(t, tier.CI)
	t.Run("versitygw", func(t *testing.T) { test(t, peer.S3(t)) })
	t.Run("MinIO", func(t *testing.T) { test(t, peer.MinIO(t)) })
}

// calls makes one call of each kind.
func calls(t *testing.T, s *Store, check func(what string, err error)) {
	t.Helper()
	check("put", second(s.Put(t.Context(), "t/k", []byte("x"), ifAbsent)))
	_, _, err := s.Get(t.Context(), "t/k")
	check("get", err)
	check("head", second(s.Head(t.Context(), "t/k")))
	check("list", s.List(t.Context(), "t/", func(objstore.Info) error { return nil }))
	check("delete", s.Delete(t.Context(), "t/k", "t/l"))
	check("check", s.Check(t.Context()))
}

// skewed signs by a clock that is off.
type skewed struct {
	*v4.Signer
	by time.Duration
}

func (s skewed) SignHTTP(ctx context.Context, creds aws.Credentials, r *http.Request, payload, service, region string, at time.Time, opts ...func(*v4.SignerOptions)) error {
	return s.Signer.SignHTTP(ctx, creds, r, payload, service, region, at.Add(s.by), opts...)
}

// TestClockThatIsOff: a host an hour off is told so by a real server's refusal, each time: the SDK's correction would
// hide a clock by which the protocol tells ages.
func TestClockThatIsOff(t *testing.T) { eachPeer(t, clockThatIsOff) }

func clockThatIsOff(t *testing.T, server *peer.S3Server) {
	for _, by := range []time.Duration{time.Hour, -time.Hour} {
		s := openPeer(t, server)
		options := s.client.Options()
		options.HTTPSignerV4 = skewed{v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }), by}
		options.AuthSchemes = nil // made anew, with this signer
		s.client = s3.New(options)
		for range 2 {
			calls(t, s, func(what string, err error) {
				if !errors.Is(err, objstore.ErrFatal) || !strings.Contains(err.Error(), "NTP") {
					t.Errorf("%v: %s: %v", by, what, err)
				}
			})
		}
	}
}
