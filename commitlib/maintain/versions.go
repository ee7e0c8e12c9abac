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
	hint    int64               // what version-hint.text names; 0 if that cannot be told
	times   map[int64]time.Time // when each that is there was written
	order   []uint64            // of these, ascending; sort sets it
}

func (v *versions) add(version int64, at time.Time) {
	if v.times == nil {
		v.times = map[int64]time.Time{}
	}
	v.times[version] = at
}

// sort puts the versions in order, once all are there.
func (v *versions) sort() {
	v.order = make([]uint64, 0, len(v.times))
	for version := range v.times {
		v.order = append(v.order, uint64(version))
	}
	slices.Sort(v.order)
}

// judge says why a version stays. It goes when it was superseded for longer than the retention, by the time of the one
// that did so, and is not among the newest, which the metadata log names. Its name is free then: package objectstore
// refuses to create a version on a state that was not seen to be current within half the retention. The version that
// the hint names stays, as engines open that.
func (v *versions) judge(version int64, now time.Time, retention time.Duration) string {
	at, found := slices.BinarySearch(v.order, uint64(version))
	if !found || at+1 >= len(v.order) || v.hint == 0 || version == v.hint || version >= v.current-iceberg.MaxMetadataLog {
		return waitsRetention
	}
	superseded := v.times[int64(v.order[at+1])]
	if own := v.times[version]; own.After(superseded) {
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
