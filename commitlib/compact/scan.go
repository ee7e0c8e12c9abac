package compact

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/live"
	"firn/commitlib/manifest"
)

const (
	// settled is how long a partition must have been without new files to count as closed.
	settled = 15 * time.Minute

	// grace is how long after its end a partition of time counts as written to.
	grace = 15 * time.Minute
)

// lane is a partition in the making of a plan.
type lane struct {
	spec      iceberg.PartitionSpec
	partition [][]byte
	tiers     []int // small files by tier
	newest    int64 // when the newest file of it was added, in ms; 0: by a snapshot that is no longer there
	why       string
	files     []*source
}

func laneKey(specID int, partition [][]byte) string {
	b := fmt.Appendf(nil, "%d", specID)
	for _, v := range partition {
		b = fmt.Appendf(b, " %x %t", v, v == nil)
	}
	return string(b)
}

// scan finds the partitions that have work to do, by reading every manifest once and those with small files of theirs
// again: a table may have a million files, and the files of the jobs alone are held.
func (c *Compactor) scan(ctx context.Context, t *catalog.Table, target int64, rep *Report) ([]*lane, error) {
	list, err := live.List(ctx, c.Store, t)
	if err != nil {
		return nil, err
	}
	var data, deletes []manifest.ListEntry
	for _, l := range list {
		if l.Content == manifest.Data {
			data = append(data, l)
		} else if l.AddedFiles != 0 || l.ExistingFiles != 0 {
			deletes = append(deletes, l)
		}
	}
	added := make(map[int64]int64, len(t.Metadata.Snapshots))
	for _, s := range t.Metadata.Snapshots {
		added[s.ID] = s.TimestampMs
	}
	lanes := make(map[string]*lane)
	withSmall := make(map[string]bool) // manifests
	var at string
	note := func(l *manifest.ListEntry) bool { at = l.Path; return true }
	err = live.Each(ctx, c.Store, data, note, func(f *live.File) error {
		rep.Files++
		key := laneKey(f.SpecID, f.Partition)
		p := lanes[key]
		if p == nil {
			spec, ok := t.Metadata.Spec(f.SpecID)
			p = &lane{spec: spec, partition: f.Partition}
			switch {
			case !ok:
				p.why = "its partition spec is not in the table's metadata"
			case touched(t, deletes, p):
				p.why = "delete files of another engine apply to it"
			}
			lanes[key] = p
		}
		p.newest = max(p.newest, added[f.SnapshotID])
		if small(f.FileSizeInBytes, target) && !c.skipped(f) {
			n := tier(f.FileSizeInBytes)
			for len(p.tiers) <= n {
				p.tiers = append(p.tiers, 0)
			}
			p.tiers[n]++
			withSmall[at] = true
			rep.Small++
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	rep.Partitions = len(lanes)
	now := c.cfg.Clock()
	planned := 0
	for _, key := range slices.Sorted(maps.Keys(lanes)) {
		p := lanes[key]
		n := p.work(now)
		if n > 0 && p.why != "" {
			rep.leaveAlone(p.why, iceberg.PartitionPath(p.spec, t.Metadata.CurrentSchema(), p.partition))
			n = 0
		}
		if n > 0 && planned > 0 && planned+n > maxPlanned {
			rep.More = true
			n = 0
		}
		if n == 0 {
			delete(lanes, key)
		}
		planned += n
	}
	if len(lanes) == 0 {
		return nil, nil
	}
	wanted := func(l *manifest.ListEntry) bool { return withSmall[l.Path] }
	err = live.Each(ctx, c.Store, data, wanted, func(f *live.File) error {
		if p := lanes[laneKey(f.SpecID, f.Partition)]; p != nil && small(f.FileSizeInBytes, target) && !c.skipped(f) && len(p.files) < maxPlanned {
			p.files = append(p.files, newSource(f))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// The fullest first: should the run end early, it has done most.
	out := slices.Collect(maps.Values(lanes))
	slices.SortFunc(out, func(a, b *lane) int {
		return cmp.Or(cmp.Compare(len(b.files), len(a.files)), cmp.Compare(laneKey(a.spec.ID, a.partition), laneKey(b.spec.ID, b.partition)))
	})
	return out, nil
}

func newSource(f *live.File) *source {
	s := &source{path: f.Path, size: f.FileSizeInBytes, rows: f.RecordCount, lo: math.MinInt64, hi: math.MaxInt64, nulls: f.NullValueCounts}
	if lo, err := iceberg.DecodeLong(f.LowerBounds[iceberg.FieldEventTime]); err == nil {
		s.lo = lo
	}
	if hi, err := iceberg.DecodeLong(f.UpperBounds[iceberg.FieldEventTime]); err == nil {
		s.hi = hi
	}
	return s
}

// work is how many small files the partition has, if there is anything to do about them.
func (p *lane) work(now time.Time) (n int) {
	full := false
	for _, k := range p.tiers {
		n += k
		full = full || k >= tierWidth
	}
	if full || n > 1 && p.closed(now) {
		return n
	}
	return 0
}

// closed reports whether the partition is one that nobody writes to any more, as far as can be told: its time has passed,
// and no file came lately.
func (p *lane) closed(now time.Time) bool {
	if now.UnixMilli()-p.newest < settled.Milliseconds() {
		return false
	}
	for i, f := range p.spec.Fields {
		if i < len(p.partition) && p.partition[i] != nil {
			if end, ok := endOf(f.Transform, p.partition[i]); ok && now.Before(end.Add(grace)) {
				return false
			}
		}
	}
	return true
}

// endOf is when a partition of time ends; ok is false for a value of another transform.
func endOf(transform string, v []byte) (end time.Time, ok bool) {
	n, err := iceberg.DecodeInt(v)
	if err != nil {
		return end, false
	}
	switch transform {
	case iceberg.TransformHour:
		return time.Unix((int64(n)+1)*3600, 0), true
	case iceberg.TransformDay:
		return time.Unix((int64(n)+1)*86400, 0), true
	case iceberg.TransformMonth:
		return time.Date(1970, time.January+time.Month(n)+1, 1, 0, 0, 0, 0, time.UTC), true
	case iceberg.TransformYear:
		return time.Date(1970+int(n)+1, time.January, 1, 0, 0, 0, 0, time.UTC), true
	}
	return end, false
}

// touched reports whether live delete files may apply to a partition, by what commitlib.Committer.Rewrite goes by: those of
// its spec that may be of it, and those without a partition.
func touched(t *catalog.Table, deletes []manifest.ListEntry, p *lane) bool {
	for i := range deletes {
		l := &deletes[i]
		if spec, ok := t.Metadata.Spec(l.SpecID); !ok || len(spec.Fields) == 0 ||
			l.SpecID == p.spec.ID && l.MayHold(t.Metadata.PartitionTypes(l.SpecID), p.partition) {
			return true
		}
	}
	return false
}
