// Package s3store is the object store on Amazon S3 and on stores that speak its protocol.
//
// Invariants:
//   - A conditional write is sent again only where the answer proves that nothing was applied, or where the store asks
//     to be asked again later; a condition that is refused after the latter is objstore.ErrUnknown. The SDK's own
//     retries are off everywhere: they would send a conditional write twice and not tell.
//   - Every object is written with the CRC32C of the whole of it, which the store checks and keeps: what Head answers
//     is comparable with objstore.Checksum of a body, whether it was one PUT or many parts. A multipart ETag is not.
//   - Every answer is judged by one function, classify.
//   - Memory: a Put of a body holds no copy of it. An object that is being created through Create holds one buffer of
//     PartBytes, and all uploads of a store together hold Concurrency more, whatever the number of objects.
//   - A resend waits with full jitter, and all calls of a store share one allowance of resends: a store that is down is
//     asked once a call, not five times.
//
// Permissions: s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on the objects, s3:ListBucket on
// the bucket. The last is needed for more than lists: without it S3 answers 403 for an object that does not exist, and
// what is absent could not be told from what is forbidden.
//
// Directory buckets (S3 Express) are refused: they list in no order. The bucket should have a lifecycle rule that
// aborts incomplete multipart uploads after a few days: a process that is killed leaves its own behind, and they cost.
package s3store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"firn/commitlib/awsenv"
	"firn/commitlib/objstore"
)

// Store is an object store in one S3 bucket below a prefix, or in every bucket. It is safe for concurrent use.
type Store struct {
	cfg    Config
	bucket string // empty: every bucket; keys begin with theirs
	prefix string // empty, or ends in a slash
	client *s3.Client
	budget *budget
	parts  chan []byte // the spare buffers of uploads, Concurrency in all; nil ones are not allocated yet
	proven sync.Map    // bucket → struct{}: an answer has shown that it exists
	wait   func(context.Context, time.Duration) error
}

var (
	_ objstore.Store        = (*Store)(nil)
	_ objstore.FolderLister = (*Store)(nil)
	_ objstore.Creator      = (*Store)(nil)
)

// Open makes the store, and asks it one question: whether the bucket is there and may be listed. An answer that says
// otherwise is an error that says what to change, and so are credentials that cannot be had. No answer is none: a daemon
// must start while its store is away, and what it holds waits. A store over every bucket asks nothing.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if s.bucket == "" {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	err = s.check(ctx, s.bucket, s.prefix, 1)
	var unsigned *awsenv.CredentialsError
	if errors.Is(err, objstore.ErrFatal) || errors.As(err, &unsigned) {
		return nil, fmt.Errorf("open object store %s: %w", cfg.Root, err)
	}
	return s, nil
}

// New is Open without the question: it sends nothing, for a process whose start must not wait.
func New(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("open object store %s: %w", cfg.Root, err)
	}
	cfg = cfg.withDefaults()
	bucket, prefix, err := parseRoot(cfg.Root)
	if err != nil {
		return nil, err
	}
	s := &Store{
		cfg: cfg, bucket: bucket, prefix: prefix, budget: newBudget(), wait: wait,
		parts: make(chan []byte, cfg.Concurrency),
	}
	for range cfg.Concurrency {
		s.parts <- nil
	}
	s.client = s3.NewFromConfig(cfg.AWS, func(o *s3.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
		o.UsePathStyle = cfg.PathStyle
		o.Retryer = aws.NopRetryer{}
		o.DisableClockSkewCorrection = true // a clock that is off is the operator's to know: ages in the protocol are by it
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
		o.HTTPClient = expecting{o.HTTPClient}
		o.ContinueHeaderThresholdBytes = expectBytes
		o.AppID = "firn"
	})
	return s, nil
}

// Root implements objstore.Store: "s3://bucket/prefix", or "s3:/" over every bucket.
func (s *Store) Root() string {
	if s.bucket == "" {
		return everyBucket
	}
	return strings.TrimSuffix("s3://"+s.bucket+"/"+s.prefix, "/")
}

// Check asks the store whether it answers and lets itself be listed, once and without resends: for a readiness probe.
func (s *Store) Check(ctx context.Context) error {
	if s.bucket == "" {
		return nil
	}
	if err := s.check(ctx, s.bucket, s.prefix, 1); err != nil {
		return fmt.Errorf("check object store %s: %w", s.Root(), err)
	}
	return nil
}

// check lists one key below prefix, at most attempts times. It is what tells the reason of a refused HEAD, whose answer
// has no body, and a bucket that is missing from a key that is.
func (s *Store) check(ctx context.Context, bucket, prefix string, attempts int) error {
	in := &s3.ListObjectsV2Input{Bucket: &bucket, MaxKeys: aws.Int32(1)}
	if prefix != "" {
		in.Prefix = &prefix
	}
	return s.do(ctx, call{op: "list", bucket: bucket, key: prefix, attempts: attempts}, func(ctx context.Context, opts func(*s3.Options)) error {
		out, err := s.client.ListObjectsV2(ctx, in, opts)
		if err != nil {
			return err
		}
		return checkList(out)
	})
}

// object is where a key lies.
type object struct{ bucket, key string }

// locate says where a key lies, or that it is none.
func (s *Store) locate(key string) (object, error) {
	if err := objstore.CheckKey(key); err != nil {
		return object{}, err
	}
	if s.bucket == "" {
		bucket, rest, ok := strings.Cut(key, "/")
		if !ok {
			return object{}, fmt.Errorf("key %q names a bucket and no object in it", key)
		}
		if err := checkBucket(bucket); err != nil {
			return object{}, err
		}
		return object{bucket, rest}, nil
	}
	full := s.prefix + key
	if len(full) > maxKeyBytes {
		return object{}, fmt.Errorf("key %q has %d bytes with the store's prefix, at most %d are allowed", key, len(full), maxKeyBytes)
	}
	return object{s.bucket, full}, nil
}

// keyOf is locate's inverse.
func (s *Store) keyOf(bucket, key string) string {
	if s.bucket == "" {
		return bucket + "/" + key
	}
	return strings.TrimPrefix(key, s.prefix)
}

// sse are the settings of encryption at rest that a write asks for.
func (s *Store) sse() (mode types.ServerSideEncryption, kmsKey *string, bucketKey *bool) {
	mode = types.ServerSideEncryption(s.cfg.SSE)
	if s.cfg.KMSKey != "" {
		kmsKey = &s.cfg.KMSKey
	}
	if mode == types.ServerSideEncryptionAwsKms {
		bucketKey = aws.Bool(true) // else each request costs a call of KMS, and counts towards its request limit
	}
	return mode, kmsKey, bucketKey
}
