package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"firn/commitlib/objstore"
)

// abortTime bounds the removal of an upload that is given up. What it does not reach, the bucket's lifecycle rule does.
const abortTime = 10 * time.Second

// upload is one object that is sent in parts.
//
//  1. The upload is begun. S3 gives it an id.
//  2. Parts are sent side by side, each with its own CRC32C. They may be sent again freely: a part replaces its like.
//  3. The upload is completed with the list of parts, the CRC32C of the whole and the condition. This is the commit
//     point: the object appears, whole, or the condition refuses it.
//
// A crash before 3 leaves parts that no list of objects shows and that a lifecycle rule removes. Of 3 the answer may be
// lost like that of any write, and it is sent again by the same rule (do). An upload that is certain not to have become
// the object is aborted; after an unknown outcome it is left alone.
type upload struct {
	s       *Store
	key     string
	at      object
	id      string
	guarded bool

	mu    sync.Mutex            // protects all below
	parts []types.CompletedPart // by number, whatever the order in which they arrive
	err   error                 // of the first part that could not be sent
}

// begin is step 1. A begin that is sent twice leaves one upload behind; it has no parts and costs nothing.
func (s *Store) begin(ctx context.Context, key string, at object, guarded bool) (*upload, error) {
	in := &s3.CreateMultipartUploadInput{
		Bucket: &at.bucket, Key: &at.key, ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c, ChecksumType: types.ChecksumTypeFullObject,
	}
	in.ServerSideEncryption, in.SSEKMSKeyId, in.BucketKeyEnabled = s.sse()
	u := &upload{s: s, key: key, at: at, guarded: guarded}
	err := s.do(ctx, call{op: "begin upload", bucket: at.bucket, key: at.key}, func(ctx context.Context, opts func(*s3.Options)) error {
		out, err := s.client.CreateMultipartUpload(ctx, in, opts)
		if err != nil {
			return err
		}
		if u.id = aws.ToString(out.UploadId); u.id == "" {
			return errNoUpload
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return u, nil
}

// send is step 2 for one part; number counts from 1.
func (u *upload) send(ctx context.Context, number int, body []byte) {
	in := &s3.UploadPartInput{
		Bucket: &u.at.bucket, Key: &u.at.key, UploadId: &u.id, PartNumber: aws.Int32(int32(number)),
		ContentLength: aws.Int64(int64(len(body))), ChecksumCRC32C: encodeCRC(crc32.Checksum(body, castagnoli)),
	}
	var etag *string
	c := call{op: "upload part", bucket: u.at.bucket, key: u.at.key, bytes: int64(len(body))}
	err := u.s.do(ctx, c, func(ctx context.Context, opts func(*s3.Options)) error {
		in.Body = bytes.NewReader(body)
		out, err := u.s.client.UploadPart(ctx, in, opts)
		if err != nil {
			return err
		}
		etag = out.ETag
		return checkETag(etag)
	})
	u.mu.Lock()
	defer u.mu.Unlock()
	if err != nil {
		if u.err == nil {
			u.err = fmt.Errorf("upload part %d: %w", number, gone(err))
		}
		return
	}
	u.parts = append(u.parts, make([]types.CompletedPart, max(0, number-len(u.parts)))...)
	u.parts[number-1] = types.CompletedPart{PartNumber: in.PartNumber, ETag: etag, ChecksumCRC32C: in.ChecksumCRC32C}
}

func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// complete is step 3, once no part is on its way any more.
func (u *upload) complete(ctx context.Context, size int64, crc uint32, cond objstore.Condition) (objstore.Info, error) {
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &u.at.bucket, Key: &u.at.key, UploadId: &u.id, MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
		ChecksumCRC32C: encodeCRC(crc), ChecksumType: types.ChecksumTypeFullObject, MpuObjectSize: &size,
	}
	in.IfNoneMatch, in.IfMatch = headers(cond)
	info := objstore.Info{Key: u.key, Size: size, Checksum: formatCRC(crc)}
	c := call{op: "complete upload", bucket: u.at.bucket, key: u.at.key, write: true, guarded: u.guarded, final: true}
	err := u.s.do(ctx, c, func(ctx context.Context, opts func(*s3.Options)) error {
		out, err := u.s.client.CompleteMultipartUpload(ctx, in, opts)
		if err != nil {
			return err
		}
		info.ETag = aws.ToString(out.ETag)
		info.Modified = serverTime(middleware.GetServerTime(out.ResultMetadata))
		return checkETag(out.ETag)
	})
	if err != nil {
		return objstore.Info{}, gone(err)
	}
	return info, nil
}

// gone keeps an upload that no longer exists from being taken for an object that does not. After an earlier sending of
// the completion it stays unknown: an upload that became the object is gone too.
func gone(err error) error {
	if !errors.Is(err, objstore.ErrNotExist) || errors.Is(err, objstore.ErrUnknown) {
		return err
	}
	return fmt.Errorf("the upload is gone, aborted by a lifecycle rule or another's hand; write the object again: %v", err)
}

// abort gives the upload up, whatever has become of the context.
func (u *upload) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	in := &s3.AbortMultipartUploadInput{Bucket: &u.at.bucket, Key: &u.at.key, UploadId: &u.id}
	_ = u.s.do(ctx, call{op: "abort upload", bucket: u.at.bucket, key: u.at.key}, func(ctx context.Context, opts func(*s3.Options)) error {
		_, err := u.s.client.AbortMultipartUpload(ctx, in, opts)
		return err
	})
}

// rivalAttempts is how often Put sends all parts again after a 409: S3 wants a new upload then.
const rivalAttempts = 3

// putParts sends a body in parts, side by side; they are pieces of body, not copies.
func (s *Store) putParts(ctx context.Context, key string, at object, body []byte, cond objstore.Condition) (info objstore.Info, err error) {
	for n := 1; ; n++ {
		info, err = s.putPartsOnce(ctx, key, at, body, cond)
		var answered *Error
		if n == rivalAttempts || !errors.As(err, &answered) || answered.Status != http.StatusConflict || errors.Is(err, objstore.ErrUnknown) {
			return info, err
		}
		if s.wait(ctx, backoff(n, true)) != nil {
			return info, err
		}
	}
}

func (s *Store) putPartsOnce(ctx context.Context, key string, at object, body []byte, cond objstore.Condition) (objstore.Info, error) {
	u, err := s.begin(ctx, key, at, cond != (objstore.Condition{}))
	if err != nil {
		return objstore.Info{}, err
	}
	sending, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	number := 0
	for part := range slices.Chunk(body, int(s.partSize(int64(len(body))))) {
		buf, ok := s.takeBuffer(sending) // for the turn among the store's uploads; the buffer itself is not needed
		if !ok {
			break
		}
		number++
		u.start(sending, cancel, &parts, number, part, func() { s.parts <- buf })
	}
	parts.Wait()
	return s.finish(ctx, u, int64(len(body)), crc32.Checksum(body, castagnoli), cond)
}

// start sends a part beside the caller; the first that cannot be sent ends the sending of all.
func (u *upload) start(sending context.Context, cancel context.CancelFunc, parts *sync.WaitGroup, number int, part []byte, after func()) {
	parts.Go(func() {
		defer after()
		u.send(sending, number, part)
		if u.failure() != nil {
			cancel()
		}
	})
}

// takeBuffer takes one of the store's spare buffers, or says that the sending has ended.
func (s *Store) takeBuffer(sending context.Context) ([]byte, bool) {
	select {
	case buf := <-s.parts:
		if sending.Err() == nil {
			return buf[:0], true
		}
		s.parts <- buf
	case <-sending.Done():
	}
	return nil, false
}

// finish completes an upload, or aborts it if it is certain that it did not become the object.
func (s *Store) finish(ctx context.Context, u *upload, size int64, crc uint32, cond objstore.Condition) (objstore.Info, error) {
	err := u.failure()
	if err == nil {
		err = ctx.Err()
	}
	var info objstore.Info
	if err == nil {
		info, err = u.complete(ctx, size, crc, cond)
	}
	if err != nil && !errors.Is(err, objstore.ErrUnknown) {
		u.abort(ctx)
	}
	return info, err
}

// partSize is PartBytes, or what makes size fit into the parts that S3 allows.
func (s *Store) partSize(size int64) int64 {
	return max(s.cfg.PartBytes, (size+maxParts-1)/maxParts)
}
