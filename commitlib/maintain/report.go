package maintain

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Tally counts objects.
type Tally struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

func (t *Tally) add(bytes int64) {
	t.Objects++
	t.Bytes += bytes
}

// Scope is how much of a table's folder a sweep lists.
type Scope string

// The scopes.
const (
	Due      Scope = ""         // metadata, and the rest as well when it is time
	Metadata Scope = "metadata" // the folders metadata and _firn; reads manifest lists, but no manifest
	Whole    Scope = "whole"    // all of it; reads every manifest
)

// Report says what a sweep found and did, or would do.
type Report struct {
	Table  string    `json:"table"`
	Scope  Scope     `json:"scope"`
	DryRun bool      `json:"dry_run"`
	Began  time.Time `json:"began"`
	TookMs int64     `json:"took_ms"`

	Snapshots int   `json:"snapshots"` // retained ones
	Live      int   `json:"live"`      // objects that the table needs, of those that are listed
	Listed    Tally `json:"listed"`

	Removed  map[string]Tally `json:"removed"`            // by kind; of a dry run, what would be removed now
	Examples []string         `json:"examples,omitempty"` // of those, the first few keys
	Waiting  map[string]Tally `json:"waiting"`            // unreferenced, by why they stay for now

	LeftAlone     Tally    `json:"left_alone"` // outside data, metadata and _firn: nobody but their owner knows what they are
	LeftAloneKeys []string `json:"left_alone_examples,omitempty"`

	More    bool   `json:"more,omitempty"`    // a bound on files, bytes or time was reached: the next sweep goes on
	Stopped string `json:"stopped,omitempty"` // why nothing was removed, where that is by decision
	Error   string `json:"error,omitempty"`   // why the sweep ended early
}

const maxExamples = 20

func newReport(table string, dryRun bool, began time.Time) *Report {
	return &Report{Table: table, DryRun: dryRun, Began: began.UTC(), Removed: map[string]Tally{}, Waiting: map[string]Tally{}}
}

func tally(m map[string]Tally, key string, bytes int64) {
	t := m[key]
	t.add(bytes)
	m[key] = t
}

// Total sums what was removed.
func (r *Report) Total() (t Tally) {
	for _, n := range r.Removed {
		t.Objects += n.Objects
		t.Bytes += n.Bytes
	}
	return t
}

// Did says whether there is anything to tell: something was removed, or somebody has to look.
func (r *Report) Did() bool { return r.Total().Objects > 0 || r.Error != "" }

// Idle says that nothing is left to do until the table changes.
func (r *Report) Idle() bool { return !r.Did() && len(r.Waiting) == 0 && r.Stopped == "" }

// Attrs are what a log line says of the report.
func (r *Report) Attrs() []slog.Attr {
	total := r.Total()
	attrs := []slog.Attr{
		slog.String("table", r.Table), slog.String("scope", string(r.Scope)), slog.Int64("removed", total.Objects), slog.Int64("bytes", total.Bytes),
		slog.Int64("took_ms", r.TookMs),
	}
	kinds := make([]string, 0, len(r.Removed))
	for k, n := range r.Removed {
		kinds = append(kinds, fmt.Sprintf("%s: %d", k, n.Objects))
	}
	slices.Sort(kinds)
	if len(kinds) > 0 {
		attrs = append(attrs, slog.Any("kinds", kinds))
	}
	for _, text := range []struct{ name, value string }{{"stopped", r.Stopped}, {"error", r.Error}} {
		if text.value != "" {
			attrs = append(attrs, slog.String(text.name, text.value))
		}
	}
	return attrs
}
