package ship

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/datafile"
	"firn/commitlib/objstore"
	"firn/ingestd/commitq"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
)

// Deps are the parts that a Shipper works with; all are required.
type Deps struct {
	Log      *eventlog.Log
	Registry *registry.Registry
	Catalog  catalog.Catalog
	Store    objstore.Store
	Queue    commitq.Queue
}

// Config bounds a Shipper. Start from DefaultConfig.
type Config struct {
	// MaxSegmentBytes is how many raw bytes of events make a segment. Memory for shipping is at most about
	// EncodeWorkers × (4 × MaxSegmentBytes + 4 kB × data files) + SmallStagers × 4 MiB: the columns, which grow by doubling, the files
	// on their way, and their statistics.
	MaxSegmentBytes int64
	MaxFiles        int // data files of a segment; one with more partitions is cut smaller, as a queue's largest message demands
	EncodeWorkers   int // segments of that size in memory at once, over all tables, and segments being encoded at once
	SmallStagers    int // segments of at most 1 MiB in memory besides, for a store that takes its time with each file; 0: none
	Uploads         int // files of one segment on their way to the store at once
	Turns           int // tracks served at once; those that do not encode wait for the store or the catalog

	// Window bounds the segments of a track that are cut and not committed, and with them the requests in flight.
	Window int

	// ResendAfter is how long the watermark may stand still before the first request in flight is sent again; the wait
	// doubles from there to ResendMax.
	ResendAfter time.Duration
	ResendMax   time.Duration

	// The watermark is read back when the queue reports a commit, and every PollMin growing to
	// PollMax while requests are in flight.
	PollMin time.Duration
	PollMax time.Duration

	// After an error of the store, the catalog or the queue a track waits RetryMin, doubling to RetryMax.
	RetryMin time.Duration
	RetryMax time.Duration

	// CallTimeout bounds each call to the store, the catalog and the queue.
	CallTimeout time.Duration

	// VerifyAfter is the age from which a staged segment is verified before it is requested: the committer drops what
	// was staged more than commitlib.MaxStagedAge ago. One from before a stop is verified at any age.
	VerifyAfter time.Duration

	// RecheckStopped is how often the reason of a stop is looked at again.
	RecheckStopped time.Duration

	// TrimEvery is the least time between two trims of the log while commits go on, and TrimIdle while only hot
	// retention and the window of idempotency keys pass.
	TrimEvery time.Duration
	TrimIdle  time.Duration

	// TableCacheBytes bounds the table metadata kept loaded, by estimate; a table that is not kept
	// is loaded whole for each read-back.
	TableCacheBytes int64

	Encoder datafile.Config
	Phase   func(name string, enter bool) // told around "cut", "encode", "upload", "request", "read-back"; nil: nobody
	Logger  *slog.Logger
	Seed    uint64 // fixes the jitter; 0 draws one
}

// scanEvery is the least time between two looks at all tracks of the log: a log of 1,000 busy tables is looked at 20
// times a second, not at each group commit. It delays a cut by age or size by as much.
const scanEvery = 50 * time.Millisecond

// DefaultConfig returns the bounds for the reference host, 2 vCPU and 1 GB.
func DefaultConfig() Config {
	return Config{
		MaxSegmentBytes: 32 << 20,
		MaxFiles:        commitlib.MaxRequestFiles,
		EncodeWorkers:   1, // one core encodes 100 to 200 MB/s; the other takes events in
		Uploads:         4,
		Turns:           8,
		Window:          8,
		ResendAfter:     30 * time.Second,
		ResendMax:       5 * time.Minute, // the time for which a FIFO queue service drops an id that it has seen
		PollMin:         500 * time.Millisecond,
		PollMax:         10 * time.Second,
		RetryMin:        200 * time.Millisecond,
		RetryMax:        30 * time.Second,
		CallTimeout:     time.Minute,
		VerifyAfter:     commitlib.MaxStagedAge / 2,
		RecheckStopped:  5 * time.Minute,
		TrimEvery:       time.Second,
		TrimIdle:        30 * time.Second,
		TableCacheBytes: 16 << 20,
		Encoder:         datafile.Default(),
		Logger:          slog.Default(),
	}
}

// OnNetwork is DefaultConfig for a store on the network, where a file costs tens of milliseconds and no CPU: more of them
// are on their way at once.
func OnNetwork() Config {
	c := DefaultConfig()
	c.Uploads = 16     // at 30 ms each some 500 files a second of a segment with many partitions; connections cost 64 KiB each
	c.SmallStagers = 8 // at 50 ms each 160 segments a second, in 32 MiB
	c.Turns = 24       // those of the stagers, and as many more that look at tables or send
	return c
}

// Validate joins all that is wrong.
func (c *Config) Validate() error {
	var errs []error
	positive := func(name string, v int64) {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("%s is %d: want at least 1", name, v))
		}
	}
	positive("MaxSegmentBytes", c.MaxSegmentBytes)
	positive("MaxFiles", int64(c.MaxFiles))
	positive("EncodeWorkers", int64(c.EncodeWorkers))
	positive("Uploads", int64(c.Uploads))
	positive("Turns", int64(c.Turns))
	positive("Window", int64(c.Window))
	if c.SmallStagers < 0 {
		errs = append(errs, fmt.Errorf("SmallStagers is %d: want 0 or more", c.SmallStagers))
	}
	positive("PollMin", int64(c.PollMin))
	positive("RetryMin", int64(c.RetryMin))
	positive("ResendAfter", int64(c.ResendAfter))
	positive("CallTimeout", int64(c.CallTimeout))
	positive("RecheckStopped", int64(c.RecheckStopped))
	positive("TrimEvery", int64(c.TrimEvery))
	positive("TrimIdle", int64(c.TrimIdle))
	positive("TableCacheBytes", c.TableCacheBytes)
	if c.ResendMax < c.ResendAfter || c.PollMax < c.PollMin || c.RetryMax < c.RetryMin {
		errs = append(errs, errors.New("a maximum (ResendMax, PollMax, RetryMax) is below its minimum"))
	}
	if c.VerifyAfter <= 0 || c.VerifyAfter > commitlib.MaxStagedAge-time.Hour {
		errs = append(errs, fmt.Errorf("VerifyAfter is %s: want up to an hour less than %s, after which requests are dropped", c.VerifyAfter, commitlib.MaxStagedAge))
	}
	if c.MaxFiles > commitlib.MaxRequestFiles {
		errs = append(errs, fmt.Errorf("MaxFiles is %d: a commit request takes at most %d", c.MaxFiles, commitlib.MaxRequestFiles))
	}
	if c.Logger == nil {
		errs = append(errs, errors.New("a logger is missing"))
	}
	errs = append(errs, c.Encoder.Validate())
	return errors.Join(errs...)
}
