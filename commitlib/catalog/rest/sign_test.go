package rest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/catalog/rest"
)

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// escaped is AWS's UriEncode: all but the unreserved characters and the slash.
func escaped(path string) string {
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~/", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// signature computes AWS's signature, version 4, of what a server received, from AWS's description of it and not from
// the SDK's code: for services other than S3 the path is encoded once more.
func signature(t *testing.T, r request, host, secret, region, service string) string {
	t.Helper()
	_, parameters, ok := strings.Cut(r.header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
	if !ok {
		t.Fatalf("Authorization: %q", r.header.Get("Authorization"))
	}
	var names []string
	for _, p := range strings.Split(parameters, ", ") {
		if list, ok := strings.CutPrefix(p, "SignedHeaders="); ok {
			names = strings.Split(list, ";")
		}
	}
	var headers strings.Builder
	for _, name := range names {
		value := r.header.Get(name)
		switch name {
		case "host":
			value = host
		case "content-length":
			value = fmt.Sprint(len(r.body))
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.Join(strings.Fields(value), " "))
	}
	for _, must := range []string{"host", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"} {
		if !slices.Contains(names, must) {
			t.Errorf("%s is not signed: %v", must, names)
		}
	}
	query, err := url.ParseQuery(r.query)
	if err != nil {
		t.Fatal(err)
	}
	canonical := strings.Join([]string{r.method, escaped(r.path), strings.ReplaceAll(query.Encode(), "+", "%20"),
		headers.String(), strings.Join(names, ";"), sum(r.body)}, "\n")
	date := r.header.Get("X-Amz-Date")
	scope := strings.Join([]string{date[:8], region, service, "aws4_request"}, "/")
	key := mac(mac(mac(mac([]byte("AWS4"+secret), date[:8]), region), service), "aws4_request")
	return hex.EncodeToString(mac(key, strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, sum(canonical)}, "\n")))
}

// TestSigV4 recomputes the signature of each kind of request, with the prefix that S3 Tables gives.
func TestSigV4(t *testing.T) {
	for _, name := range []string{"s3tables", "glue"} {
		t.Run(name, func(t *testing.T) {
			const prefix = "arn%3Aaws%3As3tables%3Aeu-west-1%3A111122223333%3Abucket%2Flake"
			s := newService(t)
			s.on("GET /v1/config", answer(200, `{"defaults":{},"overrides":{"prefix":"`+prefix+`"}}`))
			const tables = "/v1/" + prefix + "/namespaces/lake/tables"
			s.on("GET "+tables+"/clicks", answer(200, tableJSON(newMetadata(), 0, "")))
			s.on("POST "+tables+"/clicks", answer(409, model(409, "CommitFailedException", "no")))
			s.on("GET "+tables, answer(200, `{"identifiers":[]}`))
			c := newCatalog(t, rest.Config{
				URI: s.uri, SigV4: name, Warehouse: "arn:aws:s3tables:eu-west-1:111122223333:bucket/lake",
				AWS: aws.Config{Region: "eu-west-1", Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
					return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "hunter2", SessionToken: "session"}, nil
				})},
			})
			base := load(t, c)
			c.Swap(t.Context(), base, next(base, 1))
			if _, err := c.List(t.Context(), "lake"); err != nil {
				t.Fatal(err)
			}
			host := strings.TrimPrefix(s.uri, "http://")
			for _, what := range []string{"GET /v1/config", "GET " + tables + "/clicks", "POST " + tables + "/clicks", "GET " + tables} {
				r := s.asked(what)
				if len(r) != 1 {
					t.Fatalf("%s was asked %d times", what, len(r))
				}
				want := signature(t, r[0], host, "hunter2", "eu-west-1", name)
				authorization := r[0].header.Get("Authorization")
				if !strings.HasSuffix(authorization, "Signature="+want) || !strings.Contains(authorization, "Credential=AKID/") {
					t.Errorf("%s is signed %s, want %s", what, authorization, want)
				}
				if r[0].header.Get("X-Amz-Content-Sha256") != sum(r[0].body) {
					t.Errorf("%s: the body's hash is another", what)
				}
				if at, err := time.Parse("20060102T150405Z", r[0].header.Get("X-Amz-Date")); err != nil || time.Since(at).Abs() > time.Minute {
					t.Errorf("%s: signed at %v, %v", what, at, err)
				}
				if r[0].header.Get("X-Iceberg-Access-Delegation") != "" {
					t.Errorf("%s asks for credentials, and has AWS's own", what)
				}
			}
			if got := s.asked("GET /v1/config")[0].query; got != "warehouse=arn%3Aaws%3As3tables%3Aeu-west-1%3A111122223333%3Abucket%2Flake" {
				t.Errorf("config asked with %q", got)
			}
		})
	}
}

// TestNoCredentialsToSign: a request that cannot be signed is not sent.
func TestNoCredentialsToSign(t *testing.T) {
	s := newService(t)
	c := newCatalog(t, rest.Config{URI: s.uri, SigV4: "glue", AWS: aws.Config{Region: "eu-west-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, http.ErrNoCookie })}})
	_, err := c.Load(t.Context(), clicks)
	if err == nil || !strings.Contains(err.Error(), "get AWS credentials") || len(s.asked("GET /v1/config")) != 0 {
		t.Errorf("%v; %d requests", err, len(s.asked("GET /v1/config")))
	}
}
