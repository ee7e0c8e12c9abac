package s3store

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"firn/commitlib/objstore"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Put implements objstore.Store: one request, or parts side by side for a body of multipartBytes or more.
func (s *Store) Put(ctx context.Context, key string, body []byte, cond objstore.Condition) (objstore.Info, error) {
	if err := objstore.CheckPut(key, cond); err != nil {
		return objstore.Info{}, err
	}
	info, err := s.put(ctx, key, body, cond)
	if err != nil {
		return objstore.Info{}, fmt.Errorf("put %q: %w", key, err)
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, key string, body []byte, cond objstore.Condition) (objstore.Info, error) {
	at, err := s.locate(key)
	if err != nil {
		return objstore.Info{}, err
	}
	if len(body) >= multipartBytes {
		return s.putParts(ctx, key, at, body, cond)
	}
	return s.putWhole(ctx, key, at, body, cond)
}

func (s *Store) putWhole(ctx context.Context, key string, at object, body []byte, cond objstore.Condition) (objstore.Info, error) {
	crc := crc32.Checksum(body, castagnoli)
	in := &s3.PutObjectInput{
		Bucket: &at.bucket, Key: &at.key, ContentLength: aws.Int64(int64(len(body))), ChecksumCRC32C: encodeCRC(crc),
	}
	in.IfNoneMatch, in.IfMatch = headers(cond)
	in.ServerSideEncryption, in.SSEKMSKeyId, in.BucketKeyEnabled = s.sse()
	c := call{op: "put", bucket: at.bucket, key: at.key, bytes: int64(len(body)), write: true, guarded: cond != (objstore.Condition{})}
	info := objstore.Info{Key: key, Size: int64(len(body)), Checksum: formatCRC(crc)}
	err := s.do(ctx, c, func(ctx context.Context, opts func(*s3.Options)) error {
		in.Body = bytes.NewReader(body)
		out, err := s.client.PutObject(ctx, in, opts)
		if err != nil {
			return err
		}
		info.ETag = aws.ToString(out.ETag)
		info.Modified = serverTime(middleware.GetServerTime(out.ResultMetadata))
		return checkETag(out.ETag)
	})
	return info, err
}

// headers are a condition's If-None-Match and If-Match.
func headers(cond objstore.Condition) (ifNoneMatch, ifMatch *string) {
	if cond.Absent {
		ifNoneMatch = aws.String("*")
	}
	if cond.ETag != "" {
		ifMatch = &cond.ETag
	}
	return ifNoneMatch, ifMatch
}

// serverTime is the answer's Date, which is to the second what the object's Last-Modified will be.
func serverTime(date time.Time, ok bool) time.Time {
	if !ok {
		return time.Time{}
	}
	return date
}

func encodeCRC(crc uint32) *string {
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc)))
}

func formatCRC(crc uint32) string { return fmt.Sprintf("crc32c:%08x", crc) }
