package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"firn/commitlib/iceberg"
)

// Kinds of payload.
const (
	PayloadText   = "text"   // UTF-8, an Iceberg string
	PayloadBinary = "binary" // any bytes, an Iceberg binary
)

// Settings are what a table's owner chooses.
type Settings struct {
	Payload         string   `json:"payload"`           // "text" or "binary"; fixed when the table is made
	PartitionBy     []string `json:"partition_by"`      // one of none, hour, day and month (of event time), and partition; fixed when the table is made
	CutInterval     Duration `json:"cut_interval"`      // age at which a segment is cut
	MaxLag          Duration `json:"max_lag"`           // the same for a table that gets little, beside many others that do
	HotRetention    Duration `json:"hot_retention"`     // how long committed events stay readable in the log
	TableRetention  Duration `json:"table_retention"`   // age at which events leave the table; 0s: never
	TargetFileBytes int64    `json:"target_file_bytes"` // size that compaction aims at
	TimeWindowBack  Duration `json:"time_window_back"`  // oldest event time taken, before now
	TimeWindowAhead Duration `json:"time_window_ahead"` // latest event time taken, after now
}

// DefaultSettings returns the settings of a table that nobody described.
func DefaultSettings() Settings {
	return Settings{
		Payload:         PayloadText,
		PartitionBy:     []string{iceberg.PartitionHour},
		CutInterval:     Duration(10 * time.Second),
		MaxLag:          defaultMaxLag,
		HotRetention:    Duration(0),
		TableRetention:  Duration(0),
		TargetFileBytes: 512 << 20,
		TimeWindowBack:  Duration(400 * Day),
		TimeWindowAhead: Duration(1 * Day),
	}
}

// The bounds of settings.
const (
	minCutInterval = 100 * time.Millisecond // faster, and an idle store is asked for nothing but tiny files
	maxCutInterval = 24 * time.Hour
	defaultMaxLag  = Duration(time.Minute)
	maxHot         = 30 * Day  // the log is one disk, not an archive
	minRetention   = time.Hour // retention removes whole files by event time
	minTargetBytes = 1 << 20
	maxTargetBytes = 2 << 30
	maxWindow      = 200 * 365 * Day // keeps now ± window inside what a time.Duration and a timestamptz hold
)

// Ranges says what each setting with bounds may be, as Validate holds it; API.md repeats it.
func Ranges() map[string]string {
	between := func(lo, hi time.Duration) string { return fmt.Sprintf("%s to %s", Duration(lo), Duration(hi)) }
	return map[string]string{
		"cut_interval":      between(minCutInterval, maxCutInterval),
		"max_lag":           between(minCutInterval, maxCutInterval),
		"hot_retention":     between(0, maxHot),
		"target_file_bytes": fmt.Sprintf("%d to %d", minTargetBytes, maxTargetBytes),
		"time_window_back":  between(0, maxWindow),
		"time_window_ahead": between(0, maxWindow),
	}
}

// Validate joins all that is wrong; each says the field, its value and what would do. errors.Is(err, ErrBadSettings).
func (s *Settings) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: %s %s", ErrBadSettings, field, fmt.Sprintf(format, args...)))
	}
	if s.Payload != PayloadText && s.Payload != PayloadBinary {
		bad("payload", "is %q: want %q or %q", s.Payload, PayloadText, PayloadBinary)
	}
	if len(s.PartitionBy) == 0 {
		bad("partition_by", `is empty: write ["none"] for a table without partition fields`)
	} else if _, err := iceberg.EventSpec(s.PartitionBy); err != nil {
		bad("partition_by", `is %q: want one of "hour", "day", "month" and "none", and "partition" once beside it or alone`, s.PartitionBy)
	}
	within := func(field string, d Duration, lo, hi time.Duration) {
		if time.Duration(d) < lo || time.Duration(d) > hi {
			bad(field, "is %s: want %s to %s", d, Duration(lo), Duration(hi))
		}
	}
	within("cut_interval", s.CutInterval, minCutInterval, maxCutInterval)
	within("max_lag", s.MaxLag, minCutInterval, maxCutInterval)
	within("hot_retention", s.HotRetention, 0, maxHot)
	if s.TableRetention != 0 {
		within("table_retention", s.TableRetention, minRetention, maxWindow)
	}
	within("time_window_back", s.TimeWindowBack, 0, maxWindow)
	within("time_window_ahead", s.TimeWindowAhead, 0, maxWindow)
	if s.TargetFileBytes < minTargetBytes || s.TargetFileBytes > maxTargetBytes {
		bad("target_file_bytes", "is %d: want %d to %d", s.TargetFileBytes, minTargetBytes, maxTargetBytes)
	}
	return errors.Join(errs...)
}

// Change edits settings in place, for Put.
type Change func(*Settings) error

// apply returns the settings that base becomes, checked. It leaves base alone; a nil Change changes nothing.
func (c Change) apply(base Settings) (Settings, error) {
	s := base.clone()
	if c == nil {
		return s, nil
	}
	if err := c(&s); err != nil {
		return s, err
	}
	return s, s.Validate()
}

func (s *Settings) clone() Settings {
	c := *s
	c.PartitionBy = slices.Clone(s.PartitionBy)
	return c
}

func (s *Settings) payloadType() iceberg.Type {
	if s.Payload == PayloadBinary {
		return iceberg.Binary
	}
	return iceberg.String
}

// contradiction compares what a Put wants with what the table has and cannot change.
func contradiction(table string, want Settings, payload string, partitionBy []string) error {
	if want.Payload != payload {
		return &ContradictionError{Table: table, Field: "payload", Have: payload, Want: want.Payload}
	}
	by, err := canonicalPartitionBy(want.PartitionBy)
	if err != nil {
		return fmt.Errorf("%w: partition_by %w", ErrBadSettings, err)
	}
	if !slices.Equal(by, partitionBy) {
		return &ContradictionError{Table: table, Field: "partition_by",
			Have: "[" + strings.Join(partitionBy, " ") + "]", Want: "[" + strings.Join(by, " ") + "]"}
	}
	return nil
}
