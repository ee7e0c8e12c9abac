package commitlib

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/manifest"
	"firn/commitlib/objstore"
	"firn/commitlib/safeguard"
)

// parent is one loaded state of a table together with what a commit derives from it, each part once. One commit owns it
// at a time. A successful swap carries it forward instead of reading anything again.
type parent struct {
	table *catalog.Table
	asOf  time.Time // when the load, or the swap, that produced it began
	fresh bool      // that was after the running Commit was called, so after its messages arrived

	// loaded: it is fresh, and rests on nothing that was known before. A refreshed state need not: package objectstore
	// cannot tell a table that was removed and made anew from one that did not change.
	loaded bool

	// stop says why the table takes no commits at all; the fields below are valid only where it is nil.
	stop    error
	marks   *Watermarks
	root    int64    // the first snapshot of main's history, as lineage has it
	spilled *spilled // content of marks.Spilled, read when first needed

	list *manifest.List // of main's head, read when first needed; nil until then

	wary int // how many more commits begin with a refresh because a rival was met (waryCommits)

	plain int // how many more commits leave housekeeping (plainCommits)

	size  int64  // of the cache: estimate when it was put
	putAt uint64 // of the cache
}

// waryCommits is how many commits of a cached parent begin with a refresh after the last time that another committer's
// commit was found. An unneeded refresh costs one read; a parent that was not current costs a manifest list and a swap in
// vain, which is two writes at twelve times the price of a read, and a wait. Four instances of a function that take turns
// at a table find a rival's commit three times in four; a committer that is alone never refreshes.
const waryCommits = 8

// Why else a table takes no commits from this committer.
var (
	errFormat    = errors.New("table's format version is not one that Firn writes")
	errElsewhere = errors.New("table lies outside the committer's store")
)

// inspect derives a parent from a loaded table; before, if not nil, is an earlier state of the
// same table, whose immutable parts are used again. Its error is the store's and worth another
// try: what is wrong with the table is in stop.
func (c *Committer) inspect(ctx context.Context, t *catalog.Table, before *parent, asOf time.Time) (*parent, error) {
	p := &parent{table: t, asOf: asOf, fresh: true}
	stop := func(err error) (*parent, error) {
		p.stop = err
		return p, nil
	}
	m := t.Metadata
	if _, ok := objstore.Key(c.store, t.Location+"/metadata"); !ok {
		return stop(fmt.Errorf("%w: it lies at %q, the store is %q", errElsewhere, t.Location, c.store.Root()))
	}
	if m.FormatVersion != iceberg.FormatVersion {
		return stop(fmt.Errorf("%w: it is %d, want %d", errFormat, m.FormatVersion, iceberg.FormatVersion))
	}
	var err error
	if p.marks, err = ParseWatermarks(m.Properties); err != nil {
		return stop(err)
	}
	found, err := readTraces(m)
	if err != nil {
		return stop(err)
	}
	line := readLineage(m)
	p.root = line.root
	if err := p.marks.checkLineage(line); err != nil {
		return stop(err)
	}
	if before != nil && before.stop == nil {
		if before.spilled != nil && p.marks.Spilled != nil && *before.marks.Spilled == *p.marks.Spilled {
			p.spilled = before.spilled
		}
		if now, was := m.CurrentSnapshot(), before.table.Metadata.CurrentSnapshot(); now != nil && was != nil && now.ManifestList == was.ManifestList {
			p.list = before.list
		}
	}
	if err := c.checkTraces(ctx, p, found); err != nil {
		if errors.Is(err, ErrBelowTrace) || errors.Is(err, ErrWatermarksLost) {
			return stop(err)
		}
		return nil, err
	}
	return p, nil
}

// checkTraces compares every log that a retained summary names with its watermark. One that is below was set back,
// and if one was, none of them can be trusted: the others' summaries may have expired.
func (c *Committer) checkTraces(ctx context.Context, p *parent, found traces) error {
	var below *uuid.UUID // the least, so that a seeded run repeats
	inFile := false
	visit := func(log uuid.UUID, last, trace Seq) {
		if last < trace && (below == nil || bytes.Compare(log[:], below[:]) < 0) {
			below = &log
		}
	}
	for log, trace := range found {
		if p.marks.needsSpilled(log) {
			inFile = true
		} else {
			visit(log, p.marks.Logs[log].Last, trace)
		}
	}
	if inFile && !safeguard.Off(safeguard.SpilledLookup) {
		if err := c.readSpill(ctx, p); err != nil {
			return err
		}
		for log, trace := range found {
			if p.marks.needsSpilled(log) {
				visit(log, p.spilled.Logs[log].Last, trace)
			}
		}
	}
	if below == nil {
		return nil
	}
	last, err := c.watermark(ctx, p, *below)
	if err != nil {
		return err
	}
	return belowTrace(*below, last, found[*below])
}

// watermark returns a log's committed watermark in p, from the spilled file if it is there. ErrWatermarksLost
// where that file cannot be trusted; any other error is the store's.
func (c *Committer) watermark(ctx context.Context, p *parent, log uuid.UUID) (Seq, error) {
	if !p.marks.needsSpilled(log) || safeguard.Off(safeguard.SpilledLookup) {
		return p.marks.Logs[log].Last, nil
	}
	if err := c.readSpill(ctx, p); err != nil {
		return 0, err
	}
	return p.spilled.Logs[log].Last, nil
}

// readSpill sees to it that p.spilled is there, if the table names a file.
func (c *Committer) readSpill(ctx context.Context, p *parent) (err error) {
	if p.spilled == nil && p.marks.Spilled != nil {
		p.spilled, err = readSpilled(ctx, c.store, p.table, p.marks.Spilled)
	}
	return err
}

// manifests returns the head's manifest list. errUnwritable where it is gone or damaged: of a cached parent it may have
// been expired, and the next state's is there; else it stays so.
func (c *Committer) manifests(ctx context.Context, p *parent) (*manifest.List, error) {
	if p.list != nil {
		return p.list, nil
	}
	head := p.table.Metadata.CurrentSnapshot()
	if head == nil {
		p.list = new(manifest.List)
		return p.list, nil
	}
	key, ok := objstore.Key(c.store, head.ManifestList)
	if !ok {
		return nil, fmt.Errorf("%w: manifest list %q lies outside the store %q", errUnwritable, head.ManifestList, c.store.Root())
	}
	data, _, err := c.store.Get(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return nil, fmt.Errorf("%w: read manifest list: %w", errUnwritable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("read manifest list: %w", err)
	}
	if p.list, err = manifest.OpenList(data); err != nil {
		return nil, fmt.Errorf("%w: manifest list %q: %w", errUnwritable, head.ManifestList, err)
	}
	return p.list, nil
}

// heapBytes estimates what p holds: the parts that grow, at what they took when measured.
func (p *parent) heapBytes() int64 {
	const (
		base         = 8 << 10
		perSnapshot  = 2 << 10 // its struct, summary and text: 1.6 kB as read, a little more as made here
		perWatermark = 64
	)
	n := int64(base) + perSnapshot*int64(len(p.table.Metadata.Snapshots))
	if p.list != nil {
		n += p.list.HeapBytes()
	}
	if p.marks != nil {
		n += perWatermark * int64(len(p.marks.Logs))
	}
	if p.spilled != nil {
		n += perWatermark * int64(len(p.spilled.Logs))
	}
	return n
}
