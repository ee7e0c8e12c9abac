package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"firn/commitlib/awsenv"
	"firn/commitlib/objstore"
)

// TestExplain: what an operator reads for each thing that he has to put right, and that all of it is ErrFatal.
func TestExplain(t *testing.T) {
	f := func(what string, do func(*Store) error, a reply, want ...string) {
		t.Helper()
		server := script(t, a)
		s := newTestStore(t, testConfig(server.URL))
		err := do(s)
		if !errors.Is(err, objstore.ErrFatal) {
			t.Errorf("%s: %v is not ErrFatal", what, err)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q is missing in: %v", what, w, err)
			}
		}
		if text := err.Error(); strings.Contains(text, "operation error") || strings.Contains(text, "secret") || len(text) > 500 {
			t.Errorf("%s: %v", what, text)
		}
	}
	get := func(s *Store) error { _, _, err := s.Get(context.Background(), "t/k"); return err }
	put := func(s *Store) error {
		_, err := s.Put(context.Background(), "t/k", nil, ifAbsent)
		return err
	}
	head := func(s *Store) error { _, err := s.Head(context.Background(), "t/k"); return err }
	list := func(s *Store) error {
		return s.List(context.Background(), "t/", func(objstore.Info) error { return nil })
	}
	region := map[string]string{"X-Amz-Bucket-Region": "eu-west-3"}

	f("no permission to read", get, denied, `get "t/k"`, "bucket bucket answered get with 403 AccessDenied", "(request REQ1)",
		"allow s3:GetObject on arn:aws:s3:::bucket/ware/*", "s3:ListBucket on arn:aws:s3:::bucket", "does not exist")
	f("no permission to write", put, denied, "allow s3:PutObject on arn:aws:s3:::bucket/ware/*")
	f("no permission to list", list, denied, "allow s3:ListBucket on arn:aws:s3:::bucket")
	f("no permission to delete", func(s *Store) error { return s.Delete(context.Background(), "t/a", "t/b") },
		reply{status: 200, text: "<DeleteResult><Error><Key>ware/t/b</Key><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>"},
		`answered delete with AccessDenied: of key "ware/t/b": no`, "allow s3:DeleteObject on arn:aws:s3:::bucket/ware/*")
	f("no permission to use the key", put, reply{status: 403, code: "AccessDenied", text: "User is not authorized to perform: kms:GenerateDataKey on resource: arn:aws:kms:…"},
		"kms:GenerateDataKey and kms:Decrypt on the key")
	f("no such bucket", put, noBucket, "make the bucket bucket, or correct the warehouse's name")
	f("another region, redirected", put, reply{status: 301, code: "PermanentRedirect", header: region}, "the bucket is in region eu-west-3 and not in us-east-1", "AWS_REGION=eu-west-3")
	f("another region, redirected for now", get, reply{status: 307, code: "TemporaryRedirect", header: region}, "AWS_REGION=eu-west-3")
	f("another region, by a signature", list, reply{status: 400, code: "AuthorizationHeaderMalformed", text: "the region 'us-east-1' is wrong; expecting 'ap-south-1'"}, "AWS_REGION=ap-south-1")
	f("another region, without a body", head, reply{status: 301, header: region}, "AWS_REGION=eu-west-3")
	f("elsewhere, nobody knows where", put, reply{status: 302}, "check AWS_REGION and AWS_ENDPOINT_URL_S3")
	f("expired credentials", put, reply{status: 400, code: "ExpiredToken", text: "The provided token has expired."}, "credentials have expired")
	f("unknown key", put, reply{status: 403, code: "InvalidAccessKeyId"}, "check AWS_ACCESS_KEY_ID")
	f("wrong secret", put, reply{status: 403, code: "SignatureDoesNotMatch"}, "check AWS_SECRET_ACCESS_KEY")
	f("a clock that is behind", put, reply{status: 403, code: "RequestTimeTooSkewed", header: map[string]string{"Date": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}},
		"this host's clock is ", "s behind the store's", "NTP")
	f("a clock that is ahead", put, reply{status: 403, code: "RequestTimeTooSkewed", header: map[string]string{"Date": time.Now().Add(-20 * time.Minute).UTC().Format(http.TimeFormat)}},
		"20m", "ahead of the store's", "NTP")
	f("a key of KMS that is off", put, reply{status: 400, code: "KMS.DisabledException"}, "FIRN_S3_KMS_KEY")
	f("a store without conditions", put, reply{status: 501, code: "NotImplemented"}, "conditional writes")
}

// TestHeadAsksForTheReason: a HEAD's answer has no body, so that a list is asked why, and whether the bucket is there at
// all: an absent bucket must never pass for an absent table.
func TestHeadAsksForTheReason(t *testing.T) {
	f := func(what string, want error, text string, requests int, replies ...reply) {
		t.Helper()
		server := script(t, replies...)
		s := newTestStore(t, testConfig(server.URL))
		_, err := s.Head(t.Context(), "k")
		wantOnly(t, what, err, want)
		if err == nil || !strings.Contains(err.Error(), text) || server.requests() != requests {
			t.Errorf("%s: %v after %d requests", what, err, server.requests())
		}
	}
	listed := reply{status: 200, text: "<ListBucketResult><Name>bucket</Name></ListBucketResult>"}
	f("a missing bucket", objstore.ErrFatal, "make the bucket", 2, reply{status: 404}, noBucket)
	f("a missing key", objstore.ErrNotExist, "404", 2, reply{status: 404}, listed)
	f("an expired token", objstore.ErrFatal, "credentials have expired", 2, reply{status: 400}, expired)
	f("no permission to list", objstore.ErrFatal, "allow s3:ListBucket", 2, reply{status: 403}, denied)
	f("no permission to read", objstore.ErrFatal, "allow s3:GetObject", 2, reply{status: 403}, listed)
	f("a store that does not say", errOther, "500", 2, reply{status: 404}, internal)

	// Once the bucket was seen a missing key is one request.
	server := script(t, ok, reply{status: 404})
	s := newTestStore(t, testConfig(server.URL))
	if _, err := s.Put(t.Context(), "k", nil, ifAbsent); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(t.Context(), "k2"); !errors.Is(err, objstore.ErrNotExist) || server.requests() != 2 {
		t.Errorf("head: %v after %d requests", err, server.requests())
	}
}

// TestOpen: what is certain to go wrong is told at the start; a store that is away is none of it.
func TestOpen(t *testing.T) {
	f := func(what, want string, a reply) {
		t.Helper()
		server := script(t, a)
		s, err := Open(t.Context(), testConfig(server.URL))
		if want == "" && (err != nil || s == nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
		if r, _ := server.request(0); server.requests() != 1 || r.URL.Query().Get("prefix") != "ware/" || r.URL.Query().Get("max-keys") != "1" {
			t.Errorf("%s: asked %v", what, r.URL)
		}
	}
	f("there", "", reply{status: 200, text: "<ListBucketResult><Name>bucket</Name></ListBucketResult>"})
	f("away", "", internal)
	f("gone from the network", "", reset)
	f("busy", "", slowDown)
	f("no bucket", "open object store s3://bucket/ware: bucket bucket answered list with 404 NoSuchBucket", noBucket)
	f("no permission", "allow s3:ListBucket", denied)
	f("no S3", "check AWS_REGION and AWS_ENDPOINT_URL_S3", reply{status: 302, text: "<html>"})

	unsigned := script(t, ok)
	cfg := testConfig(unsigned.URL)
	cfg.AWS.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, &awsenv.CredentialsError{Err: errors.New("nobody gives credentials here; get some")}
	})
	if _, err := Open(t.Context(), cfg); err == nil || err.Error() != "open object store s3://bucket/ware: list in bucket bucket: nobody gives credentials here; get some" || unsigned.requests() != 0 {
		t.Errorf("without credentials: %v", err)
	}

	// What the instance's metadata service answers is not the bucket's answer, and nothing was sent to that.
	for _, status := range []int{403, 404, 412, 500} {
		theirs := &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: errors.New("no role")}
		cfg.AWS.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, &awsenv.CredentialsError{Err: fmt.Errorf("ask the instance: %w", theirs)}
		})
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		s.wait = func(context.Context, time.Duration) error { return nil }
		_, err = s.Put(t.Context(), "k", []byte("x"), ifAbsent)
		if err == nil || errors.Is(err, objstore.ErrUnknown) || errors.Is(err, objstore.ErrPrecondition) || errors.Is(err, objstore.ErrFatal) ||
			!strings.Contains(err.Error(), "put in bucket bucket: ask the instance") {
			t.Errorf("the instance answers %d: %v", status, err)
		}
	}

	hung, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	silent := script(t, reply{reset: true, wait: t.Context().Done()})
	if _, err := Open(hung, testConfig(silent.URL)); err != nil {
		t.Errorf("a store that does not answer: %v", err)
	}
	server := script(t, noBucket)
	s, err := New(testConfig(server.URL))
	if err != nil || server.requests() != 0 {
		t.Fatalf("new: %v after %d requests", err, server.requests())
	}
	if err := s.Check(t.Context()); !errors.Is(err, objstore.ErrFatal) || server.requests() != 1 {
		t.Errorf("check: %v after %d requests", err, server.requests())
	}
}
