package maintain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// versions are a table's metadata files where package objectstore keeps it: v1 to v<current>, less those removed.
type versions struct {
	current int64
	hint    int64 // what version-hint.text names; 0 if that cannot be told
	times   []versionTime
}

// versionTime is when a version was written.
type versionTime struct {
	version int64
	at      time.Time
}

// sort puts the versions in order, once all are there.
func (v *versions) sort() {
	slices.SortFunc(v.times, func(a, b versionTime) int { return int(min(max(a.version-b.version, -1), 1)) })
}

// judge says why a version stays. It goes when it was superseded for longer than the retention, by the time of the one
// that did so, and is not among the newest, which the metadata log names. Its name is free then: package objectstore
// refuses to create a version on a state that was not seen to be current within half the retention. The version that
// the hint names stays, as engines open that.
func (v *versions) judge(version int64, now time.Time, retention time.Duration) string {
	at, found := slices.BinarySearchFunc(v.times, version, func(t versionTime, version int64) int {
		return int(min(max(t.version-version, -1), 1))
	})
	if !found || at+1 >= len(v.times) || v.hint == 0 || version == v.hint || version >= v.current-iceberg.MaxMetadataLog {
		return waitsRetention
	}
	superseded := v.times[at+1].at
	if own := v.times[at].at; own.After(superseded) {
		superseded = own // made by a sleeper under a name that was free again
	}
	if now.Sub(superseded) <= retention {
		return waitsRetention
	}
	return ""
}

// readHint reads which version the hint names; 0 where it does not say so plainly.
func readHint(ctx context.Context, store objstore.Store, key string) (int64, error) {
	body, _, err := store.Get(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read version-hint.text: %w", err)
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(body)), 10, 64)
	if err != nil || n < 1 {
		return 0, nil
	}
	return n, nil
}
