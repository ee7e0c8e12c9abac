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
	"firn/commitlib/maintain"
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

// maintained writes the line of a run of maintenance.
func (m *meter) maintained(at time.Time, was, now maintain.Counters, request string) {
	properties := []emf.Label{{Name: "message", Value: "tables maintained"}}
	if request != "" {
		properties = append(properties, emf.Label{Name: "requestId", Value: request})
	}
	if err := m.out.Write(at, maintenance(was, now), properties...); err != nil {
		m.log.Warn("metrics were not written", "error", err.Error())
	}
}

// maintenance is what was counted between was and now: errors also where there are none, so that an alarm on them sees
// that maintenance runs.
func maintenance(was, now maintain.Counters) []emf.Sample {
	samples := []emf.Sample{emf.MaintenanceErrors.Of(float64(now.Errors - was.Errors))}
	if n := now.Removed - was.Removed; n > 0 {
		samples = append(samples, emf.RemovedObjects.Of(float64(n)), emf.RemovedBytes.Of(float64(now.RemovedBytes-was.RemovedBytes)))
	}
	return samples
}

// take returns what was counted since the last call, without the zeros, and the tables that got a snapshot.
func (m *meter) take(messages, again int) (samples []emf.Sample, tables string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, was := m.counters(), m.last
	m.last = now
	hits, parses := manifest.Hits.Load(), manifest.Parses.Load()
	cold := uint64(1)
	if m.warm {
		cold = 0
	}
	for _, c := range [...]struct {
		metric *emf.Metric
		n      uint64
	}{
		{&emf.Messages, uint64(messages)},
		{&emf.MessagesAgain, uint64(again)},
		{&emf.Commits, now.Commits - was.Commits},
		{&emf.Applied, now.Applied - was.Applied},
		{&emf.Events, now.Events - was.Events},
		{&emf.Files, now.Files - was.Files},
		{&emf.DataBytes, now.Bytes - was.Bytes},
		{&emf.Conflicts, now.Conflicts - was.Conflicts},
		{&emf.Unknowns, now.Unknowns - was.Unknowns},
		{&emf.Loads, now.Loads - was.Loads},
		{&emf.Skipped, now.Skipped - was.Skipped},
		{&emf.Dropped, now.Gaps + now.Overlaps + now.TooOld - was.Gaps - was.Overlaps - was.TooOld},
		{&emf.Rejected, now.Rejected - was.Rejected},
		{&emf.Undecided, now.Undecided - was.Undecided},
		{&emf.DeadLettered, now.DeadLettered - was.DeadLettered},
		{&emf.SchemaCacheHits, uint64(hits - m.hits)},
		{&emf.SchemaCacheMisses, uint64(parses - m.parses)},
		{&emf.ColdStarts, cold},
	} {
		if c.n > 0 {
			samples = append(samples, c.metric.Of(float64(c.n)))
		}
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
