package compact

import (
	"log/slog"
	"time"
)

// Report says what a run found and did, or would do.
type Report struct {
	Table  string    `json:"table"`
	DryRun bool      `json:"dry_run"`
	Began  time.Time `json:"began"`
	TookMs int64     `json:"took_ms"`

	Files      int64 `json:"files"`       // live data files
	Small      int64 `json:"small_files"` // of those, smaller than three quarters of the target
	Partitions int   `json:"partitions"`

	Jobs     int   `json:"jobs"`      // files made of many; of a dry run, those that would be
	Commits  int   `json:"commits"`   // that they went into
	FilesIn  int64 `json:"files_in"`  // that they removed
	FilesOut int64 `json:"files_out"` // that they added
	BytesIn  int64 `json:"bytes_in"`
	BytesOut int64 `json:"bytes_out"`
	Rows     int64 `json:"rows"`
	Copied   int64 `json:"copied_rows"` // of those, in row groups that were taken over as bytes

	Dropped   int            `json:"dropped"`              // jobs that another's commit made useless
	LeftAlone map[string]int `json:"left_alone,omitempty"` // partitions or jobs, by why
	Examples  []string       `json:"left_alone_examples,omitempty"`

	tried int // jobs among those that were left alone

	More    bool   `json:"more,omitempty"`    // a bound on bytes, files or time was reached: the next run goes on
	Stopped string `json:"stopped,omitempty"` // why the run ended although there is work left
	Error   string `json:"error,omitempty"`
}

const maxExamples = 20

// tryVain is leaveAlone for a job that was begun.
func (r *Report) tryVain(why, what string) {
	r.tried++
	r.leaveAlone(why, what)
}

func (r *Report) leaveAlone(why, what string) {
	if r.LeftAlone == nil {
		r.LeftAlone = make(map[string]int)
	}
	r.LeftAlone[why]++
	if len(r.Examples) < maxExamples {
		r.Examples = append(r.Examples, what)
	}
}

// Did implements maintain.Outcome. A stopped table, and a partition that delete files apply to, are in the report alone:
// they are so run after run.
func (r *Report) Did() bool { return r.Jobs > 0 || r.Dropped > 0 || r.tried > 0 || r.Error != "" }

// Idle implements maintain.Outcome.
func (r *Report) Idle() bool { return !r.Did() && !r.More && r.Stopped == "" }

// Attrs implements maintain.Outcome.
func (r *Report) Attrs() []slog.Attr {
	attrs := []slog.Attr{
		slog.String("table", r.Table), slog.Int("jobs", r.Jobs), slog.Int64("files_in", r.FilesIn), slog.Int64("files_out", r.FilesOut),
		slog.Int64("bytes_in", r.BytesIn), slog.Int64("bytes_out", r.BytesOut), slog.Int64("rows", r.Rows), slog.Int64("took_ms", r.TookMs),
	}
	if r.Dropped > 0 {
		attrs = append(attrs, slog.Int("dropped", r.Dropped))
	}
	if len(r.LeftAlone) > 0 {
		attrs = append(attrs, slog.Any("left_alone", r.LeftAlone), slog.Any("examples", r.Examples))
	}
	if r.Stopped != "" {
		attrs = append(attrs, slog.String("stopped", r.Stopped))
	}
	if r.Error != "" {
		attrs = append(attrs, slog.String("error", r.Error))
	}
	return attrs
}
