package load_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"firn/perf/e2e"
	"firn/perf/load"
	"firn/perf/payload"
	"firn/perf/report"
	"firn/perf/tier"
)

// Against the real daemon, a result's counts agree: what producers were told is acked is what the log and the committer
// counted and what the table's metadata shows, in each format; and the report draws it.
func TestRealRun(t *testing.T) {
	tier.Need(t, tier.CI)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server, err := load.Start(ctx, e2e.PlainIngestd(t), t.TempDir(), []string{"-cut-interval", "500ms"})
	if err != nil {
		t.Fatal(err)
	}
	stopped := false
	defer func() {
		if !stopped {
			server.Stop() // the failure before this one is what counts
		}
	}()
	result, err := load.NewResult("real", &server.Target)
	if err != nil {
		t.Fatal(err)
	}
	traffic := func(table string, format payload.Format, mix payload.Mix, events int, rate float64) load.Traffic {
		return load.Traffic{Table: table, Format: format, Mix: mix, Events: events, Connections: 4, Rate: rate}
	}
	timed := traffic("timed", payload.Bulk, payload.Counters, 50, 20_000)
	timed.Partitions, timed.Times = 3, "replay:2"
	reads := load.Traffic{Name: "reads", Reads: true, Table: "clicks", Events: 100, Connections: 2}
	plans := []load.Plan{
		{Name: "bulk", Traffic: []load.Traffic{traffic("counters", payload.Bulk, payload.Counters, 100, 0)}},
		{Name: "lines and reads", Settings: `{"hot_retention":"1m"}`, Traffic: []load.Traffic{traffic("clicks", payload.NDJSON, payload.Clicks, 10, 2_000), reads}},
		{Name: "documents", Traffic: []load.Traffic{traffic("documents", payload.Bulk, payload.Documents, 5, 200)}},
		{Name: "times and partitions", Traffic: []load.Traffic{timed}},
		{Name: "at rest", Probe: true, Traffic: []load.Traffic{traffic("single", payload.Single, payload.Counters, 1, 50)}},
	}
	for _, p := range plans {
		p.Duration, p.Drain = 1500*time.Millisecond, time.Minute
		s, err := p.Run(ctx, &server.Target)
		if err != nil {
			t.Fatal(err)
		}
		result.Steps = append(result.Steps, *s)
		end := s.Series[len(s.Series)-1]
		if s.AckedEvents == 0 || end.Logged != s.AckedEvents || end.Committed != s.AckedEvents || s.Queryable != s.AckedEvents || s.Undrained != 0 {
			t.Errorf("%s: %d acked, %d in the log, %d committed, %d in the table, %d left", p.Name, s.AckedEvents, end.Logged, end.Committed, s.Queryable, s.Undrained)
		}
		if s.LogCompression <= 0 || s.ParquetCompression <= 0 || s.ServerMicrosAll <= 0 || s.GeneratorMicros <= 0 || s.PeakMemory <= 0 {
			t.Errorf("%s: compression %v and %v, %v and %v µs an event, %d bytes", p.Name, s.LogCompression, s.ParquetCompression, s.ServerMicrosAll, s.GeneratorMicros, s.PeakMemory)
		}
	}
	if n := result.Steps[1].Traffic[1].AckedEvents; n == 0 {
		t.Error("no event was read")
	}
	if f := result.Steps[4].Fsync; f == nil || f.Samples == 0 || f.P50Ms <= 0 {
		t.Errorf("syncs at rest: %+v", f)
	}
	stopped = true
	if err := server.Stop(); err != nil {
		t.Error(err)
	}

	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	var back load.Result
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := report.Write(&page, []*load.Result{&back}); err != nil {
		t.Error(err)
	}
}
