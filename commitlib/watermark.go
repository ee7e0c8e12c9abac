package commitlib

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"strconv"

	"github.com/google/uuid"

	"firn/commitlib/iceberg"
)

// The table properties that hold the protocol's state. Both are written only in a swap that adds a snapshot.
const (
	PropProtocol   = "firn.protocol"   // the marker: the decimal Protocol
	PropWatermarks = "firn.watermarks" // Watermarks as JSON
)

// Why a table takes no commits. Each stops shipping to the table until its operator has looked.
var (
	// ErrNotFirn: the marker property is missing, or names a version that this build does not speak.
	ErrNotFirn = errors.New("table does not carry the marker of Firn's commit protocol")
	// ErrWatermarksLost: the marker is there, but committed watermarks cannot be read: absent is never 0 then.
	ErrWatermarksLost = errors.New("table's committed watermarks are lost")
	// ErrBelowTrace: a retained snapshot's summary names more of a log than the watermarks do.
	ErrBelowTrace = errors.New("table's committed watermarks were set back")
	// ErrReplaced: main's history does not go back to where it began when the watermarks were written.
	ErrReplaced = errors.New("table was replaced")
)

// Mark is one log's committed watermark and when (Unix milliseconds) it last moved.
type Mark struct {
	Last Seq
	AtMs int64
}

// MarshalJSON writes [last, millis]: 64 of these are a property in every metadata file.
func (m Mark) MarshalJSON() ([]byte, error) {
	b := strconv.AppendUint([]byte{'['}, uint64(m.Last), 10)
	b = strconv.AppendInt(append(b, ','), m.AtMs, 10)
	return append(b, ']'), nil
}

// UnmarshalJSON refuses what no committer writes.
func (m *Mark) UnmarshalJSON(data []byte) error {
	var pair []int64
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 || pair[0] < 1 || pair[1] < 0 {
		return fmt.Errorf("watermark %s is not [last, millis]", bytes.TrimSpace(data))
	}
	m.Last, m.AtMs = Seq(pair[0]), pair[1]
	return nil
}

// SpillRef names the file that holds the watermarks of logs that the property no longer lists.
type SpillRef struct {
	File string    `json:"file"` // location
	Max  uuid.UUID `json:"max"`  // the greatest log id in it: an unlisted log with a greater one is in none
}

// rootLost is Watermarks.Root where main's first snapshot had expired before it could be recorded.
const rootLost = -1

// Watermarks is the value of PropWatermarks: the table's side of the sliding window. It is one property, so that no
// log's watermark can be dropped alone. Values are immutable once parsed or built; a commit makes a new one.
type Watermarks struct {
	// Logs are the watermarks of the logs that committed lately, and override the spilled ones.
	Logs map[uuid.UUID]Mark `json:"logs"`

	// Root is the first snapshot of main's history, by which a replaced table is told from a rolled-back one
	// (checkLineage): 0 before the first commit (or after an operator accepted a replacement), rootLost if unknown.
	Root int64 `json:"root,omitempty"`

	// Spilled is nil until logs were moved out.
	Spilled *SpillRef `json:"spilled,omitempty"`
}

// NewTableProperties returns the properties to create a table with: the marker, and no watermarks yet.
func NewTableProperties() map[string]string {
	return map[string]string{PropProtocol: strconv.Itoa(Protocol), PropWatermarks: `{"logs":{}}`}
}

// ParseWatermarks reads the protocol's state out of a table's properties. ErrNotFirn or ErrWatermarksLost where
// there is none that can be trusted.
func ParseWatermarks(props map[string]string) (*Watermarks, error) {
	version, ok := props[PropProtocol]
	if !ok {
		return nil, fmt.Errorf("%w: property %s is missing", ErrNotFirn, PropProtocol)
	}
	if version != strconv.Itoa(Protocol) {
		return nil, fmt.Errorf("%w: property %s is %q, this build speaks %d", ErrNotFirn, PropProtocol, version, Protocol)
	}
	value, ok := props[PropWatermarks]
	if !ok {
		return nil, fmt.Errorf("%w: property %s is missing", ErrWatermarksLost, PropWatermarks)
	}
	w := new(Watermarks)
	// Strict: a member that this build does not know would be forgotten by the next commit.
	if err := decodeStrict([]byte(value), w); err != nil {
		return nil, fmt.Errorf("%w: property %s: %w", ErrWatermarksLost, PropWatermarks, err)
	}
	if w.Logs == nil || w.Root < rootLost || w.Spilled != nil && (w.Spilled.File == "" || w.Spilled.Max == uuid.Nil) {
		return nil, fmt.Errorf("%w: property %s is incomplete: %s", ErrWatermarksLost, PropWatermarks, clip(value))
	}
	return w, nil
}

// Encode returns the property's value; equal watermarks give equal text.
func (w *Watermarks) Encode() (string, error) {
	text, err := json.Marshal(w)
	if err != nil {
		return "", fmt.Errorf("encode watermarks: %w", err)
	}
	return string(text), nil
}

// used reports whether any log ever committed under these watermarks.
func (w *Watermarks) used() bool { return len(w.Logs) > 0 || w.Spilled != nil }

// needsSpilled reports whether a log's watermark can only be known from the spilled file.
func (w *Watermarks) needsSpilled(log uuid.UUID) bool {
	if _, ok := w.Logs[log]; ok || w.Spilled == nil {
		return false
	}
	return bytes.Compare(log[:], w.Spilled.Max[:]) <= 0
}

// advance returns a copy with the marks of moved set over its own.
func (w *Watermarks) advance(moved map[uuid.UUID]Mark) *Watermarks {
	next := &Watermarks{Logs: maps.Clone(w.Logs), Root: w.Root, Spilled: w.Spilled}
	maps.Copy(next.Logs, moved)
	return next
}

// PropRanges is the key in a snapshot's summary that repeats, for audit, which ranges the snapshot added: none, "{}", by
// a rewrite.
const PropRanges = "firn.ranges"

// Ranges maps each log to the ranges [first, last] that one snapshot added, ascending.
type Ranges map[uuid.UUID][][2]Seq

// ParseRanges reads a snapshot's ranges; nil where it has none, as a foreign snapshot has.
func ParseRanges(s *iceberg.Snapshot) (Ranges, error) {
	text, ok := s.Summary[PropRanges]
	if !ok {
		return nil, nil
	}
	r, ok := scanRanges(text)
	if !ok {
		if err := decodeStrict([]byte(text), &r); err != nil {
			return nil, fmt.Errorf("read %s of snapshot %d: %w", PropRanges, s.ID, err)
		}
	}
	for log, ranges := range r {
		for _, x := range ranges {
			if x[0] < 1 || x[1] < x[0] || x[1] > math.MaxInt64 {
				return nil, fmt.Errorf("read %s of snapshot %d: log %s: [%d, %d] is not a range", PropRanges, s.ID, log, x[0], x[1])
			}
		}
	}
	return r, nil
}

// clip shortens foreign text for an error message.
func clip(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
