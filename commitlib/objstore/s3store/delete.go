package s3store

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// maxDeletes is how many keys S3 takes in one request.
const maxDeletes = 1000

// Delete implements objstore.Store, a thousand keys a request. It keeps going after an error, and returns all of them.
// A delete is sent again freely: a key that was not put anew is as absent after two as after one, and names of Firn's
// objects are never used again.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	var buckets []string
	byBucket := map[string][]string{}
	for _, key := range keys {
		at, err := s.locate(key)
		if err != nil {
			return fmt.Errorf("delete %q: %w", key, err)
		}
		if byBucket[at.bucket] == nil {
			buckets = append(buckets, at.bucket)
		}
		byBucket[at.bucket] = append(byBucket[at.bucket], at.key)
	}
	var failed []error
	for _, bucket := range buckets {
		for rest := byBucket[bucket]; len(rest) > 0; {
			n := min(len(rest), maxDeletes)
			if err := s.deleteSome(ctx, bucket, rest[:n]); err != nil {
				failed = append(failed, fmt.Errorf("delete %q and %d more: %w", s.keyOf(bucket, rest[0]), n-1, err))
			}
			rest = rest[n:]
		}
	}
	return errors.Join(failed...)
}

func (s *Store) deleteSome(ctx context.Context, bucket string, keys []string) error {
	c := call{op: "delete", bucket: bucket, key: keys[0], write: true}
	if len(keys) == 1 {
		in := &s3.DeleteObjectInput{Bucket: &bucket, Key: &keys[0]}
		return s.do(ctx, c, func(ctx context.Context, opts func(*s3.Options)) error {
			_, err := s.client.DeleteObject(ctx, in, opts)
			if classify(err, true).code == "NoSuchKey" { // Amazon S3 answers 204; some others do not
				return nil
			}
			return err
		})
	}
	left := make([]types.ObjectIdentifier, len(keys))
	for i := range keys {
		left[i].Key = &keys[i]
	}
	return s.do(ctx, c, func(ctx context.Context, opts func(*s3.Options)) error {
		out, err := s.client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: &bucket, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c,
			Delete: &types.Delete{Objects: left, Quiet: aws.Bool(true)},
		}, opts)
		if err != nil {
			return err
		}
		left, err = remaining(out.Errors)
		return err
	})
}

// remaining are the keys that one request did not delete, and why the first of them was not: it is judged as an answer
// of its own would be.
func remaining(refused []types.Error) (left []types.ObjectIdentifier, err error) {
	for _, e := range refused {
		code := aws.ToString(e.Code)
		if codes[code].answer == absent && code != "" {
			continue
		}
		left = append(left, types.ObjectIdentifier{Key: e.Key, VersionId: e.VersionId})
		if err == nil {
			err = &smithy.GenericAPIError{Code: code, Message: fmt.Sprintf("of key %q: %s", aws.ToString(e.Key), aws.ToString(e.Message))}
		}
	}
	return left, err
}
