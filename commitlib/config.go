package commitlib

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// MaxParentAge is how long a committer plans on a cached parent before it loads anew. Whoever deletes old table
// metadata must keep every version that was current within this time and the longest invocation: a deleted version's
// name could be created again by a committer that still believes in its parent.
const MaxParentAge = 10 * time.Minute

// Config is what a Committer may be told. The zero value of each field means its default.
type Config struct {
	// MaxAttempts bounds the attempts (swaps, or writes that failed before one) of one Commit; then
	// what is left is Undecided and its messages come again. Default 10: with full jitter up to
	// BackoffMax, a minute beside steady rivals.
	MaxAttempts int

	// BackoffMin and BackoffMax bound the wait before an attempt: a random part of BackoffMin doubled for each
	// failed attempt, at most BackoffMax. Defaults 50 ms (a round trip to S3) and 5 s.
	BackoffMin, BackoffMax time.Duration

	// Reserve is how much of Handle's context it leaves unused, to return message ids before the caller is
	// killed. Default 1 s.
	Reserve time.Duration

	// Parallel bounds the store calls that one attempt has under way, and the tables that one Handle
	// commits to at a time. Default 4. With 1 a committer's calls come one after another in a fixed
	// order, as a replayed simulation needs.
	Parallel int

	// MaxParents and MaxParentBytes (an estimate of the heap they hold) bound the cached
	// parents. Defaults 256 and 32 MiB.
	MaxParents     int
	MaxParentBytes int64

	// SpillBeyond is how many logs the watermark property lists before the longest quiet move to a file, and
	// SpillQuiet how long a log is quiet before it moves. Defaults 64 (5 kB in each metadata file) and 24 h.
	SpillBeyond int
	SpillQuiet  time.Duration

	// KeepSnapshots is how many of main's newest snapshots stay whatever their age, unless the table sets an age: what a
	// simulation makes less of to see snapshots go. Default 128.
	KeepSnapshots int

	// MergeManifests is how many manifests of about one size become one: what a simulation makes less of to see them
	// merged. Default 10.
	MergeManifests int

	Clock func() time.Time                                 // default time.Now without its monotonic reading, which stands still while a machine sleeps
	Sleep func(ctx context.Context, d time.Duration) error // returns ctx.Err() if that comes first; default a timer
	Rand  func() uint64                                    // snapshot ids, object names, jitter; default math/rand/v2, seeded by the system
	Log   *slog.Logger                                     // default discards

	// Phase is told when the named phase begins and ends; the one here is "swap". May be nil.
	Phase func(name string, enter bool)

	// Committed is told of each snapshot that became current, in the goroutine that committed it; it must not block.
	// May be nil.
	Committed func(Committed)

	// DeadLetter takes a message that can never succeed; an error returns the message to its queue. Nil: such a
	// message is logged, counted and acknowledged.
	DeadLetter func(ctx context.Context, m Message, reason string) error
}

// DefaultConfig returns the defaults that Config's fields state.
func DefaultConfig() Config { return Config{}.withDefaults() }

func (c Config) withDefaults() Config {
	set(&c.MaxAttempts, 10)
	set(&c.BackoffMin, 50*time.Millisecond)
	set(&c.BackoffMax, 5*time.Second)
	set(&c.Reserve, time.Second)
	set(&c.Parallel, 4)
	set(&c.MaxParents, 256)
	set(&c.MaxParentBytes, 32<<20)
	set(&c.SpillBeyond, 64)
	set(&c.SpillQuiet, 24*time.Hour)
	set(&c.KeepSnapshots, keepNewest)
	set(&c.MergeManifests, mergeAt)
	c.MergeManifests = max(c.MergeManifests, 2) // with less a merge would never end
	if c.Clock == nil {
		c.Clock = func() time.Time { return time.Now().Round(0) }
	}
	if c.Sleep == nil {
		c.Sleep = sleep
	}
	if c.Rand == nil {
		c.Rand = rand.Uint64
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Phase == nil {
		c.Phase = func(string, bool) {}
	}
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate joins every violation.
func (c Config) Validate() error {
	var errs []error
	if c.MergeManifests < 0 || c.MergeManifests == 1 {
		errs = append(errs, fmt.Errorf("MergeManifests is %d, want at least 2", c.MergeManifests))
	}
	c = c.withDefaults()
	positive := func(name string, v int64) {
		if v < 1 {
			errs = append(errs, fmt.Errorf("%s is %d, want at least 1", name, v))
		}
	}
	positive("MaxAttempts", int64(c.MaxAttempts))
	positive("BackoffMin", int64(c.BackoffMin))
	positive("Reserve", int64(c.Reserve))
	positive("Parallel", int64(c.Parallel))
	positive("MaxParents", int64(c.MaxParents))
	positive("MaxParentBytes", c.MaxParentBytes)
	positive("SpillBeyond", int64(c.SpillBeyond))
	positive("SpillQuiet", int64(c.SpillQuiet))
	positive("KeepSnapshots", int64(c.KeepSnapshots))
	if c.BackoffMax < c.BackoffMin {
		errs = append(errs, fmt.Errorf("BackoffMax %s is less than BackoffMin %s", c.BackoffMax, c.BackoffMin))
	}
	return errors.Join(errs...)
}

// backoff is the wait before attempt n+1: full jitter, so that rivals who collided do not meet again.
func (c *Config) backoff(n int) time.Duration {
	limit := min(c.BackoffMin<<min(n, 20), c.BackoffMax)
	return time.Duration(c.Rand() % uint64(limit))
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
