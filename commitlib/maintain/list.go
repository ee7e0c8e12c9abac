package maintain

import (
	"context"
	"fmt"
	"strings"

	"firn/commitlib"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// sighting is what is held of an object that is condemned and not due: it is to be looked at again.
type sighting struct {
	key uint64 // its hash
	look
}

// list collects what may go, and what is to be remembered.
func (s *sweep) list(ctx context.Context, marks *commitlib.Marks) error {
	if err := s.ruleBy(ctx, marks); err != nil {
		return err
	}
	named, _ := keyOf(s.store, marks.File())
	for _, prefix := range s.prefixes() {
		err := s.store.List(ctx, prefix, func(o objstore.Info) error {
			s.found(o, o.Key == named)
			return nil
		})
		if err != nil {
			return fmt.Errorf("list the table's objects: %w", err)
		}
	}
	s.versions.sort()
	if s.live.missing == 0 {
		return nil
	}
	return s.missing(ctx)
}

func (s *sweep) found(o objstore.Info, named bool) {
	rel := o.Key[len(s.root):]
	n := readName(rel)
	s.report.Listed.add(o.Size)
	if strings.HasPrefix(rel, dataFolder) {
		s.data.add(o.Size)
	}
	if n.kind == version {
		s.versions.add(n.version, o.Modified)
	}
	if named {
		s.watermarks = o.Modified
	}
	switch {
	case s.live.has(o.Key) || n.kind == kept || o.Modified.IsZero():
		return
	case n.kind == elsewhere:
		s.report.LeftAlone.add(o.Size)
		if len(s.report.LeftAloneKeys) < maxExamples {
			s.report.LeftAloneKeys = append(s.report.LeftAloneKeys, o.Key)
		}
		return
	case strings.HasPrefix(rel, metadataFolder) && isTableMetadata(rel):
		s.metadata.add(o)
	}
	c := candidate{Info: o, name: n, mark: mark(o)}
	wait := s.early(c)
	s.leftovers = s.leftovers || wait != waitsWatermark && !strings.HasPrefix(rel, stateFolder)
	switch {
	case wait == "" && len(s.candidates) < s.maxCandidates:
		s.candidates = append(s.candidates, c)
	case wait == "":
		s.overdue = true
		if _, looked := s.known(c).at(c.mark); looked {
			s.sight(c)
		}
	case wait == waitsLook:
		s.sight(c)
		fallthrough
	default:
		tally(s.report.Waiting, wait, o.Size)
	}
}

// early judges by the first state: what it says of a fence, or a watermark, is true of every later one. What cannot be
// said before the listing is complete may go.
func (s *sweep) early(c candidate) string {
	switch {
	case c.kind == watermarks:
		return ""
	case c.kind == version && !s.rules.service:
		if s.began.Sub(c.Modified) <= s.cfg.Retention || c.version >= s.rules.versions.current-iceberg.MaxMetadataLog {
			return waitsRetention
		}
		return ""
	}
	return s.rules.judge(c)
}

// sight has the object looked at again.
func (s *sweep) sight(c candidate) {
	if len(s.sightings.metadata)+len(s.sightings.data) >= s.maxSightings {
		s.crowded = true
		return
	}
	into := &s.sightings.metadata
	if s.inData(c) {
		into = &s.sightings.data
	}
	*into = append(*into, sighting{hash(c.Key), s.looked(c)})
}

// looked is the first look at the object; its time is 0 if this is it.
func (s *sweep) looked(c candidate) look {
	if at, ok := s.known(c).at(c.mark); ok {
		return look{c.mark, at.UnixMilli()}
	}
	return look{mark: c.mark}
}
