package commitlib

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

// stateFolder is the folder under a table's root that holds Firn's own objects. Orphan removal leaves out what
// begins with an underscore, as Spark's does.
const stateFolder = "_firn"

// spilled is the content of one spilled-watermarks file. The file is immutable, and holds all that its
// predecessor held: a watermark is never forgotten. Safe to share.
type spilled struct {
	Version int                `json:"v"`
	Table   uuid.UUID          `json:"table"`
	Logs    map[uuid.UUID]Mark `json:"logs"`
}

// readSpilled reads the file that ref names. One that is missing or is not what ref says it is gives ErrWatermarksLost;
// it never reads as 0. Any other error is the store's, and worth another try.
func readSpilled(ctx context.Context, store objstore.Store, t *catalog.Table, ref *SpillRef) (*spilled, error) {
	if !strings.HasPrefix(ref.File, t.Location+"/"+stateFolder+"/") {
		return nil, fmt.Errorf("%w: spilled watermarks %q lie outside the table", ErrWatermarksLost, ref.File)
	}
	key, ok := objstore.Key(store, ref.File)
	if !ok {
		return nil, fmt.Errorf("%w: spilled watermarks %q lie outside the store %q", ErrWatermarksLost, ref.File, store.Root())
	}
	data, _, err := store.Get(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return nil, fmt.Errorf("%w: %q is missing: restore the file", ErrWatermarksLost, ref.File)
	}
	if err != nil {
		return nil, fmt.Errorf("read spilled watermarks %q: %w", ref.File, err)
	}
	s := new(spilled)
	if err := decodeStrict(data, s); err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrWatermarksLost, ref.File, err)
	}
	_, holdsMax := s.Logs[ref.Max]
	if s.Version != Protocol || s.Table != t.Metadata.TableUUID || !holdsMax {
		return nil, fmt.Errorf("%w: %q is not the file that the table wrote (version %d, table %s)", ErrWatermarksLost, ref.File, s.Version, s.Table)
	}
	return s, nil
}

// spillNow returns the logs to move out of w: those quiet for a day, and beyond keep logs the longest quiet ones down
// to half of keep, so that one spill makes room for many commits. Logs that moved at nowMs stay.
func (w *Watermarks) spillNow(nowMs int64, keep int, quiet time.Duration) []uuid.UUID {
	logs := slices.SortedFunc(maps.Keys(w.Logs), func(a, b uuid.UUID) int {
		return cmp.Or(cmp.Compare(w.Logs[a].AtMs, w.Logs[b].AtMs), bytes.Compare(a[:], b[:]))
	})
	out := 0
	for out < len(logs) && w.Logs[logs[out]].AtMs < nowMs-quiet.Milliseconds() {
		out++
	}
	if len(logs)-out > keep {
		for out < len(logs)-(keep+1)/2 && w.Logs[logs[out]].AtMs < nowMs {
			out++
		}
	}
	return logs[:out]
}

// spill returns w without the logs in out, and the file content that takes them in.
// before is nil if w names no file yet.
func (w *Watermarks) spill(out []uuid.UUID, before *spilled, table uuid.UUID) (*Watermarks, *spilled) {
	after := &spilled{Version: Protocol, Table: table, Logs: make(map[uuid.UUID]Mark)}
	if before != nil {
		maps.Copy(after.Logs, before.Logs)
	}
	next := &Watermarks{Logs: maps.Clone(w.Logs), Root: w.Root}
	for _, log := range out {
		after.Logs[log] = w.Logs[log]
		delete(next.Logs, log)
	}
	return next, after
}

// maxLog is the greatest log id in the file.
func (s *spilled) maxLog() (m uuid.UUID) {
	for log := range s.Logs {
		if bytes.Compare(log[:], m[:]) > 0 {
			m = log
		}
	}
	return m
}

func (s *spilled) encode() ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode spilled watermarks: %w", err)
	}
	return data, nil
}
