package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"firn/commitlib"
	"firn/commitlib/emf"
	"firn/ingestd/eventlog"
	"firn/ingestd/httpapi"
	"firn/ingestd/ship"
)

// meterEvery is how often metrics are written: CloudWatch keeps standard metrics by the minute.
const meterEvery = time.Minute

// meter writes what the parts have counted, as lines that CloudWatch makes metrics of. /metrics shows more.
type meter struct {
	out     *emf.Writer
	parts   httpapi.Sources
	unready func() bool
	host    string

	// What was written before.
	log     eventlog.Stats
	ship    ship.Stats
	commits commitlib.Counters
}

func newMeter(out io.Writer, warehouse string, parts httpapi.Sources, unready func() bool) (*meter, error) {
	w, err := emf.New(out, emf.Label{Name: emf.DimensionWarehouse, Value: warehouse})
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return &meter{out: w, parts: parts, unready: unready, host: host}, nil
}

// run writes until ctx ends, and then what has come since: a last line.
func (m *meter) run(ctx context.Context, logger *slog.Logger) {
	tick := time.NewTicker(meterEvery)
	defer tick.Stop()
	broken := false
	for ended := false; !ended; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			ended = true
		}
		err := m.write(time.Now())
		if err != nil && !broken {
			logger.Warn("metrics cannot be written", "error", err.Error())
		}
		broken = err != nil
	}
}

// write writes one line.
func (m *meter) write(now time.Time) error {
	return m.out.Write(now, m.take(), emf.Label{Name: "host", Value: m.host})
}

// take returns what has been counted since the last time.
func (m *meter) take() (samples []emf.Sample) {
	count := func(metric emf.Metric, n uint64) {
		if n > 0 {
			samples = append(samples, metric.Of(float64(n)))
		}
	}
	stands := func(metric emf.Metric, v float64) { samples = append(samples, metric.Of(v)) }

	l, was := m.parts.Log(), m.log
	count(emf.IngestedEvents, l.AppendedEvents-was.AppendedEvents)
	count(emf.IngestedBytes, l.RawBytes-was.RawBytes)
	count(emf.RefusedAppends, total(l.Refused)-total(was.Refused))
	stands(emf.LogBytes, float64(l.PinnedBytes))
	stands(emf.LogBytesLeft, float64(max(0, l.MaxBytes-l.PinnedBytes)))
	m.log = l

	s, before := m.parts.Ship(), m.ship
	count(emf.RequestsSent, s.Requests-before.Requests)
	count(emf.RequestsResent, s.Resends-before.Resends)
	count(emf.ShippingErrors, s.Errors-before.Errors)
	count(emf.Stops, s.Stops-before.Stops)
	stands(emf.Backlog, float64(s.Backlog))
	stands(emf.Lag, s.Lag.Seconds())
	stands(emf.StoppedTables, float64(m.stoppedTables()))
	m.ship = s

	stands(emf.QueuedRequests, float64(m.parts.Queue().Messages))
	unready := 0.0
	if m.unready() {
		unready = 1
	}
	stands(emf.Unready, unready)
	if m.parts.Commits != nil {
		c, had := m.parts.Commits(), m.commits
		count(emf.Commits, c.Commits-had.Commits)
		count(emf.Events, c.Events-had.Events)
		count(emf.Files, c.Files-had.Files)
		count(emf.DataBytes, c.Bytes-had.Bytes)
		count(emf.Conflicts, c.Conflicts-had.Conflicts)
		count(emf.Unknowns, c.Unknowns-had.Unknowns)
		count(emf.Rejected, c.Rejected-had.Rejected)
		m.commits = c
	}
	return samples
}

func (m *meter) stoppedTables() (n int) {
	for _, st := range m.parts.Tables() {
		if len(st.Stopped()) > 0 {
			n++
		}
	}
	return n
}

func total(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}
