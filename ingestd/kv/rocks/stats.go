package rocks

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"firn/ingestd/kv"
)

// Stats implements kv.Store. It reads some thirty properties: for a scrape, not for a hot path.
func (s *Store) Stats() kv.Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out kv.Stats
	if s.db == nil {
		return out
	}
	number := func(name string, f kv.Family) int64 {
		n, _ := s.db.GetIntPropertyCF("rocksdb."+name, s.families[f])
		return int64(n)
	}
	for f := range kv.Families {
		out.FileBytes[f] = number("total-sst-files-size", f)
		out.CompactedBytes[f] = compacted(s.db.GetPropertyCF("rocksdb.cfstats-no-file-histogram", s.families[f]))
		out.MemoryBytes += number("cur-size-all-mem-tables", f) + number("estimate-table-readers-mem", f)
	}
	out.MemoryBytes += number("block-cache-usage", kv.Meta) // one cache for all
	out.BackgroundErrors = number("background-errors", kv.Meta)
	out.WritesStopped = number("is-write-stopped", kv.Meta) != 0
	logs, _ := filepath.Glob(filepath.Join(s.dir, "*.log"))
	for _, name := range logs {
		if info, err := os.Stat(name); err == nil {
			out.WALBytes += info.Size()
		}
	}
	return out
}

// compacted reads how many bytes compaction (not the writing out of buffers) has written from the family's table of
// levels: the sum of "Write(GB)" over the levels below 0. The text is the only place that grocksdb gives it.
func compacted(table string) int64 {
	var sum float64
	for line := range strings.Lines(table) {
		cols := strings.Fields(line)
		// Level Files Size unit Score Read(GB) Rn(GB) Rnp1(GB) Write(GB) …
		if len(cols) < 9 || !strings.HasPrefix(cols[0], "L") || cols[0] == "L0" || cols[0] == "Level" {
			continue
		}
		if gb, err := strconv.ParseFloat(cols[8], 64); err == nil {
			sum += gb
		}
	}
	return int64(sum * (1 << 30))
}
