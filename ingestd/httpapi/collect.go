package httpapi

import (
	"github.com/prometheus/client_golang/prometheus"

	"firn/commitlib"
	"firn/commitlib/maintain"
	"firn/ingestd/commitq"
	"firn/ingestd/eventlog"
	"firn/ingestd/ship"
)

// Sources are the parts whose own counts /metrics shows; each is read at a scrape and
// not otherwise. A nil one is left out.
type Sources struct {
	Log      func() eventlog.Stats
	Ship     func() ship.Stats
	Tables   func() []ship.TableStatus // one time series a table and metric: as many as the registry lets be
	Commits  func() commitlib.Counters
	Queue    func() commitq.Stats
	Maintain func() maintain.Counters
}

// Collect adds the parts' metrics. It is called once.
func (m *Metrics) Collect(s Sources) { m.registry.MustRegister(newCollector(s)) }

// part reads one part's metrics.
type part interface {
	describe(ch chan<- *prometheus.Desc)
	collect(ch chan<- prometheus.Metric)
}

// numbers is a part whose metrics are plain numbers.
type numbers[S any] struct {
	read    func() S
	metrics []metric[S]
	descs   []*prometheus.Desc
}

func newNumbers[S any](read func() S, metrics []metric[S]) *numbers[S] {
	n := &numbers[S]{read: read, metrics: metrics}
	for _, m := range metrics {
		n.descs = append(n.descs, prometheus.NewDesc(m.name, m.help, nil, nil))
	}
	return n
}

func (n *numbers[S]) describe(ch chan<- *prometheus.Desc) {
	for _, d := range n.descs {
		ch <- d
	}
}

func (n *numbers[S]) collect(ch chan<- prometheus.Metric) { n.send(ch) }

// send sends the numbers, and returns what they were read from.
func (n *numbers[S]) send(ch chan<- prometheus.Metric) S {
	s := n.read()
	for i, m := range n.metrics {
		ch <- prometheus.MustNewConstMetric(n.descs[i], m.kind, m.value(&s))
	}
	return s
}

// collector is a prometheus.Collector over all parts.
type collector struct{ parts []part }

var (
	descRefused  = prometheus.NewDesc("firn_log_refused_total", "Appends that the event log refused, by reason.", []string{"reason"}, nil)
	descSync     = prometheus.NewDesc("firn_log_sync_seconds", "Time that one group commit's synced write to the event log took, in seconds.", nil, nil)
	descRequests = prometheus.NewDesc("firn_requests_decided_total", "Commit requests that the committer decided, by outcome, each delivery counted.", []string{"outcome"}, nil)
	descBacklog  = prometheus.NewDesc("firn_table_backlog_events", "Events acked and not committed, by table.", []string{"table"}, nil)
	descLag      = prometheus.NewDesc("firn_table_lag_seconds", "Age of the oldest event that is acked and not committed, by table.", []string{"table"}, nil)
	descStopped  = prometheus.NewDesc("firn_table_stopped", "1 while shipping of the table is stopped until an operator acts.", []string{"table"}, nil)
)

func newCollector(s Sources) *collector {
	c := &collector{}
	if s.Log != nil {
		c.parts = append(c.parts, newLogPart(s.Log))
	}
	if s.Ship != nil {
		c.parts = append(c.parts, newNumbers(s.Ship, shipMetrics))
	}
	if s.Tables != nil {
		c.parts = append(c.parts, tablePart(s.Tables))
	}
	if s.Commits != nil {
		c.parts = append(c.parts, newCommitPart(s.Commits))
	}
	if s.Queue != nil {
		c.parts = append(c.parts, newNumbers(s.Queue, queueMetrics))
	}
	if s.Maintain != nil {
		c.parts = append(c.parts, newNumbers(s.Maintain, maintainMetrics))
	}
	return c
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, p := range c.parts {
		p.describe(ch)
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, p := range c.parts {
		p.collect(ch)
	}
}

// logPart adds the log's refusals by reason, and the histogram of its syncs.
type logPart struct {
	*numbers[eventlog.Stats]
}

func newLogPart(read func() eventlog.Stats) logPart { return logPart{newNumbers(read, logMetrics)} }

func (p logPart) describe(ch chan<- *prometheus.Desc) {
	p.numbers.describe(ch)
	ch <- descRefused
	ch <- descSync
}

func (p logPart) collect(ch chan<- prometheus.Metric) {
	s := p.send(ch)
	for reason, n := range s.Refused {
		ch <- prometheus.MustNewConstMetric(descRefused, counter, float64(n), reason)
	}
	buckets, below := make(map[float64]uint64, len(s.SyncSeconds.Bounds)), uint64(0)
	for i, bound := range s.SyncSeconds.Bounds {
		below += s.SyncSeconds.Counts[i]
		buckets[bound] = below
	}
	ch <- prometheus.MustNewConstHistogram(descSync, s.SyncSeconds.Count, s.SyncSeconds.Sum, buckets)
}

// commitPart adds the committer's outcomes.
type commitPart struct {
	*numbers[commitlib.Counters]
}

func newCommitPart(read func() commitlib.Counters) commitPart {
	return commitPart{newNumbers(read, commitMetrics)}
}

func (p commitPart) describe(ch chan<- *prometheus.Desc) {
	p.numbers.describe(ch)
	ch <- descRequests
}

func (p commitPart) collect(ch chan<- prometheus.Metric) {
	s := p.send(ch)
	for outcome, n := range map[string]uint64{"applied": s.Applied, "skipped": s.Skipped, "gap": s.Gaps, "overlap": s.Overlaps,
		"too_old": s.TooOld, "rejected": s.Rejected, "undecided": s.Undecided} {
		ch <- prometheus.MustNewConstMetric(descRequests, counter, float64(n), outcome)
	}
}

// tablePart shows how each table stands.
type tablePart func() []ship.TableStatus

func (p tablePart) describe(ch chan<- *prometheus.Desc) {
	ch <- descBacklog
	ch <- descLag
	ch <- descStopped
}

func (p tablePart) collect(ch chan<- prometheus.Metric) {
	for _, st := range p() {
		ch <- prometheus.MustNewConstMetric(descBacklog, gauge, float64(st.Backlog), st.Table)
		ch <- prometheus.MustNewConstMetric(descLag, gauge, st.Lag.Seconds(), st.Table)
		ch <- prometheus.MustNewConstMetric(descStopped, gauge, truth(len(st.Stopped()) > 0), st.Table)
	}
}
