package datafile

import (
	"errors"
	"fmt"
)

// Level is how hard zstd works.
type Level int

// The levels. Fastest is zpage's; the others are zstd's 3, 7 and 11, roughly.
const (
	Fastest Level = 1
	Normal  Level = 2
	Better  Level = 3
	Best    Level = 4
)

// Config sets what an Encoder trades. Start from Default.
type Config struct {
	Level         Level
	RowGroupBytes int // values of a row group before encoding, at most; readers plan and run in parallel by row group
	PageBytes     int // values of a page before compression, at most, but never less than one row; also bounds the encoder's buffers
}

const (
	// maxPageRows bounds a page's rows, so that the page index is fine enough to skip by: parquet-java's default.
	maxPageRows = 20_000

	// maxValueBytes bounds one value: page sizes are 31 bits in Parquet, and a page holds at least one value.
	maxValueBytes = 1 << 30

	minPageBytes = 4 << 10
	maxPageBytes = 64 << 20
	maxRowGroup  = 1 << 30
)

// Default is the configuration to start from. Bytes in a store are paid for as long as they lie there, CPU once; but
// Normal takes two to three times the time of Fastest for files that are 25 % larger (82-byte events) to 2 % smaller
// (JSON of 1 KiB), Better five times and more for 19 % larger to 4 % smaller ones. Snappy would take half the time and
// make files twice as large. Pages of 256 KiB to 4 MiB make neither size nor speed differ by more than 2 %.
func Default() Config {
	return Config{Level: Fastest, RowGroupBytes: 64 << 20, PageBytes: 1 << 20}
}

// Validate joins all violations.
func (c Config) Validate() error {
	var all []error
	if c.Level < Fastest || c.Level > Best {
		all = append(all, fmt.Errorf("level %d: want %d to %d", c.Level, Fastest, Best))
	}
	if c.PageBytes < minPageBytes || c.PageBytes > maxPageBytes {
		all = append(all, fmt.Errorf("page of %d bytes: want %d to %d", c.PageBytes, minPageBytes, maxPageBytes))
	}
	if c.RowGroupBytes < c.PageBytes || c.RowGroupBytes > maxRowGroup {
		all = append(all, fmt.Errorf("row group of %d bytes: want %d (a page) to %d", c.RowGroupBytes, c.PageBytes, maxRowGroup))
	}
	return errors.Join(all...)
}
