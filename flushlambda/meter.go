package main

import (
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"firn/commitlib"
	"firn/commitlib/emf"
	"firn/commitlib/manifest"
)

// meter turns what the committer counts into metric lines: one for each batch, with what happened since the line before.
// Batches that run side by side share what they did between their lines; sums over lines are exact.
type meter struct {
	out      *emf.Writer
	counters func() commitlib.Counters
	log      *slog.Logger

	mu        sync.Mutex // protects all below
	last      commitlib.Counters
	hits      int64 // of manifest.Hits and manifest.Parses, told so far
	parses    int64
	committed []commitlib.Committed // since the last line
	warm      bool                  // a line was written
}

func newMeter(out io.Writer, function string, log *slog.Logger) (*meter, error) {
	w, err := emf.New(out, emf.Label{Name: emf.DimensionFunction, Value: function})
	return &meter{out: w, log: log}, err
}

// tellCommitted is commitlib.Config.Committed.
func (m *meter) tellCommitted(c commitlib.Committed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.committed = append(m.committed, c)
}

// batch writes the line of a batch. A line that cannot be written costs the metrics of that batch and nothing else.
func (m *meter) batch(at time.Time, messages, again int, request string) {
	samples, tables := m.take(messages, again)
	properties := []emf.Label{{Name: "message", Value: "batch handled"}}
	if request != "" {
		properties = append(properties, emf.Label{Name: "requestId", Value: request})
	}
	if tables != "" {
		properties = append(properties, emf.Label{Name: "tables", Value: tables})
	}
	if err := m.out.Write(at, samples, properties...); err != nil {
		m.log.Warn("metrics were not written", "error", err.Error())
	}
}

// take returns what was counted since the last call, without the zeros, and the tables that got a snapshot.
func (m *meter) take(messages, again int) (samples []emf.Sample, tables string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, was := m.counters(), m.last
	m.last = now
	hits, parses := manifest.Hits.Load(), manifest.Parses.Load()
	count := func(metric emf.Metric, n uint64) {
		if n > 0 {
			samples = append(samples, metric.Of(float64(n)))
		}
	}
	count(emf.Messages, uint64(messages))
	count(emf.MessagesAgain, uint64(again))
	count(emf.Commits, now.Commits-was.Commits)
	count(emf.Applied, now.Applied-was.Applied)
	count(emf.Events, now.Events-was.Events)
	count(emf.Files, now.Files-was.Files)
	count(emf.DataBytes, now.Bytes-was.Bytes)
	count(emf.Conflicts, now.Conflicts-was.Conflicts)
	count(emf.Unknowns, now.Unknowns-was.Unknowns)
	count(emf.Loads, now.Loads-was.Loads)
	count(emf.Skipped, now.Skipped-was.Skipped)
	count(emf.Dropped, now.Gaps+now.Overlaps+now.TooOld-was.Gaps-was.Overlaps-was.TooOld)
	count(emf.Rejected, now.Rejected-was.Rejected)
	count(emf.Undecided, now.Undecided-was.Undecided)
	count(emf.DeadLettered, now.DeadLettered-was.DeadLettered)
	count(emf.SchemaCacheHits, uint64(hits-m.hits))
	count(emf.SchemaCacheMisses, uint64(parses-m.parses))
	if !m.warm {
		count(emf.ColdStarts, 1)
	}
	m.hits, m.parses, m.warm = hits, parses, true

	if len(m.committed) > 0 {
		var took, lag, attempts []float64
		var names []string
		for _, c := range m.committed {
			took = append(took, float64(c.Took)/float64(time.Millisecond))
			lag = append(lag, c.Lag.Seconds())
			attempts = append(attempts, float64(c.Attempts))
			names = append(names, c.Table.String())
		}
		samples = append(samples, emf.CommitMilliseconds.Of(took...), emf.CommitLag.Of(lag...), emf.CommitAttempts.Of(attempts...))
		slices.Sort(names)
		tables = strings.Join(slices.Compact(names), " ")
		m.committed = m.committed[:0]
	}
	return samples, tables
}
