package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the counters of the HTTP interface, in a registry that other parts add theirs to. Labels take values from
// this package's tables only, never from a request, so that no client can make a time series.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refusals map[string]prometheus.Counter // by code
	events   prometheus.Counter
	doubles  prometheus.Counter
	bytes    prometheus.Counter
	append   prometheus.Histogram
	conns    prometheus.Gauge
	turned   prometheus.Counter
}

// latency is for requests that end in a synced write: half a millisecond on a good disk, seconds behind a stalled one.
var latency = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// NewMetrics registers the interface's metrics, and the process's own.
func NewMetrics(reg *prometheus.Registry) *Metrics {
	m := &Metrics{
		registry: reg,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "firn_http_requests_total",
			Help: "HTTP requests answered, by route and status code (0: cut off before a status was sent)."}, []string{"route", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "firn_http_request_seconds",
			Help: "Time from an HTTP request's header to the end of its reply, in seconds, by route.", Buckets: latency}, []string{"route"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{Name: "firn_events_accepted_total",
			Help: "Events acked: durable in the event log."}),
		doubles: prometheus.NewCounter(prometheus.CounterOpts{Name: "firn_events_duplicate_total",
			Help: "Events not stored, since their idempotency key was seen before."}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{Name: "firn_body_bytes_total",
			Help: "Bytes of the bodies of acked HTTP requests, expanded."}),
		append: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "firn_append_seconds",
			Help: "Time that an append to the event log took, its group commit's sync included, in seconds.", Buckets: latency}),
		conns: prometheus.NewGauge(prometheus.GaugeOpts{Name: "firn_http_connections",
			Help: "Open HTTP connections."}),
		turned: prometheus.NewCounter(prometheus.CounterOpts{Name: "firn_http_connections_shed_total",
			Help: "HTTP connections that were told 503 and closed, since as many were open as may be."}),
		refusals: map[string]prometheus.Counter{},
	}
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "firn_http_refusals_total",
		Help: "HTTP requests refused, by stable error code; a refused request stored nothing, except where API.md says otherwise."}, []string{"code"})
	for _, f := range Faults {
		m.refusals[f.Code] = refusals.WithLabelValues(f.Code)
	}
	reg.MustRegister(m.requests, m.seconds, m.events, m.doubles, m.bytes, m.append, m.conns, m.turned, refusals,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// watch adds the gauges of a budget.
func (m *Metrics) watch(b *budget) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "firn_body_bytes_in_flight",
			Help: "Bytes in memory that the bodies of HTTP requests under way hold."}, func() float64 { return float64(b.held.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "firn_body_bytes_in_flight_limit",
			Help: "Bound on firn_body_bytes_in_flight; beyond it HTTP requests are shed with 503."}, func() float64 { return float64(b.limit) }),
	)
}

// statuses are those that a route can send; each has its counter before the first request, so that a rate starts at 0.
var statuses = []int{0, 200, 201, 202, 400, 404, 405, 408, 409, 413, 415, 429, 500, 503, 504, 507}

// route returns the function that counts one answered request.
func (m *Metrics) route(name string) func(status int, took time.Duration) {
	counters := make(map[int]prometheus.Counter, len(statuses))
	for _, s := range statuses {
		counters[s] = m.requests.WithLabelValues(name, strconv.Itoa(s))
	}
	seconds := m.seconds.WithLabelValues(name)
	return func(status int, took time.Duration) {
		if c, ok := counters[status]; ok {
			c.Inc()
		}
		seconds.Observe(took.Seconds())
	}
}

func (m *Metrics) refused(code string) {
	if c, ok := m.refusals[code]; ok {
		c.Inc()
	}
}

func (m *Metrics) appended(took time.Duration, accepted, duplicates, bytes int) {
	m.append.Observe(took.Seconds())
	m.events.Add(float64(accepted))
	m.doubles.Add(float64(duplicates))
	m.bytes.Add(float64(bytes))
}

func (a *API) getMetrics(w http.ResponseWriter, r *http.Request) error {
	promhttp.HandlerFor(a.Metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}).ServeHTTP(w, r)
	return nil
}
