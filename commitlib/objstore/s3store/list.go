package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"firn/commitlib/objstore"
)

// List implements objstore.Store, a thousand objects a request; Checksum stays empty. It leaves out what no key of the
// port names, such as the "folder/" objects that S3's console makes.
func (s *Store) List(ctx context.Context, prefix string, fn func(objstore.Info) error) error {
	bucket, below, ok, err := s.locatePrefix(prefix)
	if err != nil || !ok {
		return wrapList(prefix, err)
	}
	last := ""
	return s.pages(ctx, prefix, bucket, below, "", func(out *s3.ListObjectsV2Output) error {
		for _, o := range out.Contents {
			raw, err := decode(out, o.Key)
			if err != nil {
				return wrapList(prefix, fmt.Errorf("the store lists a key in no URL encoding: %w", err))
			}
			if raw <= last && last != "" {
				return wrapList(prefix, fmt.Errorf("%w: the store lists %q after %q, and not in byte order: use a general purpose bucket", objstore.ErrFatal, raw, last))
			}
			last = raw
			if !strings.HasPrefix(raw, below) || s.prefix != "" && !strings.HasPrefix(raw, s.prefix) {
				continue
			}
			key := s.keyOf(bucket, raw)
			if objstore.CheckKey(key) != nil {
				continue
			}
			if err := fn(newInfo(key, aws.ToInt64(o.Size), o.ETag, o.LastModified)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Folders implements objstore.FolderLister, a thousand folders a request.
func (s *Store) Folders(ctx context.Context, prefix string, fn func(name string) error) error {
	bucket, below, ok, err := s.locatePrefix(prefix)
	if err != nil || !ok {
		return wrapList(prefix, err)
	}
	return s.pages(ctx, prefix, bucket, below, "/", func(out *s3.ListObjectsV2Output) error {
		for _, p := range out.CommonPrefixes {
			raw, err := decode(out, p.Prefix)
			if err != nil {
				return wrapList(prefix, fmt.Errorf("the store lists a folder in no URL encoding: %w", err))
			}
			name, ok := strings.CutPrefix(raw, below)
			name = strings.TrimSuffix(name, "/")
			if !ok || objstore.CheckKey(prefix+name) != nil {
				continue
			}
			if err := fn(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// decode undoes a list's URL encoding, where the store knows of it: versitygw does not, and sends names as they are.
func decode(out *s3.ListObjectsV2Output, name *string) (string, error) {
	if out.EncodingType != types.EncodingTypeUrl {
		return aws.ToString(name), nil
	}
	return url.QueryUnescape(aws.ToString(name))
}

// pages calls fn with each page of a list. Keys in it are URL-encoded: XML cannot hold all that a key may.
func (s *Store) pages(ctx context.Context, prefix, bucket, below, delimiter string, fn func(*s3.ListObjectsV2Output) error) error {
	in := &s3.ListObjectsV2Input{Bucket: &bucket, EncodingType: types.EncodingTypeUrl}
	if below != "" {
		in.Prefix = &below
	}
	if delimiter != "" {
		in.Delimiter = &delimiter
	}
	for {
		var out *s3.ListObjectsV2Output
		err := s.do(ctx, call{op: "list", bucket: bucket, key: below}, func(ctx context.Context, opts func(*s3.Options)) (err error) {
			if out, err = s.client.ListObjectsV2(ctx, in, opts); err != nil {
				return err
			}
			return checkList(out)
		})
		if err != nil {
			return wrapList(prefix, err)
		}
		if err := fn(out); err != nil {
			return err
		}
		if !aws.ToBool(out.IsTruncated) {
			return nil
		}
		next := aws.ToString(out.NextContinuationToken)
		if next == "" || next == aws.ToString(in.ContinuationToken) {
			return wrapList(prefix, errors.New("the store says that there is more, and not where it goes on"))
		}
		in.ContinuationToken = &next
	}
}

// locatePrefix says where what begins with prefix lies; ok is false where no key of the port begins so.
func (s *Store) locatePrefix(prefix string) (bucket, below string, ok bool, err error) {
	folder := prefix[:strings.LastIndexByte(prefix, '/')+1]
	if folder != "" && objstore.CheckKey(strings.TrimSuffix(folder, "/")) != nil {
		return "", "", false, nil
	}
	if s.bucket != "" {
		return s.bucket, s.prefix + prefix, true, nil
	}
	bucket, below, ok = strings.Cut(prefix, "/")
	if !ok {
		return "", "", false, errors.New("the store is every bucket: begin with the name of one and a slash")
	}
	if err := checkBucket(bucket); err != nil {
		return "", "", false, err
	}
	return bucket, below, true, nil
}

func wrapList(prefix string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("list %q: %w", prefix, err)
}
