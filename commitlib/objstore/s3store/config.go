package s3store

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/awsenv"
	"firn/commitlib/objstore"
)

// everyBucket is the root of a store whose keys begin with the bucket.
const everyBucket = "s3:/"

const (
	maxKeyBytes = 1024 // S3's bound on a key, prefix included

	// openTimeout bounds what Open asks, so that a daemon starts while its store is away.
	openTimeout = 5 * time.Second

	// defaultPartBytes is the size of a part: large enough that the 40 ms or so that each costs in waiting do not show,
	// small enough that 4 of them in memory do not matter to a host of 1 GB, and that losing one costs little. With at
	// most 10,000 parts an object created through Create has up to 78 GiB.
	defaultPartBytes = 8 << 20

	// minPartBytes is S3's bound; only the last part may be smaller.
	minPartBytes = 5 << 20

	maxParts = 10000 // S3's bound on the parts of one object

	// defaultConcurrency is how many parts of a store are on their way at once: S3 gives one connection 80 to 100 MB/s,
	// so 4 fill what a small instance has.
	defaultConcurrency = 4

	// multipartBytes is the body from which Put sends parts: below, one PUT is a third of the requests.
	multipartBytes = 32 << 20
)

// Config says where the store is and how it is asked.
type Config struct {
	// AWS has region, credentials and http client; awsenv.Load makes it.
	AWS aws.Config

	// Root is "s3://bucket" or "s3://bucket/prefix"; "s3:/" is every bucket that the credentials reach, and keys begin
	// with the bucket.
	Root string

	// Endpoint is the base URL of an S3-compatible store; empty is Amazon S3 in AWS.Region.
	Endpoint string

	// PathStyle puts the bucket into the path and not into the host name, as most S3-compatible stores want it.
	PathStyle bool

	// SSE is "AES256" or "aws:kms", or empty for what the bucket does by itself; KMSKey is the key of the latter, empty
	// for the account's own.
	SSE, KMSKey string

	// Credentials, if not nil, says whose credentials sign a request for an object (of a list its prefix); a nil answer
	// means AWS.Credentials. It is for the credentials that REST catalogs vend by table. It must be safe for
	// concurrent use, and cheap: it is asked for each request.
	Credentials func(bucket, key string) aws.CredentialsProvider

	PartBytes   int64 // of a part of a large object; 0 means 8 MiB
	Concurrency int   // parts on their way at once, of all objects together; 0 means 4
}

// ConfigFromEnv makes the configuration of a store at root from the environment: what awsenv.Load reads, and
// FIRN_S3_SSE, FIRN_S3_KMS_KEY and FIRN_S3_PATH_STYLE (unset: true where an endpoint is set).
func ConfigFromEnv(getenv func(string) string, root string) (Config, error) {
	loaded, awsErr := awsenv.Load(getenv)
	cfg := Config{
		AWS: loaded, Root: root, Endpoint: awsenv.Endpoint(getenv, "s3"),
		SSE: getenv("FIRN_S3_SSE"), KMSKey: getenv("FIRN_S3_KMS_KEY"),
	}
	var styleErr error
	switch style := getenv("FIRN_S3_PATH_STYLE"); style {
	case "":
		cfg.PathStyle = cfg.Endpoint != ""
	default:
		var err error
		if cfg.PathStyle, err = strconv.ParseBool(style); err != nil {
			styleErr = fmt.Errorf("FIRN_S3_PATH_STYLE %q is neither true nor false", style)
		}
	}
	own := cfg
	if awsErr != nil { // said once, by awsenv
		own.AWS.Region, own.AWS.Credentials, own.Endpoint = "us-east-1", aws.AnonymousCredentials{}, ""
	}
	if err := errors.Join(awsErr, styleErr, own.Validate()); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// Validate says all that is wrong with the configuration.
func (c Config) Validate() error {
	var wrong []error
	add := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	if _, _, err := parseRoot(c.Root); err != nil {
		wrong = append(wrong, err)
	}
	if c.AWS.Region == "" {
		add("no region: set AWS_REGION (for an S3-compatible store without regions, us-east-1)")
	}
	if c.AWS.Credentials == nil && c.Credentials == nil {
		add("no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the host a role")
	}
	if c.Endpoint != "" {
		if err := awsenv.CheckEndpoint(c.Endpoint); err != nil {
			add("endpoint %w", err)
		}
	}
	switch c.SSE {
	case "", "AES256", "aws:kms":
	default:
		add("FIRN_S3_SSE %q: want AES256 or aws:kms", c.SSE)
	}
	if c.KMSKey != "" && c.SSE != "aws:kms" {
		add("FIRN_S3_KMS_KEY is set and FIRN_S3_SSE is %q: a key goes with aws:kms alone", c.SSE)
	}
	if c.PartBytes != 0 && c.PartBytes < minPartBytes {
		add("parts of %d bytes: S3 takes none below %d", c.PartBytes, minPartBytes)
	}
	if c.Concurrency < 0 {
		add("concurrency %d is negative", c.Concurrency)
	}
	return errors.Join(wrong...)
}

func (c Config) withDefaults() Config {
	if c.PartBytes == 0 {
		c.PartBytes = defaultPartBytes
	}
	if c.Concurrency == 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.AWS.HTTPClient == nil {
		c.AWS.HTTPClient = awsenv.Client()
	}
	return c
}

// parseRoot takes a root apart; prefix is empty or ends in a slash.
func parseRoot(root string) (bucket, prefix string, err error) {
	if root == everyBucket {
		return "", "", nil
	}
	rest, ok := strings.CutPrefix(root, "s3://")
	if !ok {
		return "", "", fmt.Errorf("store %q: write it as s3://bucket/prefix", root)
	}
	bucket, prefix, _ = strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	if err := checkBucket(bucket); err != nil {
		return "", "", fmt.Errorf("store %q: %w", root, err)
	}
	if prefix == "" {
		return bucket, "", nil
	}
	if err := objstore.CheckKey(prefix); err != nil {
		return "", "", fmt.Errorf("store %q: its prefix: %w", root, err)
	}
	return bucket, prefix + "/", nil
}

// bucketName is S3's rule since 2018; a name outside it would become part of a host name or a path.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func checkBucket(name string) error {
	switch {
	case !bucketName.MatchString(name):
		return fmt.Errorf("%q is no bucket's name: 3 to 63 of a-z, 0-9, dot and hyphen", name)
	case strings.HasSuffix(name, "--x-s3"):
		return fmt.Errorf("%q is a directory bucket, which lists in no order: use a general purpose bucket", name)
	}
	return nil
}
