package s3store

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"firn/commitlib/objstore"
)

// maxGetBytes bounds what Get takes into memory: far above any metadata, and a length that an answer may lie about.
const maxGetBytes = 1 << 30

// Get implements objstore.Store. A body that breaks off, or is not what was stored, is asked for again.
func (s *Store) Get(ctx context.Context, key string) ([]byte, objstore.Info, error) {
	body, info, err := s.get(ctx, key)
	if err != nil {
		return nil, objstore.Info{}, fmt.Errorf("get %q: %w", key, err)
	}
	return body, info, nil
}

func (s *Store) get(ctx context.Context, key string) (body []byte, info objstore.Info, err error) {
	at, err := s.locate(key)
	if err != nil {
		return nil, objstore.Info{}, err
	}
	in := &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key, ChecksumMode: types.ChecksumModeEnabled}
	var tooLarge error
	err = s.do(ctx, call{op: "get", bucket: at.bucket, key: at.key}, func(ctx context.Context, opts func(*s3.Options)) error {
		out, err := s.client.GetObject(ctx, in, opts)
		if err != nil {
			return err
		}
		defer out.Body.Close()
		if aws.ToInt64(out.ContentLength) > maxGetBytes {
			tooLarge = fmt.Errorf("its %d bytes are too many to be read at once: read it in parts", *out.ContentLength)
			return nil
		}
		if body, err = readBody(out.Body, out.ContentLength); err != nil {
			return err
		}
		info = newInfo(key, int64(len(body)), out.ETag, out.LastModified)
		info.Checksum = objstore.Checksum(body)
		if kept := checksumOf(out.ChecksumCRC32C, out.ChecksumType); kept != "" && kept != info.Checksum {
			return &damagedError{fmt.Sprintf("the bytes that came have the checksum %s, the object %s: they were damaged on their way", info.Checksum, kept)}
		}
		return checkETag(out.ETag)
	})
	if err == nil {
		err = tooLarge
	}
	return body, info, err
}

// readBody reads a body whole; size is nil where the answer does not say it.
func readBody(r io.Reader, size *int64) ([]byte, error) {
	if size == nil || *size < 0 {
		return io.ReadAll(io.LimitReader(r, maxGetBytes))
	}
	body := make([]byte, *size)
	if n, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("the answer broke off after %d of %d bytes: %w", n, *size, err)
	}
	return body, nil
}

// ReadAt implements objstore.Store.
func (s *Store) ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error) {
	n, err := s.readAt(ctx, key, p, off)
	if err != nil && err != io.EOF {
		return 0, fmt.Errorf("read %q: %w", key, err)
	}
	return n, err
}

func (s *Store) readAt(ctx context.Context, key string, p []byte, off int64) (n int, err error) {
	at, err := s.locate(key)
	if err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, fmt.Errorf("negative position %d", off)
	}
	if len(p) == 0 {
		return 0, nil
	}
	in := &s3.GetObjectInput{Bucket: &at.bucket, Key: &at.key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))}
	beyond := false
	err = s.do(ctx, call{op: "get", bucket: at.bucket, key: at.key, bytes: int64(len(p))}, func(ctx context.Context, opts func(*s3.Options)) error {
		out, err := s.client.GetObject(ctx, in, opts)
		if isStatus(err, http.StatusRequestedRangeNotSatisfiable) {
			beyond = true
			return nil
		}
		if err != nil {
			return err
		}
		defer out.Body.Close()
		size := aws.ToInt64(out.ContentLength)
		if size > int64(len(p)) || !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-%d/", off, off+size-1)) {
			return errWrongPart
		}
		if n, err = io.ReadFull(out.Body, p[:size]); err != nil {
			return fmt.Errorf("the answer broke off after %d of %d bytes: %w", n, size, err)
		}
		return nil
	})
	switch {
	case err != nil:
		return 0, err
	case beyond:
		return 0, io.EOF
	case n < len(p): // the range went past the end
		return n, io.EOF
	}
	return n, nil
}

// Head implements objstore.Store. Its Checksum is empty only for an object that another wrote without CRC32C, or in
// parts without one over the whole.
func (s *Store) Head(ctx context.Context, key string) (objstore.Info, error) {
	info, err := s.head(ctx, key)
	if err != nil {
		return objstore.Info{}, fmt.Errorf("head %q: %w", key, err)
	}
	return info, nil
}

func (s *Store) head(ctx context.Context, key string) (info objstore.Info, err error) {
	at, err := s.locate(key)
	if err != nil {
		return objstore.Info{}, err
	}
	in := &s3.HeadObjectInput{Bucket: &at.bucket, Key: &at.key, ChecksumMode: types.ChecksumModeEnabled}
	err = s.do(ctx, call{op: "head", bucket: at.bucket, key: at.key}, func(ctx context.Context, opts func(*s3.Options)) error {
		out, err := s.client.HeadObject(ctx, in, opts)
		if err != nil {
			return err
		}
		info = newInfo(key, aws.ToInt64(out.ContentLength), out.ETag, out.LastModified)
		info.Checksum = checksumOf(out.ChecksumCRC32C, out.ChecksumType)
		return checkETag(out.ETag)
	})
	if err != nil {
		err = s.reason(ctx, at, err)
	}
	return info, err
}

// reason finds out what a HEAD's answer, which has no body, leaves open: whether a 404 is the key's or the bucket's,
// until the bucket was seen once, and why a 400 or a 403 was given. A list has a body.
func (s *Store) reason(ctx context.Context, at object, err error) error {
	_, seen := s.proven.Load(at.bucket)
	missing := errors.Is(err, objstore.ErrNotExist)
	if missing && seen || !missing && !errors.Is(err, objstore.ErrFatal) {
		return err
	}
	if why := s.check(ctx, at.bucket, at.key, 1); why != nil {
		return why
	}
	return err
}

func newInfo(key string, size int64, etag *string, modified *time.Time) objstore.Info {
	return objstore.Info{Key: key, Size: size, ETag: aws.ToString(etag), Modified: aws.ToTime(modified)}
}

// checksumOf is the store's checksum in the port's form; empty unless it is a CRC32C over the whole object. A store that
// does not say which kind a plain object's is means the whole; one made of parts ends in their number.
func checksumOf(crc *string, kind types.ChecksumType) string {
	if crc == nil || kind == types.ChecksumTypeComposite {
		return ""
	}
	sum, err := base64.StdEncoding.DecodeString(*crc)
	if err != nil || len(sum) != 4 {
		return ""
	}
	return "crc32c:" + hex.EncodeToString(sum)
}

func isStatus(err error, status int) bool {
	var response *awshttp.ResponseError
	return errors.As(err, &response) && response.HTTPStatusCode() == status
}
