package aws

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"firn/perf/e2e"
	"firn/perf/load"
	"firn/perf/payload"
	"firn/perf/peer"
	"firn/perf/tier"
)

const (
	// storeDelay is added to each call of the store, and of a catalog's service: what S3 takes to answer.
	storeDelay = 40 * time.Millisecond

	// The goals, and by how much a machine that has other things to do may miss them before the test fails.
	queryableP50  = 1500 * time.Millisecond
	queryableP99  = 3 * time.Second
	queryableRoom = 4
)

// How long after an event's receipt a query begins that returns it, at half the load that the pipeline takes: DuckDB by
// folder, through a fresh connection for each query, and PyIceberg by catalog. One reader asks without a pause, so that its
// queries' own time is in the wait for the next to begin.
func TestQueryableLatency(t *testing.T) {
	tier.Need(t, tier.Slow)
	t.Run("DuckDB by folder", func(t *testing.T) {
		p := newPipeline(t, objectStore)
		p.queryable("duckdb-folder", p.root()+"/default/events")
	})
	t.Run("PyIceberg by catalog", func(t *testing.T) {
		p := newPipeline(t, rest)
		uri := strings.TrimPrefix(p.catalog.env[1], "FIRN_CATALOG_URI=") // through the proxy, as the daemons ask
		p.queryable("pyiceberg", "rest:"+uri+"#default.events")
	})
}

func (p *pipeline) queryable(engine, table string) {
	t := p.t
	t.Helper()
	for _, proxy := range []*peer.FaultProxy{p.toS3, p.catalog.proxy} {
		proxy.Hook(func(*peer.Request) peer.Fault { return peer.Fault{Delay: storeDelay} })
	}
	p.deliver(manner{functions: 2, copies: 1, seed: e2e.Seed(t)})
	p.delivery.spare()
	d := e2e.Start(t, e2e.Options{Data: t.TempDir(), Env: p.daemonEnv(), Flags: []string{"-cut-interval", "1s"}})
	target := &load.Target{Addr: strings.TrimPrefix(d.URL, "http://")}
	events := load.Traffic{Table: "events", Format: payload.Bulk, Mix: payload.Counters, Events: 100, Connections: 16}

	run := func(name string, length time.Duration) *load.Step {
		t.Helper()
		plan := load.Plan{Name: name, Traffic: []load.Traffic{events}, Warmup: 2 * time.Second, Duration: length, Drain: 2 * time.Minute}
		s, err := plan.Run(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	full := run("full load", 10*time.Second)
	capacity := float64(full.AckedEvents) / (full.Seconds + full.DrainSeconds)
	events.Rate = capacity / 2

	const length = 40 * time.Second
	var out, trouble bytes.Buffer
	reader := e2e.PythonCommand(t, p.s3.At(p.toS3).Env(), "behind.py", engine, table, strconv.Itoa(int(length.Seconds())+2))
	reader.Stdout, reader.Stderr = &out, &trouble
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	half := run("half load", length)
	if err := reader.Wait(); err != nil {
		t.Fatalf("reader: %v\n%s", err, trouble.Bytes())
	}
	behind, took := latencies(t, out.String(), began.Add(5*time.Second), began.Add(length))
	p50, p99 := behind[len(behind)/2], behind[len(behind)*99/100]
	t.Logf("%s at %.0f events/s (half of what gets into the table at full load, %.0f): queryable after p50 %v, p99 %v, max %v; goals %v and %v; a query itself takes %v",
		engine, half.AckedPerSecond, capacity, p50, p99, behind[len(behind)-1], queryableP50, queryableP99, took)
	if p50 > queryableRoom*queryableP50 || p99 > queryableRoom*queryableP99 {
		t.Errorf("events are queryable after %v, p99 %v: more than %d times the goals", p50, p99, queryableRoom)
	}
}

// latencies is how long the events that were received between from and to took, sorted: one for each millisecond, since
// they came at a constant rate. An event is there for the first query whose newest event is not before it, from that one's
// beginning on. took is the median of the queries.
func latencies(t testing.TB, queries string, from, to time.Time) (behind []time.Duration, took time.Duration) {
	t.Helper()
	var lasted []time.Duration
	next := from
	for line := range strings.Lines(queries) {
		var began, ended, newest int64
		if _, err := fmt.Sscan(line, &began, &ended, &newest); err != nil {
			t.Fatalf("reader printed %q: %v", line, err)
		}
		lasted = append(lasted, time.Duration(ended-began)*time.Microsecond)
		for ; !next.After(time.UnixMicro(newest)) && next.Before(to); next = next.Add(time.Millisecond) {
			behind = append(behind, max(0, time.UnixMicro(began).Sub(next)).Round(time.Millisecond))
		}
	}
	if len(behind) < int(to.Sub(from)/time.Millisecond)/2 {
		t.Fatalf("the reader saw events of %d ms out of %v, in %d queries", len(behind), to.Sub(from), len(lasted))
	}
	slices.Sort(behind)
	slices.Sort(lasted)
	return behind, lasted[len(lasted)/2].Round(time.Millisecond)
}
