package commitlib

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/uuid"

	"firn/commitlib/awsenv"
	"firn/commitlib/objstore"
	"firn/commitlib/objstore/s3store"
	"firn/perf/peer"
	"firn/perf/tier"
)

// Claims on a real S3 server, where exclusive creation, checksums and ranged reads are the server's: also after the answer
// to the creation got lost.
func TestClaimOnS3(t *testing.T) {
	tier.Need(t, tier.CI)
	server := peer.S3(t)
	proxy := peer.Proxy(t, server.Endpoint)
	store, err := s3store.Open(t.Context(), s3store.Config{
		AWS:  aws.Config{HTTPClient: awsenv.Client(), Region: server.Region, Credentials: credentials.NewStaticCredentialsProvider(server.AccessKey, server.SecretKey, "")},
		Root: "s3://" + server.Bucket + "/wh", Endpoint: proxy.URL, PathStyle: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	body := func(last int) []byte {
		return fmt.Appendf(nil, `{"location":"%s/default/t","log":"%s","first":1,"last":%d,"pad":"%s"}`, store.Root(), uuid.Must(uuid.NewV7()), last, strings.Repeat("x", 1<<20))
	}
	read := func(c *Claim) ([]byte, string, error) {
		t.Helper()
		m, err := decodeClaim(c.Message)
		if err != nil {
			t.Fatal(err)
		}
		return m.read(t.Context(), store)
	}

	// stored is what a sender does: it tries again where the outcome is unknown, as with a server that resets the
	// connection on which it refuses a large body.
	stored := func(body []byte) *Claim {
		t.Helper()
		for range 20 {
			claim, err := StoreClaim(t.Context(), store, body)
			if err == nil {
				return claim
			}
			if !errors.Is(err, objstore.ErrUnknown) {
				t.Fatal(err)
			}
		}
		t.Fatal("unknown 20 times in a row")
		return nil
	}

	first := body(5)
	claim := stored(first)
	if got, bad, err := read(claim); !bytes.Equal(got, first) || bad != "" || err != nil {
		t.Errorf("%d bytes, %q, %v", len(got), bad, err)
	}
	proxy.ResetCounts()
	if again := stored(first); again.Key != claim.Key {
		t.Errorf("sent again: %+v", again)
	}
	if n := proxy.Requests("GetObject"); n != 0 {
		t.Errorf("%d requests to see that the claim is there: its checksum tells", n)
	}

	// The creation is carried out, and its answer lost: whatever that call says, the next finds the claim.
	second := body(9)
	proxy.Hook(func(r *peer.Request) peer.Fault { return peer.Fault{Lose: r.Method == "PUT"} })
	if _, err := StoreClaim(t.Context(), store, second); err != nil && !errors.Is(err, objstore.ErrUnknown) {
		t.Errorf("lost answer: %v", err)
	}
	proxy.Hook(nil)
	claim = stored(second)
	if got, bad, err := read(claim); !bytes.Equal(got, second) || bad != "" || err != nil {
		t.Errorf("%d bytes, %q, %v", len(got), bad, err)
	}

	// Damaged: the next sending takes another name. Removed: gone, and not an error that keeps the message.
	if _, err := store.Put(t.Context(), claim.Key, second[:len(second)-1], objstore.Condition{}); err != nil {
		t.Fatal(err)
	}
	if _, bad, err := read(claim); bad == "" || err != nil {
		t.Errorf("damaged: %q, %v", bad, err)
	}
	other := stored(second)
	if other.Key == claim.Key {
		t.Fatalf("claim %+v", other)
	}
	if got, _, err := read(other); !bytes.Equal(got, second) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := store.Delete(t.Context(), other.Key); err != nil {
		t.Fatal(err)
	}
	if _, bad, err := read(other); bad != "" || !errors.Is(err, errClaimGone) {
		t.Errorf("removed: %q, %v", bad, err)
	}
}
