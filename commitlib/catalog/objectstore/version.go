package objectstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

const (
	metadataSuffix = ".metadata.json"

	// maxVersion keeps every version and its successor within 18 digits, so that no arithmetic on one overflows.
	maxVersion = 999_999_999_999_999_998
)

func dirOf(id catalog.Ident) string { return id.Namespace + "/" + id.Name }

func versionKey(dir string, version int64) string {
	return dir + "/metadata/v" + strconv.FormatInt(version, 10) + metadataSuffix
}

func token(version int64) string { return strconv.FormatInt(version, 10) }

func versionOf(t *catalog.Table) (int64, error) {
	version, ok := parseVersion(t.Token)
	if !ok {
		return 0, fmt.Errorf("token %q is no version: the table was loaded through another catalog", t.Token)
	}
	return version, nil
}

// parseVersion reads digits alone, without a leading zero.
func parseVersion(s string) (int64, bool) {
	version, err := strconv.ParseInt(s, 10, 64)
	ok := err == nil && version > 0 && version <= maxVersion && strconv.FormatInt(version, 10) == s
	return version, ok
}

// found is where the search for the newest version ended; version 0: the table does not exist.
type found struct {
	version int64
	size    int64
	hint    hint
}

// newest finds the newest version as Catalog's comment has it.
func (c *Catalog) newest(ctx context.Context, dir string) (found, error) {
	h, err := c.readHint(ctx, dir)
	if err != nil {
		return found{}, err
	}
	if h.version > 0 {
		info, err := c.store.Head(ctx, versionKey(dir, h.version))
		if err != nil && !errors.Is(err, objstore.ErrNotExist) {
			return found{}, err
		}
		if err == nil {
			began := c.wallClock()
			last, err := c.walk(ctx, dir, probe{h.version, info})
			if err != nil {
				return found{}, err
			}
			if began.Sub(last.info.Modified) <= c.retention/2 {
				return found{last.version, last.info.Size, h}, nil
			}
		}
	}
	listed, err := c.highestListed(ctx, dir)
	if err != nil || listed.version == 0 {
		return found{hint: h}, err
	}
	last, err := c.walk(ctx, dir, listed) // more may have come while the list was read
	return found{last.version, last.info.Size, h}, err
}

// probe is a version that was seen to exist.
type probe struct {
	version int64
	info    objstore.Info
}

// walk probes forward from a version that exists to the last that does.
func (c *Catalog) walk(ctx context.Context, dir string, last probe) (probe, error) {
	for last.version < maxVersion {
		info, err := c.store.Head(ctx, versionKey(dir, last.version+1))
		if errors.Is(err, objstore.ErrNotExist) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		last = probe{last.version + 1, info}
	}
	return last, nil
}

// newer finds the newest version from one that was lately seen to be the newest. Where there is a newer one the hint is
// read: it saves a walk over all that came meanwhile, and the next swap has to know it to raise it.
func (c *Catalog) newer(ctx context.Context, dir string, version int64) (probe, error) {
	next, err := c.store.Head(ctx, versionKey(dir, version+1))
	if errors.Is(err, objstore.ErrNotExist) {
		return probe{version: version}, nil
	}
	if err != nil {
		return probe{}, err
	}
	last := probe{version + 1, next}
	h, err := c.readHint(ctx, dir)
	if err != nil {
		return probe{}, err
	}
	c.seen.setHint(dir, h)
	if h.version > last.version {
		info, err := c.store.Head(ctx, versionKey(dir, h.version))
		if err != nil && !errors.Is(err, objstore.ErrNotExist) {
			return probe{}, err
		}
		if err == nil {
			last = probe{h.version, info}
		}
	}
	return c.walk(ctx, dir, last)
}

// highestListed lists the versions, gaps and all, and returns the highest; version 0 where there is none. It refuses a
// table that another writer keeps in a form that this package must not continue.
func (c *Catalog) highestListed(ctx context.Context, dir string) (probe, error) {
	var highest probe
	var compressed int64
	prefix := dir + "/metadata/v"
	err := c.store.List(ctx, prefix, func(info objstore.Info) error {
		name := info.Key[len(prefix):]
		if digits, ok := strings.CutSuffix(name, metadataSuffix); ok {
			if version, ok := parseVersion(digits); ok {
				if version > highest.version {
					highest = probe{version, info}
				}
				return nil
			}
		}
		if version, ok := compressedVersion(name); ok {
			compressed = max(compressed, version)
		}
		return nil
	})
	if err != nil {
		return probe{}, err
	}
	if compressed > 0 && compressed >= highest.version {
		return probe{}, fmt.Errorf("%w: version %d of the table is compressed metadata (v%d.gz%s), which another writer made; "+
			"have it write uncompressed metadata, or use a catalog service for this table",
			catalog.ErrRejected, compressed, compressed, metadataSuffix)
	}
	if highest.version == 0 {
		return probe{}, c.refuseForeign(ctx, dir)
	}
	return highest, nil
}

// compressedVersion reads the two forms in which other engines name compressed versions.
func compressedVersion(name string) (int64, bool) {
	for _, suffix := range []string{".gz" + metadataSuffix, metadataSuffix + ".gz"} {
		if digits, ok := strings.CutSuffix(name, suffix); ok {
			return parseVersion(digits)
		}
	}
	return 0, false
}

// errStop ends a List early.
var errStop = errors.New("seen enough")

// refuseForeign finds the metadata of a table that lives in a catalog service ("00003-<uuid>.metadata.json"): there is
// a table, but this catalog is not the one that decides which version is current.
func (c *Catalog) refuseForeign(ctx context.Context, dir string) error {
	var other string
	prefix := dir + "/metadata/"
	err := c.store.List(ctx, prefix, func(info objstore.Info) error {
		if strings.HasPrefix(info.Key, prefix+"v") {
			return nil // made since the versions were listed: a table that a rival is creating
		}
		if strings.HasSuffix(info.Key, metadataSuffix) || strings.HasSuffix(info.Key, metadataSuffix+".gz") {
			other = info.Key
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return err
	}
	if other != "" {
		return fmt.Errorf("%w: %s is metadata that a catalog service names; use that catalog (Glue or REST) for this table", catalog.ErrRejected, other)
	}
	return nil
}

// exists says whether a table has any version.
func (c *Catalog) exists(ctx context.Context, dir string) (bool, error) {
	prefix := dir + "/metadata/v"
	err := c.store.List(ctx, prefix, func(info objstore.Info) error {
		if digits, ok := strings.CutSuffix(info.Key[len(prefix):], metadataSuffix); ok {
			if _, ok := parseVersion(digits); ok {
				return errStop
			}
		}
		return nil
	})
	if errors.Is(err, errStop) {
		return true, nil
	}
	return false, err
}
