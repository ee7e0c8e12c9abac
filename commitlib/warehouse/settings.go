package warehouse

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/objstore"
)

// The catalogs.
const (
	ObjectStore = "objectstore" // the warehouse itself holds the table pointers
	Glue        = "glue"        // AWS Glue's data catalog
	REST        = "rest"        // a service with the Iceberg REST specification's interface
)

// EveryBucket is the warehouse of a REST catalog that chooses tables' places itself: locations in any bucket.
const EveryBucket = "s3://"

// Settings name a store and a catalog. Each is an environment variable (FromEnv) and, but for the secrets, a flag of
// ingestd.
type Settings struct {
	Warehouse string // FIRN_WAREHOUSE: s3://bucket/prefix, or the absolute path of a directory
	Catalog   string // FIRN_CATALOG: ObjectStore (also where empty), Glue or REST

	CatalogURI        string // FIRN_CATALOG_URI: of a REST service, without /v1
	CatalogWarehouse  string // FIRN_CATALOG_WAREHOUSE: the warehouse to ask a REST service for; the id of a Glue catalog (empty: the account's own)
	CatalogToken      string // FIRN_CATALOG_TOKEN: a bearer token
	CatalogCredential string // FIRN_CATALOG_CREDENTIAL: id:secret of an OAuth2 client
	CatalogOAuthURI   string // FIRN_CATALOG_OAUTH_URI: where tokens are had; empty: the service's own
	CatalogScope      string // FIRN_CATALOG_SCOPE
	CatalogSigV4      string // FIRN_CATALOG_SIGV4: sign requests for this service name (glue, s3tables); empty: don't

	S3SSE       string // FIRN_S3_SSE: AES256 or aws:kms; empty: as the bucket says
	S3KMSKey    string // FIRN_S3_KMS_KEY: id or ARN, with aws:kms; empty: the account's own key for S3
	S3PathStyle string // FIRN_S3_PATH_STYLE: true or false; empty: true where the endpoint is overridden

	Getenv func(string) string // the AWS_* variables; nil: none are set
	AWS    *aws.Config         // in place of what Getenv says, where its owner has loaded it already
	Logger *slog.Logger        // nil: slog.Default
}

// FromEnv reads the settings from the environment and validates them.
func FromEnv(getenv func(string) string) (Settings, error) {
	s := Settings{
		Warehouse: getenv("FIRN_WAREHOUSE"), Catalog: getenv("FIRN_CATALOG"),
		CatalogURI: getenv("FIRN_CATALOG_URI"), CatalogWarehouse: getenv("FIRN_CATALOG_WAREHOUSE"),
		CatalogToken: getenv("FIRN_CATALOG_TOKEN"), CatalogCredential: getenv("FIRN_CATALOG_CREDENTIAL"),
		CatalogOAuthURI: getenv("FIRN_CATALOG_OAUTH_URI"), CatalogScope: getenv("FIRN_CATALOG_SCOPE"),
		CatalogSigV4: getenv("FIRN_CATALOG_SIGV4"),
		S3SSE:        getenv("FIRN_S3_SSE"), S3KMSKey: getenv("FIRN_S3_KMS_KEY"), S3PathStyle: getenv("FIRN_S3_PATH_STYLE"),
		Getenv: getenv,
	}.WithDefaults()
	return s, s.Validate()
}

// WithDefaults fills in what follows from other settings.
func (s Settings) WithDefaults() Settings {
	if s.Catalog == "" {
		s.Catalog = ObjectStore
	}
	if s.Catalog == REST && s.Warehouse == "" {
		s.Warehouse = EveryBucket
	}
	if s.Getenv == nil {
		s.Getenv = func(string) string { return "" }
	}
	if s.Logger == nil {
		s.Logger = slog.Default()
	}
	return s
}

// OnS3 reports whether the warehouse is one on S3.
func (s Settings) OnS3() bool { return strings.HasPrefix(s.Warehouse, "s3://") }

// Violation is what is wrong with one variable, and what to do.
type Violation struct{ Variable, Problem string }

func (v Violation) Error() string { return v.Variable + ": " + v.Problem }

// OnDisk reports whether the warehouse is a local directory.
func (s Settings) OnDisk() bool { return s.Warehouse != "" && !strings.Contains(s.Warehouse, "://") }

// Validate joins all Violations.
func (s Settings) Validate() error {
	var errs []error
	for _, v := range s.Violations() {
		errs = append(errs, v)
	}
	return errors.Join(errs...)
}

// report notes a violation.
type report func(variable, format string, args ...any)

// Violations returns every violation. It looks at the settings alone.
func (s Settings) Violations() (all []Violation) {
	bad := func(variable, format string, args ...any) {
		all = append(all, Violation{variable, fmt.Sprintf(format, args...)})
	}
	if err := s.checkWarehouse(); err != nil {
		bad("FIRN_WAREHOUSE", "%v", err)
	}
	switch s.Catalog {
	case "", ObjectStore:
		s.only(bad, "the catalog is objectstore, which is the warehouse itself")
	case Glue:
		s.only(bad, "the catalog is glue", "FIRN_CATALOG_WAREHOUSE")
		if !s.OnS3() && s.Warehouse != "" {
			bad("FIRN_CATALOG", "glue needs a warehouse on S3, and FIRN_WAREHOUSE is %q", s.Warehouse)
		}
	case REST:
		s.checkREST(bad)
	default:
		bad("FIRN_CATALOG", "%q is no catalog: write objectstore, glue or rest", s.Catalog)
	}
	s.checkS3(bad)
	return all
}

func (s Settings) checkWarehouse() error {
	scheme, _, isURI := strings.Cut(s.Warehouse, "://")
	switch {
	case s.Warehouse == "":
		return errors.New("is not set: write s3://bucket/prefix, or the absolute path of a directory")
	case s.Warehouse == EveryBucket && s.Catalog == REST:
		return nil
	case s.OnS3():
		_, _, err := splitS3(s.Warehouse)
		return err
	case scheme == "s3a" || scheme == "s3n":
		return fmt.Errorf("%q is Hadoop's spelling: write s3://, as every Iceberg reader understands", s.Warehouse)
	case isURI:
		return fmt.Errorf("%q: there is no store for %s://: write s3://bucket/prefix, or the absolute path of a directory", s.Warehouse, scheme)
	case !filepath.IsAbs(s.Warehouse):
		return fmt.Errorf("%q is relative, and table metadata states absolute locations: write an absolute path", s.Warehouse)
	}
	return nil
}

// splitS3 takes a location on S3 apart. The prefix has no slash at either end.
func splitS3(location string) (bucket, prefix string, err error) {
	bucket, prefix, _ = strings.Cut(strings.TrimPrefix(location, "s3://"), "/")
	if !validBucket(bucket) {
		return "", "", fmt.Errorf("%q names no bucket: write s3://bucket/prefix, with a bucket of 3 to 63 lower-case letters, digits, dots and hyphens", withoutSecrets(location))
	}
	prefix = strings.TrimSuffix(prefix, "/")
	if prefix != "" {
		if err := objstore.CheckKey(prefix); err != nil {
			return "", "", fmt.Errorf("%q: prefix: %w", location, err)
		}
	}
	return bucket, prefix, nil
}

func validBucket(s string) bool {
	if len(s) < 3 || len(s) > 63 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		inner := i > 0 && i < len(s)-1 && (c == '-' || c == '.')
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !inner {
			return false
		}
	}
	return true
}

// only reports the catalog's settings that are given and mean nothing, other than those named: whoever gave them
// believes in something that is not so.
func (s Settings) only(bad report, why string, allowed ...string) {
	for _, v := range []struct{ name, value string }{
		{"FIRN_CATALOG_URI", s.CatalogURI}, {"FIRN_CATALOG_WAREHOUSE", s.CatalogWarehouse}, {"FIRN_CATALOG_TOKEN", s.CatalogToken},
		{"FIRN_CATALOG_CREDENTIAL", s.CatalogCredential}, {"FIRN_CATALOG_OAUTH_URI", s.CatalogOAuthURI},
		{"FIRN_CATALOG_SCOPE", s.CatalogScope}, {"FIRN_CATALOG_SIGV4", s.CatalogSigV4},
	} {
		if v.value != "" && (len(allowed) == 0 || v.name != allowed[0]) {
			bad(v.name, "means nothing here, since %s: unset it, or set FIRN_CATALOG=rest", why)
		}
	}
}

func (s Settings) checkREST(bad report) {
	if !s.OnS3() && s.Warehouse != "" {
		bad("FIRN_CATALOG", "rest needs tables on S3, and FIRN_WAREHOUSE is %q: write s3://bucket/prefix, or leave it out where the service chooses tables' places", s.Warehouse)
	}
	if s.CatalogURI == "" {
		bad("FIRN_CATALOG_URI", "is not set: write the service's URI without /v1, such as https://catalog.example.com/iceberg")
	} else if err := checkHTTP(s.CatalogURI); err != nil {
		bad("FIRN_CATALOG_URI", "%v", err)
	}
	if s.CatalogOAuthURI != "" {
		if err := checkHTTP(s.CatalogOAuthURI); err != nil {
			bad("FIRN_CATALOG_OAUTH_URI", "%v", err)
		}
	}
	if id, secret, ok := strings.Cut(s.CatalogCredential, ":"); s.CatalogCredential != "" && (!ok || id == "" || secret == "") {
		bad("FIRN_CATALOG_CREDENTIAL", "is not of the form id:secret") // its value is a secret
	}
	if s.CatalogToken != "" && s.CatalogCredential != "" {
		bad("FIRN_CATALOG_TOKEN", "is set together with FIRN_CATALOG_CREDENTIAL: unset one of them")
	}
	if s.CatalogSigV4 != "" && (s.CatalogToken != "" || s.CatalogCredential != "") {
		bad("FIRN_CATALOG_SIGV4", "is set together with a token or an OAuth2 credential: a request carries one signature")
	}
	if s.CatalogCredential == "" && (s.CatalogOAuthURI != "" || s.CatalogScope != "") {
		bad("FIRN_CATALOG_CREDENTIAL", "is not set, but FIRN_CATALOG_OAUTH_URI or FIRN_CATALOG_SCOPE is, which say how to use it")
	}
	if v := s.CatalogSigV4; v != "" && v != "glue" && v != "s3tables" && v != "execute-api" {
		bad("FIRN_CATALOG_SIGV4", "%q is no service that serves Iceberg's REST interface: write glue, s3tables or execute-api", v)
	}
}

func checkHTTP(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%q is no plain http:// or https:// address", withoutSecrets(s))
	}
	return nil
}

// withoutSecrets is an address as an error may repeat it: not what stands before the host, nor a query. It is for text
// that may be no address at all.
func withoutSecrets(s string) string {
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		s = "…" + s[at:]
	}
	if query := strings.IndexAny(s, "?#"); query >= 0 {
		s = s[:query] + "…"
	}
	return s
}

func (s Settings) checkS3(bad report) {
	if !s.OnS3() && s.Warehouse != "" && (s.S3SSE != "" || s.S3KMSKey != "" || s.S3PathStyle != "") {
		for _, v := range []struct{ name, value string }{{"FIRN_S3_SSE", s.S3SSE}, {"FIRN_S3_KMS_KEY", s.S3KMSKey}, {"FIRN_S3_PATH_STYLE", s.S3PathStyle}} {
			if v.value != "" {
				bad(v.name, "means nothing here, since the warehouse is a directory: unset it")
			}
		}
		return
	}
	switch s.S3SSE {
	case "", "AES256", "aws:kms":
	default:
		bad("FIRN_S3_SSE", "%q is no encryption that S3 offers here: write AES256 or aws:kms, or leave it out for what the bucket says", s.S3SSE)
	}
	if s.S3KMSKey != "" && s.S3SSE != "aws:kms" {
		bad("FIRN_S3_KMS_KEY", "is set, and FIRN_S3_SSE is not aws:kms: the key would not be used")
	}
	switch s.S3PathStyle {
	case "", "true", "false":
	default:
		bad("FIRN_S3_PATH_STYLE", "%q: write true or false", s.S3PathStyle)
	}
}
