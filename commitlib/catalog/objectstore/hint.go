package objectstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"firn/commitlib/objstore"
	"firn/commitlib/safeguard"
)

// hintAttempts bounds how often the hint is written in one call. Each refusal means that a rival wrote it meanwhile,
// and nearly always to a higher version, which ends the loop.
const hintAttempts = 8

// hint is what version-hint.text was seen to be.
type hint struct {
	etag    string // empty: the object did not exist
	version int64  // 0: missing, or it could not be read as a version
	exact   bool   // it holds the digits and nothing else; engines open exactly the name that it makes
}

func hintKey(dir string) string { return dir + "/metadata/version-hint.text" }

// parseHint reads the hint as tolerantly as Spark does: white space around the digits is no obstacle to finding the
// table, but it is one to DuckDB and PyIceberg, so exact says whether to write it anew. Anything else is version 0.
func parseHint(body []byte) (version int64, exact bool) {
	text := string(body)
	version, ok := parseVersion(strings.TrimSpace(text))
	if !ok {
		return 0, false
	}
	return version, strconv.FormatInt(version, 10) == text
}

func (c *Catalog) readHint(ctx context.Context, dir string) (hint, error) {
	body, info, err := c.store.Get(ctx, hintKey(dir))
	if errors.Is(err, objstore.ErrNotExist) {
		return hint{}, nil
	}
	if err != nil {
		return hint{}, err
	}
	version, exact := parseHint(body)
	return hint{etag: info.ETag, version: version, exact: exact}, nil
}

// writeHint makes the hint name version, unless it has been seen to name that or a higher one after known was. The
// first write replaces exactly what known says; so a hint that names a version that never was is also lowered by it.
func (c *Catalog) writeHint(ctx context.Context, dir string, version int64, known hint) error {
	body := []byte(strconv.FormatInt(version, 10))
	for range hintAttempts {
		cond := objstore.Condition{ETag: known.etag, Absent: known.etag == ""}
		if safeguard.Off(safeguard.HintRaiseOnly) {
			cond = objstore.Condition{}
		}
		info, err := c.store.Put(ctx, hintKey(dir), body, cond)
		if err == nil {
			c.seen.setHint(dir, hint{etag: info.ETag, version: version, exact: true})
			return nil
		}
		c.seen.forgetHint(dir)
		if !errors.Is(err, objstore.ErrPrecondition) {
			return err
		}
		if known, err = c.readHint(ctx, dir); err != nil {
			return err
		}
		if known.version >= version && known.exact {
			c.seen.setHint(dir, known)
			return nil
		}
		version = max(version, known.version)
		body = []byte(strconv.FormatInt(version, 10))
	}
	return fmt.Errorf("rivals wrote it %d times meanwhile", hintAttempts)
}

// raiseAfterSwap is step 3 of a swap.
func (c *Catalog) raiseAfterSwap(ctx context.Context, dir string, version int64) {
	known, ok := c.seen.hint(dir)
	if safeguard.Off(safeguard.HintRaiseOnly) {
		known, ok = hint{}, true
	}
	if !ok {
		c.checkHint(ctx, dir, version)
		return
	}
	if known.version < version || !known.exact {
		c.repairHint(ctx, dir, version, known)
	}
}

// checkHint reads the hint and raises it to version if it is behind.
func (c *Catalog) checkHint(ctx context.Context, dir string, version int64) {
	known, err := c.readHint(ctx, dir)
	if err != nil {
		c.warnHint(dir, version, err)
		return
	}
	if known.version >= version && known.exact {
		c.seen.setHint(dir, known)
		return
	}
	c.repairHint(ctx, dir, version, known)
}

// repairHint is writeHint whose error is logged: the hint is for readers of other
// engines, and the table is right without it.
func (c *Catalog) repairHint(ctx context.Context, dir string, version int64, known hint) {
	if err := c.writeHint(ctx, dir, version, known); err != nil {
		c.warnHint(dir, version, err)
	}
}

func (c *Catalog) warnHint(dir string, version int64, err error) {
	c.seen.postponeHint(dir, c.wallClock())
	c.log.Warn("version-hint.text could not be brought up to date; engines that open the table by its folder see an older version until the next load or commit",
		"table", dir, "version", version, "error", err)
}
