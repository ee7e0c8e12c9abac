package maintain

import (
	"cmp"
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
	metadata  lookSet     // objects under metadata and _firn
	data      lookSet     // all others
	wholeNext time.Time   // when the whole folder is to be listed again
	notNeeded []uuid.UUID // other tables that had the folder, and of which somebody said that they are not needed

	etag  string    // of the object that this was read from; empty: there is none
	other uuid.UUID // the table that it is about, if not this one
}

// look is an object by its mark, and when it was first found unreferenced, in milliseconds.
type look struct {
	mark uint64
	atMs int64
}

// lookSet is looks in the order of their marks, 16 bytes for each.
type lookSet []look

// at returns when the object was first found unreferenced.
func (l lookSet) at(mark uint64) (at time.Time, ok bool) {
	i, ok := slices.BinarySearchFunc(l, mark, func(l look, mark uint64) int { return cmp.Compare(l.mark, mark) })
	if !ok {
		return at, false
	}
	return time.UnixMilli(l[i].atMs), true
}

// sorted makes a set of looks. Of two at one object the later counts.
func sorted(l []look) lookSet {
	slices.SortFunc(l, func(a, b look) int { return cmp.Or(cmp.Compare(a.mark, b.mark), cmp.Compare(b.atMs, a.atMs)) })
	return slices.CompactFunc(l, func(a, b look) bool { return a.mark == b.mark })
}

// looksJSON is the object. Marks of one look are big-endian and in base64: eleven bytes for an object.
type looksJSON struct {
	Version   int        `json:"v"`
	Table     uuid.UUID  `json:"table"`
	WrittenMs int64      `json:"written"` // by the clock that the looks go by
	WholeNext int64      `json:"whole_next,omitempty"`
	Metadata  []lookJSON `json:"metadata,omitempty"`
	Data      []lookJSON `json:"data,omitempty"`

	NotNeeded []uuid.UUID `json:"not_needed,omitempty"`
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

// readLooks reads the object. One that is not there, not understood, or written by a clock that was wrong is as none:
// what it would have said is found again. Of one of another table only that is told.
func readLooks(ctx context.Context, store objstore.Store, key string, table uuid.UUID) (*looks, error) {
	l := &looks{table: table}
	body, info, err := store.Get(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read earlier looks: %w", err)
	}
	l.etag = info.ETag
	var doc looksJSON
	if json.Unmarshal(body, &doc) != nil || doc.Version != looksVersion {
		return l, nil
	}
	if doc.Table != table {
		l.other = doc.Table
		return l, nil
	}
	l.notNeeded = doc.NotNeeded
	if clockOff(time.UnixMilli(doc.WrittenMs), info.Modified) {
		return l, nil
	}
	if doc.WholeNext > 0 {
		l.wholeNext = time.UnixMilli(doc.WholeNext)
	}
	l.metadata, l.data = unpack(doc.Metadata), unpack(doc.Data)
	return l, nil
}

func unpack(from []lookJSON) lookSet {
	var looks []look
	for _, l := range from {
		marks, err := base64.RawStdEncoding.DecodeString(l.Marks)
		if err != nil || l.AtMs <= 0 {
			continue
		}
		for ; len(marks) >= 8; marks = marks[8:] {
			looks = append(looks, look{binary.BigEndian.Uint64(marks), l.AtMs})
		}
	}
	return sorted(looks)
}

func pack(from lookSet) (packed []lookJSON) {
	byTime := slices.Clone(from)
	slices.SortFunc(byTime, func(a, b look) int { return cmp.Or(cmp.Compare(a.atMs, b.atMs), cmp.Compare(a.mark, b.mark)) })
	var marks []byte
	for i, l := range byTime {
		marks = binary.BigEndian.AppendUint64(marks, l.mark)
		if i+1 == len(byTime) || byTime[i+1].atMs != l.atMs {
			packed = append(packed, lookJSON{l.atMs, base64.RawStdEncoding.EncodeToString(marks)})
			marks = marks[:0]
		}
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
	doc := looksJSON{Version: looksVersion, Table: l.table, WrittenMs: now.UnixMilli(), Metadata: pack(l.metadata), Data: pack(l.data), NotNeeded: l.notNeeded}
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
