package rest

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// DefaultTimeout bounds one request with its answer. A commit on a service that retries inside itself takes seconds; a
// load balancer in front gives up after 60 s.
const DefaultTimeout = 30 * time.Second

// MaxMetadataBytes bounds an answer that holds table metadata, for the reasons that package objectstore gives for the
// same bound; at 600 bytes a snapshot it is 28,000 retained snapshots.
const MaxMetadataBytes = 16 << 20

// Config is what a Catalog needs to know.
type Config struct {
	URI       string // of the service, without /v1
	Warehouse string // the warehouse to ask the service for; empty: it has one
	Root      string // s3://bucket/prefix that new tables go under; empty or s3://: the service chooses

	// How requests are signed in: at most one of these three; none: not at all.
	Token      string // a bearer token that somebody else keeps valid
	Credential string // of an OAuth2 client: id:secret, or the secret alone
	SigV4      string // AWS's name of the service: glue, s3tables, execute-api

	OAuthURI string     // where Credential gets tokens; empty: the service's own /v1/oauth/tokens
	Scope    string     // of those tokens; empty: catalog
	AWS      aws.Config // region and credentials for SigV4

	Transport http.RoundTripper // nil: one of the catalog's own
	Timeout   time.Duration     // of one request; 0: DefaultTimeout
	Logger    *slog.Logger      // nil: slog.Default
	Now       func() time.Time  // nil: time.Now
}

// Validate joins all violations. Their text repeats no secret.
func (cfg Config) Validate() error {
	var errs []error
	check := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(!plainHTTP(cfg.URI), "the catalog's URI is no plain http:// or https:// address: write the service's URI without /v1")
	check(strings.HasSuffix(strings.TrimRight(cfg.URI, "/"), "/v1"), "the catalog's URI ends with /v1: write it without, as it is added to every path")
	check(cfg.OAuthURI != "" && !plainHTTP(cfg.OAuthURI), "the OAuth2 URI is no plain http:// or https:// address")
	ways := 0
	for _, way := range []string{cfg.Token, cfg.Credential, cfg.SigV4} {
		if way != "" {
			ways++
		}
	}
	check(ways > 1, "a request carries one authorization: give a token, an OAuth2 credential, or a service to sign for")
	check(cfg.SigV4 != "" && cfg.AWS.Region == "", "requests are to be signed for %s, and no AWS region is set", cfg.SigV4)
	check(cfg.SigV4 != "" && cfg.AWS.Credentials == nil, "requests are to be signed for %s, and there are no AWS credentials", cfg.SigV4)
	check(cfg.Root != "" && !strings.HasPrefix(cfg.Root, "s3://"), "tables of a REST catalog lie on S3, not in %q", cfg.Root)
	return errors.Join(errs...)
}

func plainHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
