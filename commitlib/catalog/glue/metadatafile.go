package glue

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// MaxMetadataBytes bounds a metadata file, read and written, as it does for package objectstore: reading one
// allocates about four times its size, in a committer that has 256 MB. At 600 bytes a snapshot the bound is 28,000
// retained snapshots; expire some to get below it.
const MaxMetadataBytes = 16 << 20

const (
	metadataSuffix = ".metadata.json"

	// propMetadataPath is the table property that puts metadata files elsewhere.
	propMetadataPath = "write.metadata.path"
)

// newMetadataLocation names the file for m, which follows the one at previous ("": none): as all of Iceberg's catalogs
// for services do, by a number that counts up for people and a UUID that makes it unique.
func (c *Catalog) newMetadataLocation(m *iceberg.Metadata, previous string) (string, error) {
	name, err := c.newUUID()
	if err != nil {
		return "", fmt.Errorf("make a metadata file's name: %w", err)
	}
	folder := m.Location + "/metadata"
	if path := m.Properties[propMetadataPath]; path != "" {
		folder = strings.TrimRight(path, "/")
	}
	return fmt.Sprintf("%s/%05d-%s%s", folder, fileVersion(previous)+1, name, metadataSuffix), nil
}

// fileVersion reads the number in a metadata file's name; -1 where there is none.
func fileVersion(location string) int {
	name := location[strings.LastIndexByte(location, '/')+1:]
	digits, _, ok := strings.Cut(name, "-")
	if n, err := strconv.Atoi(digits); ok && err == nil && n >= 0 {
		return n
	}
	return -1
}

// encode returns a metadata file's bytes; its errors are ErrRejected.
func encode(m *iceberg.Metadata) ([]byte, error) {
	body, err := m.Encode()
	if err != nil {
		return nil, fmt.Errorf("%w: encode metadata: %w", catalog.ErrRejected, err)
	}
	if len(body) > MaxMetadataBytes {
		return nil, fmt.Errorf("%w: its metadata would have %d bytes, more than %d; expire snapshots first", catalog.ErrRejected, len(body), MaxMetadataBytes)
	}
	return body, nil
}

// writeMetadata creates a metadata file. Where it does not return nil nothing may name the file.
func (c *Catalog) writeMetadata(ctx context.Context, location string, body []byte) error {
	key, err := c.key(location)
	if err != nil {
		return err
	}
	if _, err := c.store.Put(ctx, key, body, objstore.Condition{Absent: true}); err != nil {
		return fmt.Errorf("write metadata file: %w", err)
	}
	return nil
}

func (c *Catalog) readMetadata(ctx context.Context, location string, before *iceberg.Metadata) (*iceberg.Metadata, error) {
	key, err := c.key(location)
	if err != nil {
		return nil, err
	}
	// The size first, which costs a request: other engines write metadata of any size, and one that does not fit into
	// memory would end the process that commits for all tables.
	info, err := c.store.Head(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return nil, fmt.Errorf("the metadata file %s that the entry names is not there: restore it, or have the entry name an earlier one: %w", location, err)
	}
	if err == nil && info.Size > MaxMetadataBytes {
		return nil, tooLarge(location, info.Size)
	}
	var body []byte
	if err == nil {
		body, _, err = c.store.Get(ctx, key)
	}
	if err != nil {
		return nil, fmt.Errorf("read metadata file: %w", err)
	}
	if compressed(location) {
		if body, err = decompress(location, body); err != nil {
			return nil, err
		}
	}
	m, err := iceberg.ParseMetadataAfter(body, before)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", location, err)
	}
	return m, nil
}

// key returns the key of a location; ErrRejected where that lies outside the store.
func (c *Catalog) key(location string) (string, error) {
	key, ok := objstore.Key(c.store, location)
	if !ok {
		return "", fmt.Errorf("%w: %s lies outside the warehouse %s: only tables inside it can be written; set FIRN_WAREHOUSE so that it holds them",
			catalog.ErrRejected, location, c.store.Root())
	}
	return key, nil
}

// compressed reports whether another engine wrote the file with write.metadata.compression-codec = gzip; both forms of
// the name are in use. We write ours uncompressed, which readers tell by the name.
func compressed(location string) bool {
	return strings.HasSuffix(location, ".gz"+metadataSuffix) || strings.HasSuffix(location, metadataSuffix+".gz")
}

func decompress(location string, body []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(r, MaxMetadataBytes+1))
	}
	if err != nil {
		return nil, fmt.Errorf("decompress %s: %w", location, err)
	}
	if len(body) > MaxMetadataBytes {
		return nil, tooLarge(location, int64(len(body)))
	}
	return body, nil
}

func tooLarge(location string, size int64) error {
	return fmt.Errorf("%w: %s has %d bytes or more, the bound is %d; expire snapshots with the engine that wrote it",
		catalog.ErrRejected, location, size, MaxMetadataBytes)
}
