package compact

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/datafile"
	"firn/commitlib/objstore"
)

// Deps are what a Compactor works with.
type Deps struct {
	Catalog   catalog.Catalog
	Store     objstore.Store
	Committer *commitlib.Committer // over the two above; sharing it with appends spares both a reload
}

// Config bounds a Compactor. Start from Default.
type Config struct {
	// MemoryBytes bounds the decoded rows in memory. Planning holds some 500 bytes for each file of its jobs besides, the
	// encoder a row group's pages (a quarter of this at most), and a store's writer its parts.
	MemoryBytes int64

	// MaxBytes and MaxTime bound a run: no job is begun that would go beyond the one, or after the other. A job reads at
	// most a target size, and ends within the time that an attempt may name its output (commitlib.MaxReuse).
	MaxBytes int64
	MaxTime  time.Duration

	// Keep is how old a table's events may become before they leave it, as package retain has them; 0: they stay. What
	// is joined leaves together. Nil: none is known.
	Keep func(catalog.Ident) time.Duration

	// Pause is called between steps of some tens of milliseconds; it returns when work may go on. An error ends the run.
	Pause func(ctx context.Context) error

	Encoder datafile.Config // its row groups are made smaller where MemoryBytes demands it
	Clock   func() time.Time
	Rand    func() uint64 // names
	Log     *slog.Logger
}

// DefaultTarget is the size that compaction aims at where nothing else is said: Iceberg's default.
const DefaultTarget = 512 << 20

const (
	// minMemory is what a merge of two files of one row group takes, and the row group that comes of it.
	minMemory = 32 << 20

	// maxPlanned bounds the files of one run's jobs, and with them planning's memory: 10 MB.
	maxPlanned = 20_000
)

// Default is for a host of 1 GB that does other things besides.
func Default() Config {
	return Config{
		MemoryBytes: 128 << 20,
		MaxBytes:    8 << 30, // some minutes of work at 80 MB/s
		MaxTime:     10 * time.Minute,
		Pause:       func(ctx context.Context) error { return ctx.Err() },
		Encoder:     datafile.Default(),
		Clock:       func() time.Time { return time.Now().Round(0) },
		Rand:        rand.Uint64,
		Log:         slog.New(slog.DiscardHandler),
	}
}

// Validate joins all violations.
func (c Config) Validate() error {
	var errs []error
	if c.MemoryBytes < minMemory {
		errs = append(errs, fmt.Errorf("MemoryBytes is %d: want at least %d", c.MemoryBytes, minMemory))
	}
	if c.MaxBytes < 1 || c.MaxTime <= 0 {
		errs = append(errs, fmt.Errorf("MaxBytes is %d and MaxTime %s: want more than 0", c.MaxBytes, c.MaxTime))
	}
	if c.Pause == nil || c.Clock == nil || c.Rand == nil || c.Log == nil {
		errs = append(errs, errors.New("one of Pause, Clock, Rand and Log is missing: start from Default"))
	}
	return errors.Join(append(errs, c.Encoder.Validate())...)
}

// encoder is the configuration of the output's encoder: a row group is a quarter of the memory at most, since while it is
// gathered its columns may hold twice what they use.
func (c *Config) encoder() datafile.Config {
	e := c.Encoder
	e.RowGroupBytes = int(min(int64(e.RowGroupBytes), c.MemoryBytes/4))
	return e
}
