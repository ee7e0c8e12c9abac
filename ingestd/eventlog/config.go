package eventlog

import (
	"errors"
	"fmt"
	"time"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// Config is what a Log is opened with. Default fills in everything but Schema.
type Config struct {
	// Schema names the columns that blocks are decoded into (event.Schema); a stored column that it lacks is left
	// out, one that a block lacks is null.
	Schema *iceberg.Schema

	// MaxBytes bounds the disk that blocks take: live ones and what lies between them. When
	// it is reached, appends get ErrFull.
	MaxBytes int64
	// MaxTableBytes bounds one table's live blocks, over all logs: its share, so that a stuck table leaves room for the
	// others. When it is reached, that table's appends get ErrTableFull.
	MaxTableBytes int64
	// MaxGroupBytes bounds one group commit, and with it the write batch and the memory that the writer holds. A single
	// append may exceed it, alone in its group.
	MaxGroupBytes int
	// TailBytes bounds the recent blocks kept in memory, over all tables, so that cutting does
	// not read back what was just written.
	TailBytes int64

	// DedupWindow is how long an idempotency key is remembered, at least.
	DedupWindow time.Duration
	// DedupBytes bounds the remembered keys on the disk. When it is reached, appends with new keys get ErrDedupFull.
	DedupBytes int64

	// FreeSpace reads the free bytes of the data volume; nil takes it to be endless.
	FreeSpace func() (int64, error)
	// ReserveBytes is the free space below which appends get ErrDiskFull, while reading, cutting and trimming go on.
	ReserveBytes int64
	// BallastPath names a file of BallastBytes that is held while there is room, and given up below the reserve, so
	// that draining has room even where another program fills the volume. Empty: none.
	BallastPath  string
	BallastBytes int64

	zoneBytes int64 // of space, for tests; 0: by MaxBytes

	// Clock tells the time; for log ids, ingest times of idempotency keys, and hot retention.
	Clock func() time.Time
	// Phase, if not nil, is told when the synced write of a group ("append") and trimming ("trim") begin and end.
	Phase func(name string, enter bool)
}

// The defaults; the reference host has 2 vCPU, 1 GB of memory and a volume of 20 GB.
const (
	DefaultMaxBytes     = 8 << 30  // bytes; about 40 minutes of 20 MB/s uncompressed at 6:1
	DefaultGroupBytes   = 4 << 20  // bytes; a sync costs as much as writing about 1 MiB
	DefaultTailBytes    = 32 << 20 // bytes, compressed
	DefaultDedupWindow  = 24 * time.Hour
	DefaultDedupBytes   = 2 << 30   // bytes; about 13 million keys of 36 bytes
	DefaultReserveBytes = 512 << 20 // bytes; RocksDB's write-ahead log and write buffers together, twice
	DefaultBallastBytes = 128 << 20 // bytes; a few segments' cuts, watermarks and the files that compaction writes
)

// Default is the configuration for the reference host.
func Default() Config {
	return Config{
		MaxBytes: DefaultMaxBytes, MaxTableBytes: DefaultMaxBytes / 2, MaxGroupBytes: DefaultGroupBytes, TailBytes: DefaultTailBytes,
		DedupWindow: DefaultDedupWindow, DedupBytes: DefaultDedupBytes,
		ReserveBytes: DefaultReserveBytes, BallastBytes: DefaultBallastBytes,
		Clock: time.Now,
	}
}

// Validate joins everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if c.Schema == nil {
		need(false, "event log: the schema of events is missing")
	} else if _, err := column.New(c.Schema); err != nil {
		need(false, "event log: the schema of events: %w", err)
	}
	need(c.Clock != nil, "event log: a clock is missing")
	need(c.MaxBytes >= 4*minZoneBytes || c.zoneBytes > 0, "event log: the disk bound of %d bytes is below %d", c.MaxBytes, int64(4*minZoneBytes))
	need(c.MaxTableBytes > 0 && c.MaxTableBytes <= c.MaxBytes, "event log: a table's share of %d bytes is not between 1 and the disk bound of %d",
		c.MaxTableBytes, c.MaxBytes)
	need(c.MaxGroupBytes > 0, "event log: a group commit of %d bytes is not above 0", c.MaxGroupBytes)
	need(c.TailBytes >= 0, "event log: a tail of %d bytes is below 0", c.TailBytes)
	need(c.DedupWindow >= 0, "event log: a window of %v for idempotency keys is below 0", c.DedupWindow)
	need(c.DedupBytes >= 0, "event log: a budget of %d bytes for idempotency keys is below 0", c.DedupBytes)
	need(c.ReserveBytes >= 0 && c.BallastBytes >= 0, "event log: the free-space reserve of %d bytes or the ballast of %d is below 0", c.ReserveBytes, c.BallastBytes)
	return errors.Join(errs...)
}
