package retain

import (
	"fmt"
	"time"

	"firn/commitlib/iceberg"
	"firn/commitlib/live"
)

const (
	// maxFiles bounds the files that leave in one commit, and with them memory: some 300 bytes for each. What is beyond
	// leaves in the next.
	maxFiles = 20_000

	// burst is how much time most of a table may be from to leave in one run, unforced. A run finds what has become too old
	// since the last one, of minutes; where that is most of the table it came in a burst, and may go as it came. Most of a
	// table and days of it become too old at once when the retention was just set or shortened, after days without a run, or
	// by a wrong clock: which of them, people know.
	burst = 24 * time.Hour
)

// due is what is to leave a table.
type due struct {
	files []*live.File // at most maxFiles
	more  bool         // there are others

	rows, tableRows  int64 // of all that is to leave; of the table
	earliest, latest int64 // upper bounds of the times of what is to leave, in microseconds
}

func (d *due) add(f *live.File, upper int64) {
	if len(d.files) == 0 {
		d.earliest, d.latest = upper, upper
	}
	d.earliest, d.latest = min(d.earliest, upper), max(d.latest, upper)
	d.rows += f.RecordCount
	if len(d.files) == maxFiles {
		d.more = true
		return
	}
	d.files = append(d.files, &live.File{
		DataFile: iceberg.DataFile{Path: f.Path, Partition: f.Partition, RecordCount: f.RecordCount, FileSizeInBytes: f.FileSizeInBytes},
		SpecID:   f.SpecID,
	})
}

// tooMuch says why it is not to leave unless somebody has looked; empty: it may.
func (d *due) tooMuch() string {
	if d.rows <= d.tableRows/2 || uint64(d.latest-d.earliest) <= uint64(burst.Microseconds()) {
		return ""
	}
	at := func(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339) }
	return fmt.Sprintf("%d of the table's %d events, of files that end between %s and %s, would leave at once: see that the "+
		"retention and the clock are what they should be, then maintain the table with force", d.rows, d.tableRows, at(d.earliest), at(d.latest))
}
