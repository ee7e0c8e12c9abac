package maintain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
)

// Config is what a Sweeper may be told. The zero value of each field means its default.
type Config struct {
	// Grace is how long an object must have been known to be unreferenced; never less than commitlib.Grace, the
	// default.
	Grace time.Duration

	// Retention is how long package objectstore keeps old metadata; the same as its Config.Retention. Default its
	// DefaultRetention.
	Retention time.Duration

	// MaxFiles, MaxBytes and MaxTime bound what one sweep of a table removes and how long it takes. Beyond them it
	// ends, and the next goes on. Defaults 100,000 objects, 1 TiB and 15 minutes.
	MaxFiles int64
	MaxBytes int64
	MaxTime  time.Duration

	Clock func() time.Time // default time.Now without its monotonic reading
	Log   *slog.Logger     // default discards
}

func (c Config) withDefaults() Config {
	c.Grace = max(c.Grace, commitlib.Grace)
	c.Retention = cmp.Or(c.Retention, objectstore.DefaultRetention)
	c.MaxFiles = cmp.Or(c.MaxFiles, 100_000)
	c.MaxBytes = cmp.Or(c.MaxBytes, 1<<40)
	c.MaxTime = cmp.Or(c.MaxTime, 15*time.Minute)
	if c.Clock == nil {
		c.Clock = func() time.Time { return time.Now().Round(0) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

const (
	// maxCandidates bounds what is held of objects that may go: about 300 bytes for each. What is beyond is found by the
	// next sweep, which comes at once then.
	maxCandidates = 100_000

	// maxSightings bounds what is held, and remembered, of objects that are to be looked at again: 24 bytes for each, and
	// 16 of an earlier look. It is what four files a second leave behind while staged ones wait. What is beyond gets its
	// first look when some of these are gone.
	maxSightings = 400_000

	// muchDue is how many objects are so many that there may be more: the whole folder is listed again at once.
	muchDue = 10_000

	// deleteBatch is how many objects one call removes: a tenth of what S3 takes in a request, so that the bounds on a
	// sweep hold closely.
	deleteBatch = 100

	// leastShare is the number of data files below which their share of the table stops no sweep: the first compaction
	// of a small table takes most of its files out.
	leastShare = 1000

	// Another listing of the whole folder comes after wholeEvery for each wholeObjects in it, at most after
	// wholeLongest: a list request shows a thousand objects, and a manifest's reading costs in proportion.
	wholeEvery   = time.Hour
	wholeObjects = 10_000
	wholeLongest = 24 * time.Hour
)

// Options are about one sweep.
type Options struct {
	DryRun bool
	Scope  Scope
	Force  bool // go on although most of the table's data files would go, or another table's files lie in the folder
}

// Sweeper removes what tables no longer need. It is safe for concurrent use, also by any number of processes.
//
//  1. Load the table, and read its watermarks. A table that takes no commits is left alone: what is wrong with it may be
//     that its metadata is not the one that it should be.
//  2. Walk the metadata: every manifest list of every snapshot, and for the whole folder every manifest. The keys of all
//     that is live are held as hashes.
//  3. List. What is not live is a candidate. Something live that the listing does not show ends the sweep: either it is
//     lost, or metadata names objects in a way that is not understood here, and both are for people. So is another
//     table's metadata: one that was dropped, or renamed, has its files in the folder.
//  4. Load once more, from nothing, and walk what is new: what came to be referenced meanwhile is no candidate. On a REST
//     service this is what shows new tags.
//  5. Judge each candidate by the rule for its kind. Nearly every rule asks that an earlier sweep, a grace period ago,
//     found the very object condemned: unreferenced, and beyond being referenced again.
//  6. Write down what is condemned, on condition that no other sweep did so meanwhile. The store's answer also tells the
//     time by its clock.
//  7. Remove what may go.
//
// A crash after any step costs nothing but the work: what is removed stays removed, what is not is found again.
type Sweeper struct {
	catalog catalog.Catalog
	store   objstore.Store
	cfg     Config

	maxCandidates, maxSightings int
}

// NewSweeper returns a sweeper of tables of one catalog whose objects lie in one store.
func NewSweeper(cat catalog.Catalog, store objstore.Store, cfg Config) *Sweeper {
	return &Sweeper{catalog: cat, store: store, cfg: cfg.withDefaults(), maxCandidates: maxCandidates, maxSightings: maxSightings}
}

// ErrDamaged is why a sweep ends where the table's metadata cannot be followed: an object that it needs is missing, or
// is not what it should be. Check lists what.
var ErrDamaged = errors.New("table needs objects that are missing or damaged")

// Sweep sweeps one table. The report is never nil, and says all that was done also where the error is not.
func (s *Sweeper) Sweep(ctx context.Context, id catalog.Ident, opts Options) (*Report, error) {
	began := s.cfg.Clock()
	r := &sweep{Sweeper: s, id: id, opts: opts, began: began, report: newReport(id.String(), opts.DryRun, began)}
	bounded, cancel := context.WithTimeout(ctx, s.cfg.MaxTime)
	defer cancel()
	err := r.run(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		err = fmt.Errorf("not done within %v; nothing was removed that must not be, and the next sweep begins anew: %w", s.cfg.MaxTime, err)
	}
	if errors.Is(err, errUnreadable) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if errors.Is(err, errRival) {
		r.report.Stopped, err = err.Error(), nil
	}
	if err != nil {
		err = fmt.Errorf("sweep %s: %w", id, err)
		r.report.Error = err.Error()
	}
	r.report.TookMs = s.cfg.Clock().Sub(began).Milliseconds()
	return r.report, err
}
