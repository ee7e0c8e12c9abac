package eventlog

import (
	"errors"
	"sync"
	"time"

	"firn/ingestd/kv"
)

// Stats is a copy of the log's counters, since it was opened, and gauges.
type Stats struct {
	Appends         uint64 // acked, with events to store
	AppendedEvents  uint64
	AppendedBytes   uint64 // of blocks, compressed
	RawBytes        uint64 // of the same, before compression
	DuplicateEvents uint64

	Groups      uint64 // synced writes
	GroupBytes  uint64 // what they brought to the write-ahead log
	SyncSeconds Histogram

	Refused map[string]uint64 // appends, by reason: full, table_full, disk_full, dedup_full, too_large, broken

	TrimmedBlocks  uint64
	RelocatedBytes uint64

	LiveBytes, PinnedBytes, MaxBytes int64 // of blocks: live, taken on the disk by them, the bound on that
	DedupBytes, DedupMaxBytes        int64
	TailBytes                        int64
	TailHits, TailMisses             uint64
	Tracks                           int
	BelowReserve                     bool

	Store kv.Stats
}

// Histogram counts durations in buckets.
type Histogram struct {
	Bounds []float64 // upper bounds in seconds, ascending
	Counts []uint64  // of each bound, not cumulative; the last is of those beyond
	Sum    float64
	Count  uint64
}

// syncBounds reach from a battery-backed cache to a disk that hangs.
var syncBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// counters are the log's counts; all methods are safe for concurrent use.
type counters struct {
	mu sync.Mutex // protects s
	s  Stats
}

func (c *counters) synced(d time.Duration, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.Groups++
	c.s.GroupBytes += uint64(bytes)
	h := &c.s.SyncSeconds
	if h.Counts == nil {
		h.Counts = make([]uint64, len(syncBounds)+1)
	}
	i := 0
	for i < len(syncBounds) && d.Seconds() > syncBounds[i] {
		i++
	}
	h.Counts[i]++
	h.Count++
	h.Sum += d.Seconds()
}

// acked counts a group's answered appends.
func (c *counters) acked(group []*request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range group {
		if r.err != nil {
			continue
		}
		c.s.DuplicateEvents += uint64(r.result.Duplicates)
		if r.result.Accepted > 0 {
			c.s.Appends++
			c.s.AppendedEvents += uint64(r.result.Accepted)
			c.s.AppendedBytes += uint64(len(r.block))
			c.s.RawBytes += uint64(r.raw)
		}
	}
}

// reasons names the refusals for metrics.
var reasons = []struct {
	err  error
	name string
}{
	{ErrFull, "full"}, {ErrTableFull, "table_full"}, {ErrDiskFull, "disk_full"}, {ErrDedupFull, "dedup_full"}, {ErrTooLarge, "too_large"},
	{ErrBroken, "broken"},
}

// refuse counts a refusal; nil is none.
func (c *counters) refuse(err error) {
	if err == nil {
		return
	}
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			c.mu.Lock()
			if c.s.Refused == nil {
				c.s.Refused = map[string]uint64{}
			}
			c.s.Refused[r.name]++
			c.mu.Unlock()
			return
		}
	}
}

func (c *counters) trimmed(blocks int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.TrimmedBlocks += uint64(blocks)
}

func (c *counters) relocated(bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.s.RelocatedBytes += uint64(bytes)
}

// Stats reads everything at once, the store's properties among it: for a scrape.
func (l *Log) Stats() Stats {
	l.count.mu.Lock()
	s := l.count.s
	s.SyncSeconds.Bounds = syncBounds
	s.SyncSeconds.Counts = append(make([]uint64, 0, len(syncBounds)+1), s.SyncSeconds.Counts...)[:len(syncBounds)+1]
	s.Refused = map[string]uint64{}
	for _, r := range reasons {
		s.Refused[r.name] = l.count.s.Refused[r.name]
	}
	l.count.mu.Unlock()

	l.mu.RLock()
	s.LiveBytes, s.PinnedBytes, s.MaxBytes = l.space.live, l.space.pinned, l.cfg.MaxBytes
	s.DedupBytes, s.DedupMaxBytes = l.dedup, l.cfg.DedupBytes
	s.Tracks, s.BelowReserve = len(l.tracks), l.lowDisk
	l.mu.RUnlock()

	l.tail.mu.Lock()
	s.TailBytes, s.TailHits, s.TailMisses = l.tail.bytes, l.tail.hits, l.tail.misses
	l.tail.mu.Unlock()

	s.Store = l.store.Stats()
	return s
}
