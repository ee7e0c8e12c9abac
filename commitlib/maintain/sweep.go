package maintain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

// sweep is one Sweep under way; one goroutine owns it. Its steps are those in Sweeper's comment.
type sweep struct {
	*Sweeper
	id     catalog.Ident
	opts   Options
	began  time.Time
	report *Report

	root       string // the table's folder, with a slash
	whole      bool
	table      *catalog.Table // as loaded last
	looks      *looks
	live       liveSet
	walker     *walker
	rules      rules // by the table as loaded last
	candidates []candidate
	sightings  struct{ metadata, data []sighting }
	overdue    bool // there was more that may go than is held
	crowded    bool // there was more to look at again than is held
	leftovers  bool // something under data or metadata may be in danger
	data       Tally
	metadata   ends // metadata files that nothing references
	decided    bool // another table's files are not needed
	versions   versions
	watermarks time.Time // when the file of spilled watermarks was written
}

func (s *sweep) run(ctx context.Context) error {
	marks, err := s.load(ctx) // 1
	if err != nil || s.report.Stopped != "" {
		return err
	}
	if err := s.walk(ctx, marks); err != nil { // 2
		return err
	}
	if err := s.list(ctx, marks); err != nil { // 3
		return err
	}
	if err := s.others(ctx); err != nil || s.report.Stopped != "" {
		return err
	}
	if marks, err = s.reload(ctx); err != nil || s.report.Stopped != "" { // 4
		return err
	}
	due, err := s.judge(ctx, marks) // 5
	if err != nil || s.report.Stopped != "" {
		return err
	}
	if !s.opts.DryRun {
		if err := s.remember(ctx, due); err != nil { // 6
			return err
		}
	}
	return s.remove(ctx, due) // 7
}

// load reads the table, and stops the sweep where the table is not one to sweep.
func (s *sweep) load(ctx context.Context) (*commitlib.Marks, error) {
	t, err := s.catalog.Load(ctx, s.id)
	if err != nil {
		return nil, err
	}
	if s.table != nil && t.Metadata.TableUUID != s.table.Metadata.TableUUID {
		return nil, s.stop("the table was made anew meanwhile")
	}
	s.table = t
	s.report.Snapshots = len(t.Metadata.Snapshots)
	if why := exempt(t.Metadata.Properties); why != "" {
		return nil, s.stop(why)
	}
	key, ok := keyOf(s.store, t.Location)
	if !ok || key == "" {
		return nil, s.stop(fmt.Sprintf("it lies at %s, outside the store %s", t.Location, s.store.Root()))
	}
	s.root = strings.TrimRight(key, "/") + "/"
	marks, err := commitlib.ReadMarks(ctx, s.store, t)
	switch {
	case err == nil, ctx.Err() != nil:
		return marks, err
	case errors.Is(err, commitlib.ErrNoCommits):
		return nil, s.stop(err.Error())
	}
	return nil, err
}

func (s *sweep) stop(why string) error {
	s.report.Stopped = why
	return nil
}

// exempt says why the table's properties keep maintenance away; empty if they do not.
func exempt(properties map[string]string) string {
	if !commitlib.MayCollect(properties) {
		return "its property gc.enabled is not true"
	}
	for key := range properties {
		if strings.HasPrefix(key, "nessie.") {
			return "Nessie keeps it: other branches of the catalog may need what this one does not name; use nessie-gc"
		}
	}
	return ""
}

// walk fills the set of what is live.
func (s *sweep) walk(ctx context.Context, marks *commitlib.Marks) (err error) {
	if s.looks, err = readLooks(ctx, s.store, s.root+looksName, s.table.Metadata.TableUUID); err != nil {
		return err
	}
	s.whole = s.opts.Scope == Whole || s.opts.Scope == Due && !s.began.Before(s.looks.wholeNext) || s.looks.other != uuid.Nil
	s.report.Scope = Metadata
	if s.whole {
		s.report.Scope = Whole
	}
	s.walker = newWalker(s.store, s.whole, func(n need) {
		if s.lists(n.key) {
			s.live.add(n.key, n.lenient)
		}
	})
	if err := s.walker.table(ctx, s.table); err != nil {
		return err
	}
	if file := marks.File(); file != "" {
		s.walker.name(file, need{size: unknownSize, what: "spilled watermarks"})
	}
	s.live.seal()
	s.report.Live = len(s.live.hashes)
	return nil
}

// prefixes are what the sweep lists.
func (s *sweep) prefixes() []string {
	if s.whole {
		return []string{s.root}
	}
	return []string{s.root + stateFolder, s.root + metadataFolder}
}

// lists says that the listing shows the key, if there is such an object; what else is live is in no danger.
func (s *sweep) lists(key string) bool {
	for _, prefix := range s.prefixes() {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// missing names live objects that the listing did not show. Another engine may have expired snapshots and removed their
// files since the walk: the next sweep knows.
func (s *sweep) missing(ctx context.Context) error {
	var names []string
	again := newWalker(s.store, s.whole, func(n need) {
		if len(names) < 3 && !n.lenient && s.lists(n.key) && s.live.unseen(n.key) {
			names = append(names, n.what+" "+n.key)
		}
	})
	again.broken = func(need, error) error { return nil }
	if err := again.table(ctx, s.table); err != nil {
		return err
	}
	return fmt.Errorf("%w: %d in all, such as %s; restore them, or expire the snapshots that name them", ErrDamaged, s.live.missing, strings.Join(names, ", "))
}

// reload loads from nothing and takes out what is referenced by now.
func (s *sweep) reload(ctx context.Context) (*commitlib.Marks, error) {
	before := s.table
	marks, err := s.load(ctx)
	if err != nil || s.report.Stopped != "" || s.table.MetadataLocation == before.MetadataLocation && s.table.Token == before.Token {
		return marks, err
	}
	var fresh liveSet
	s.walker.visit = func(n need) { fresh.add(n.key, false) }
	if err := s.walker.table(ctx, s.table); err != nil {
		return nil, err
	}
	if file := marks.File(); file != "" {
		s.walker.name(file, need{size: unknownSize})
	}
	fresh.seal()
	rest := s.candidates[:0]
	for _, c := range s.candidates {
		if !fresh.has(c.Key) {
			rest = append(rest, c)
		}
	}
	s.candidates = rest
	for _, sightings := range []*[]sighting{&s.sightings.metadata, &s.sightings.data} {
		*sightings = slices.DeleteFunc(*sightings, func(x sighting) bool { return fresh.see(x.key) })
	}
	return marks, nil
}

// ruleBy sets the rules that the state as loaded last makes; those about versions and the watermarks file are complete
// after the listing.
func (s *sweep) ruleBy(ctx context.Context, marks *commitlib.Marks) error {
	fence, err := s.fence(ctx)
	if err != nil {
		return err
	}
	s.rules = rules{
		now: s.began, grace: s.cfg.Grace, retention: s.cfg.Retention,
		marks: marks, metadata: s.table.Metadata, fence: fence, service: ofService(s.table), keeper: catalog.KeepsMetadata(s.catalog),
		seen: func(c candidate) (time.Time, bool) { return s.known(c).at(c.mark) },
	}
	if !s.rules.service {
		s.rules.versions.current = readName(metadataFolder + s.table.MetadataLocation[strings.LastIndexByte(s.table.MetadataLocation, '/')+1:]).version
	}
	return nil
}

// judge returns what may be removed.
func (s *sweep) judge(ctx context.Context, marks *commitlib.Marks) (due []candidate, err error) {
	if err := s.ruleBy(ctx, marks); err != nil {
		return nil, err
	}
	r := &s.rules
	r.watermarks = s.watermarks
	r.versions.times, r.versions.order = s.versions.times, s.versions.order
	if !r.service {
		if r.versions.hint, err = readHint(ctx, s.store, s.root+metadataFolder+hintName); err != nil {
			return nil, err
		}
	}
	var data Tally
	for i := range s.candidates {
		c := s.candidates[i]
		wait := r.judge(c)
		s.candidates[i].condemned = wait == waitsLook || wait == "" && c.kind != claim && c.kind != version
		if wait != "" {
			tally(s.report.Waiting, wait, c.Size)
			continue
		}
		due = append(due, c)
		if s.inData(c) {
			data.add(c.Size)
		}
	}
	if data.Objects >= leastShare && 2*data.Objects > s.data.Objects && 2*data.Bytes > s.data.Bytes && !s.opts.Force {
		return nil, s.stop(fmt.Sprintf("%d of the %d objects under %s%s would go, and most of the bytes: see that the table is as it should be, and sweep by hand with force",
			data.Objects, s.data.Objects, s.root, dataFolder))
	}
	return due, nil
}

// fence is when the manifest list of main's head was written; zero where main is empty, or its list lies elsewhere.
func (s *sweep) fence(ctx context.Context) (time.Time, error) {
	head := s.table.Metadata.CurrentSnapshot()
	if head == nil {
		return time.Time{}, nil
	}
	key, ok := keyOf(s.store, head.ManifestList)
	if !ok {
		return time.Time{}, nil
	}
	info, err := s.store.Head(ctx, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return time.Time{}, fmt.Errorf("%w: manifest list %s", ErrDamaged, key)
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("read when main last moved: %w", err)
	}
	return info.Modified, nil
}

func (s *sweep) inData(c candidate) bool { return strings.HasPrefix(c.Key[len(s.root):], dataFolder) }

// known are the earlier looks at objects like c.
func (s *sweep) known(c candidate) lookSet {
	if s.inData(c) {
		return s.looks.data
	}
	return s.looks.metadata
}

// remember writes down what was found condemned, if that is news, or if something is to be removed: of two sweeps at
// once only one gets on from here.
func (s *sweep) remember(ctx context.Context, due []candidate) error {
	found, news := s.cfg.Clock().UnixMilli(), s.decided
	var metadata, data []look
	note := func(into *[]look, l look) {
		if l.atMs == 0 {
			l.atMs, news = found, true
		}
		*into = append(*into, l)
	}
	for _, x := range s.sightings.metadata {
		note(&metadata, x.look)
	}
	for _, x := range s.sightings.data {
		note(&data, x.look)
	}
	s.sightings.metadata, s.sightings.data = nil, nil
	for _, c := range s.candidates {
		switch {
		case !c.condemned:
		case s.inData(c):
			note(&data, s.looked(c))
		default:
			note(&metadata, s.looked(c))
		}
	}
	news = news || len(metadata) != len(s.looks.metadata) || s.whole && len(data) != len(s.looks.data)
	s.looks.metadata = sorted(metadata)
	if s.whole {
		s.looks.data = sorted(data)
		s.looks.wholeNext = s.began.Add(s.wholeAgain(due))
		news = true
	}
	if !news && len(due) == 0 {
		return nil
	}
	at, err := s.looks.write(ctx, s.store, s.root+looksName, s.cfg.Clock())
	if err != nil {
		return err
	}
	if now := s.cfg.Clock(); clockOff(now, at) {
		return fmt.Errorf("this clock says %s, the store's %s: set it right, since ages are told by both", now.UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
	}
	return nil
}

// wholeAgain is when the whole folder is to be listed again: at once where more is due than this sweep removes.
func (s *sweep) wholeAgain(due []candidate) time.Duration {
	var total Tally
	for _, c := range due {
		total.add(c.Size)
	}
	if s.overdue || total.Objects > min(s.cfg.MaxFiles, muchDue) || total.Bytes > s.cfg.MaxBytes {
		return 0
	}
	if s.crowded {
		return wholeEvery
	}
	return min(wholeEvery*time.Duration(1+s.report.Listed.Objects/wholeObjects), wholeLongest)
}

// remove removes what is due, within the bounds.
func (s *sweep) remove(ctx context.Context, due []candidate) error {
	s.report.More = s.overdue || s.crowded
	var total Tally
	for len(due) > 0 {
		batch := due[:min(len(due), deleteBatch)]
		var keys []string
		for _, c := range batch {
			if total.Objects == s.cfg.MaxFiles || total.Objects > 0 && total.Bytes+c.Size > s.cfg.MaxBytes {
				break
			}
			keys = append(keys, c.Key)
			total.add(c.Size)
		}
		if len(keys) == 0 {
			s.report.More = true
			return nil
		}
		if !s.opts.DryRun {
			if err := s.store.Delete(ctx, keys...); err != nil {
				if errors.Is(ctx.Err(), context.DeadlineExceeded) {
					s.report.More = true
					return nil
				}
				return fmt.Errorf("remove objects: %w", err)
			}
		}
		for _, c := range batch[:len(keys)] {
			tally(s.report.Removed, c.kind.String(), c.Size)
			if len(s.report.Examples) < maxExamples {
				s.report.Examples = append(s.report.Examples, c.Key)
			}
		}
		due = due[len(keys):]
	}
	return nil
}
