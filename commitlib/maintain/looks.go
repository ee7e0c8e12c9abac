package maintain

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/objstore"
)

// looksName is the object that remembers which objects were found unreferenced, and when first. Losing it costs the
// grace period anew, and nothing else: it is read by nobody who would not look for himself again.
const looksName = stateFolder + "condemned.json"

// looks is what earlier sweeps of a table found unreferenced. It is kept by scope, as each sweep replaces what is known
// of all that it listed, and of nothing else.
type looks struct {
	table     uuid.UUID
	metadata  map[uint64]time.Time // objects under metadata and _firn, by mark: when first found unreferenced
	data      map[uint64]time.Time // all others
	wholeNext time.Time            // when the whole folder is to be listed again

	etag string // of the object that this was read from; empty: there is none
}

// looksJSON is the object. Marks of one look are big-endian and in base64: eleven bytes for an object.
type looksJSON struct {
	Version   int        `json:"v"`
	Table     uuid.UUID  `json:"table"`
	WrittenMs int64      `json:"written"` // by the clock that the looks go by
	WholeNext int64      `json:"whole_next,omitempty"`
	Metadata  []lookJSON `json:"metadata,omitempty"`
	Data      []lookJSON `json:"data,omitempty"`
}

type lookJSON struct {
	AtMs  int64  `json:"at"`
	Marks string `json:"marks"`
}

const looksVersion = 1

// mark names one object as it is: one that was put anew under the same name begins its grace period anew.
func mark(o objstore.Info) uint64 {
	return hash(fmt.Sprintf("%s\x00%d\x00%d", o.Key, o.Modified.UnixMilli(), o.Size))
}

// readLooks reads the object. One that is not there, of another table, not understood, or written by a clock that was
// wrong is as none: what it would have said is found again.
func readLooks(ctx context.Context, store objstore.Store, key string, table uuid.UUID) (*looks, error) {
	l := &looks{table: table, metadata: map[uint64]time.Time{}, data: map[uint64]time.Time{}}
	body, info, err := store.Get(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read earlier looks: %w", err)
	}
	l.etag = info.ETag
	var doc looksJSON
	if json.Unmarshal(body, &doc) != nil || doc.Version != looksVersion || doc.Table != table || clockOff(time.UnixMilli(doc.WrittenMs), info.Modified) {
		return l, nil
	}
	if doc.WholeNext > 0 {
		l.wholeNext = time.UnixMilli(doc.WholeNext)
	}
	unpack(doc.Metadata, l.metadata)
	unpack(doc.Data, l.data)
	return l, nil
}

func unpack(from []lookJSON, into map[uint64]time.Time) {
	for _, look := range from {
		marks, err := base64.RawStdEncoding.DecodeString(look.Marks)
		if err != nil || look.AtMs <= 0 {
			continue
		}
		for ; len(marks) >= 8; marks = marks[8:] {
			into[binary.BigEndian.Uint64(marks)] = time.UnixMilli(look.AtMs)
		}
	}
}

func pack(from map[uint64]time.Time) (packed []lookJSON) {
	byTime := map[uint64][]uint64{}
	var times []uint64
	for m, at := range from {
		ms := uint64(at.UnixMilli())
		if byTime[ms] == nil {
			times = append(times, ms)
		}
		byTime[ms] = append(byTime[ms], m)
	}
	slices.Sort(times)
	for _, at := range times {
		slices.Sort(byTime[at])
		var marks []byte
		for _, m := range byTime[at] {
			marks = binary.BigEndian.AppendUint64(marks, m)
		}
		packed = append(packed, lookJSON{int64(at), base64.RawStdEncoding.EncodeToString(marks)})
	}
	return packed
}

// maxClockError is how far the clock of a process that sweeps may be from the store's. Ages are told by both.
const maxClockError = 5 * time.Minute

// clockOff says that it is farther; stores is zero where the store does not tell.
func clockOff(clock, stores time.Time) bool {
	return !stores.IsZero() && (clock.Sub(stores) > maxClockError || stores.Sub(clock) > maxClockError)
}

// errRival says that another sweep of the table wrote its looks meanwhile.
var errRival = errors.New("another sweep of the table is under way")

// write replaces the object, if it is still the one that was read. When it returns nil, at is the store's time, or zero
// where the store does not tell.
func (l *looks) write(ctx context.Context, store objstore.Store, key string, now time.Time) (at time.Time, err error) {
	doc := looksJSON{Version: looksVersion, Table: l.table, WrittenMs: now.UnixMilli(), Metadata: pack(l.metadata), Data: pack(l.data)}
	if !l.wholeNext.IsZero() {
		doc.WholeNext = l.wholeNext.UnixMilli()
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return at, fmt.Errorf("write looks: %w", err)
	}
	info, err := store.Put(ctx, key, body, objstore.Condition{Absent: l.etag == "", ETag: l.etag})
	if errors.Is(err, objstore.ErrPrecondition) {
		return at, errRival
	}
	if err != nil {
		return at, fmt.Errorf("write looks: %w", err)
	}
	l.etag = info.ETag
	return info.Modified, nil
}
