// Package objstore is the port to an object store: exclusive creation, conditional replacement, ranged reads, and
// answers told apart by what the caller may do next. Mem is a store in memory, with faults on demand, for tests; Dir
// is a local directory, durable by fsync; the package s3store below is Amazon S3. storetest is the contract that all
// pass.
//
// Keys are slash-separated and relative to the store's root, without a leading slash:
// "default/clicks/metadata/v1.metadata.json". A location is what table metadata states: root + "/" + key.
//
// Stores are safe for concurrent use by goroutines and by processes.
package objstore

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"
)

// The answers that callers branch on. Any other error of a read is worth a retry; any error of a write that is none of
// these, or ErrFatal alone, left nothing behind that readers can see.
var (
	ErrNotExist     = errors.New("object does not exist")
	ErrPrecondition = errors.New("object store refused the condition") // exists already, or the ETag is another's
	ErrUnknown      = errors.New("outcome of the write is not known")  // it may have been applied, or may be yet
	ErrNoSpace      = errors.New("no space left in the object store")  // a write left nothing; reads go on: free space and write again
	ErrFatal        = errors.New("object store keeps refusing this until a setting, a permission or a clock is put right")
)

// Info describes a stored object.
type Info struct {
	Key      string
	Size     int64
	ETag     string    // opaque; equal only for equal versions of one key
	Checksum string    // "crc32c:<8 hex digits>" over the whole object, or empty where the store keeps none
	Modified time.Time // the store's clock
}

// Condition guards a Put. The zero value overwrites unconditionally.
type Condition struct {
	Absent bool   // succeed only if the key does not exist (S3: If-None-Match: *)
	ETag   string // succeed only if the object's ETag is this one (S3: If-Match)
}

// Store is an object store under one root.
type Store interface {
	// Root is the location prefix of every key, without a trailing slash.
	Root() string

	// Put writes the object whole: readers see all of it or nothing. When it returns nil the object is durable. Errors:
	// ErrPrecondition, ErrUnknown, ErrNoSpace, or another that left nothing. ErrPrecondition is certain: a store that
	// sent the request more than once answers ErrUnknown instead, since its own first try may be what refused the
	// second. body is read only during the call; Put may read it again from the start for a retry of its own.
	Put(ctx context.Context, key string, body []byte, cond Condition) (Info, error)

	// Get reads an object whole. ErrNotExist where there is none.
	Get(ctx context.Context, key string) ([]byte, Info, error)

	// ReadAt reads len(p) bytes at off, as io.ReaderAt does.
	ReadAt(ctx context.Context, key string, p []byte, off int64) (int, error)

	// Head describes an object without reading it; Checksum is filled wherever the store can.
	Head(ctx context.Context, key string) (Info, error)

	// List calls fn for each object whose key begins with prefix, in byte order of the keys, until fn returns an error,
	// which it returns. Info's ETag and Checksum may be empty. Objects put or deleted meanwhile may be in it or not.
	List(ctx context.Context, prefix string, fn func(Info) error) error

	// Delete removes objects; one that does not exist is no error.
	Delete(ctx context.Context, keys ...string) error
}

// Location returns the absolute location of a key in s.
func Location(s Store, key string) string { return s.Root() + "/" + key }

// Key returns the key of a location in s; ok is false where the location lies outside s.
func Key(s Store, location string) (key string, ok bool) {
	return strings.CutPrefix(location, s.Root()+"/")
}

// ReaderAt adapts one object to io.ReaderAt.
func ReaderAt(ctx context.Context, s Store, key string) io.ReaderAt { return readerAt{ctx, s, key} }

type readerAt struct {
	ctx context.Context
	s   Store
	key string
}

func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r.s.ReadAt(r.ctx, r.key, p, off) }
