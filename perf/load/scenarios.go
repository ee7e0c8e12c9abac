package load

import (
	"fmt"
	"time"

	"firn/perf/payload"
)

// Lengths of steps, unless the command says otherwise. The first seconds of a daemon are its heap's growth.
const (
	shortWarmup = 2 * time.Second
	shortLoad   = 10 * time.Second
	longDrain   = 3 * time.Minute
)

// Concurrencies are the numbers of connections that the scenario bulk goes through.
var Concurrencies = []int{50, 100, 200, 500}

// Scenarios are all there are.
var Scenarios = []Scenario{
	{"single", "one event a request over 64 connections: what a request costs", nil,
		steps(plan("single", singles("single", 64, 0)))},
	{"bulk", "100 events of 82 bytes a request over 50 to 500 connections, then 1,000 a request", nil,
		steps(bulkPlans()...)},
	{"acks", "the same with cutting put off, so that nothing is shipped: what acks alone take", []string{"-cut-interval", "1h", "-segment-bytes", "1GiB"},
		steps(ackPlans()...)},
	{"ndjson", "100 events of 1 KiB a request, a line each", nil,
		steps(plan("ndjson", Traffic{Table: "ndjson", Format: payload.NDJSON, Mix: payload.Clicks, Events: 100, Connections: 64}))},
	{"payloads", "82 bytes, 1 KiB and 20 KB an event: bytes a second into the table for each core that the server takes", nil,
		steps(
			plan("counters", bulk("counters", 64, 100)),
			plan("clicks", Traffic{Table: "clicks", Format: payload.Bulk, Mix: payload.Clicks, Events: 100, Connections: 64}),
			plan("documents", Traffic{Table: "documents", Format: payload.Bulk, Mix: payload.Documents, Events: 10, Connections: 32}))},
	{"mixed", "single events, bulk and lines to three tables at once", nil,
		steps(plan("mixed",
			named("singles", singles("mixed_single", 16, 0)),
			named("bulk", bulk("mixed_bulk", 16, 100)),
			named("lines", Traffic{Table: "mixed_lines", Format: payload.NDJSON, Mix: payload.Clicks, Events: 20, Connections: 16})))},
	{"many-tables", "1,000 tables, an event a second each: commits a second in all, and memory", nil,
		steps(manyTables)},
	{"many-partitions", "a table by hour and 1,000 partitions, all of them in each segment", nil,
		steps(manyPartitions)},
	{"hot-reads", "reading what is still in the log while it is written", nil,
		steps(hotReads)},
	{"backpressure", "three times what goes into the table, then half of it: goodput, refusals, recovery", []string{"-log-bytes", "128MiB", "-table-share", "1", "-cut-interval", "1s"},
		backpressure},
	{"backfill", "a year of event times: in order, and all at once", nil,
		steps(backfillPlans()...)},
	{"end-to-end", "as fast as it goes, event time 60 times as fast as the clock: acked, staged, committed and queryable over time", nil,
		steps(endToEnd)},
	{"idle", "one event at rest: its ack beside a sync of the same disk", nil,
		steps(idle)},
}

func plan(name string, traffic ...Traffic) Plan {
	return Plan{Name: name, Traffic: traffic, Warmup: shortWarmup, Duration: shortLoad, Drain: longDrain}
}

func named(name string, t Traffic) Traffic {
	t.Name = name
	return t
}

func bulk(table string, connections, events int) Traffic {
	return Traffic{Table: table, Format: payload.Bulk, Mix: payload.Counters, Events: events, Connections: connections}
}

func singles(table string, connections int, rate float64) Traffic {
	return Traffic{Table: table, Format: payload.Single, Mix: payload.Counters, Events: 1, Connections: connections, Rate: rate}
}

func bulkPlans() (all []Plan) {
	for _, n := range Concurrencies {
		all = append(all, plan(fmt.Sprintf("%d connections", n), bulk("bulk", n, 100)))
	}
	return append(all, plan("1,000 events a request", bulk("bulk", 64, 1000)))
}

// ackPlans are bulkPlans over so many tables that none reaches the size at which a segment is cut, and do not wait for
// commits.
func ackPlans() []Plan {
	plans := bulkPlans()
	for i := range plans {
		plans[i].Drain = 0
		plans[i].Traffic[0].Tables = 8
	}
	return plans
}

var manyTables = func() Plan {
	t := singles("many", 32, 1000)
	t.Tables = 1000
	p := plan("1,000 tables", t)
	p.Settings = `{}` // makes them, before the load begins
	p.Duration = 30 * time.Second
	return p
}()

var manyPartitions = func() Plan {
	t := bulk("partitions", 64, 100)
	t.Partitions = 1000
	p := plan("1,000 partitions", t)
	p.Settings = `{"partition_by":["hour","partition"]}`
	return p
}()

// hotReads keeps what is committed in the log, and reads with one connection fewer than ingestd serves reads at once.
var hotReads = func() Plan {
	p := plan("reads and writes", named("writes", bulk("hot", 32, 100)), named("reads", Traffic{Reads: true, Table: "hot", Events: 1000, Connections: 3}))
	p.Settings = `{"hot_retention":"10m"}`
	return p
}()

func backfillPlans() []Plan {
	inOrder := bulk("backfill_in_order", 64, 100)
	inOrder.Times = "replay:365"
	scattered := bulk("backfill_scattered", 16, 100)
	scattered.Times = "scatter:365"
	scattered.Rate = 50_000 // each segment has a data file for each of 8,760 hours
	return []Plan{plan("in order", inOrder), plan("scattered over all hours", scattered)}
}

var endToEnd = func() Plan {
	t := bulk("events", 64, 100)
	t.Times = "warp:60"
	p := plan("end to end", t)
	p.Duration = 30 * time.Second
	return p
}()

// idle leaves the disk alone between two acks, but for a sync of its own right after each.
var idle = func() Plan {
	t := singles("idle", 1, 0)
	t.Think = Duration(10 * time.Millisecond)
	p := plan("one event at rest", t)
	p.Probe = true
	return p
}()

// overload is how many times its capacity the scenario backpressure offers.
const overload = 3

// backpressure finds what goes into the table in the long run: with a small bound on the log, and producers that wait
// for their acks, what is acked is what drains. Then it offers three times that, over so many connections that the
// bodies under way exceed their bound too, and then half. Events are of 1 KiB, so that offering them is cheap beside
// taking them.
func backpressure(r *Runner) error {
	clicks := func(connections int, rate float64) Traffic {
		return Traffic{Table: "pressure", Format: payload.Bulk, Mix: payload.Clicks, Events: 100, Connections: connections, Rate: rate}
	}
	capacity := plan("capacity", clicks(64, 0))
	capacity.Drain = 0
	if err := r.fill(capacity); err != nil {
		return err
	}
	found, err := r.step(capacity)
	if err != nil {
		return err
	}
	over := plan("3× overload", clicks(500, overload*found.AckedPerSecond))
	over.Duration, over.Drain = time.Minute, 0
	pressed, err := r.step(over)
	if err != nil {
		return err
	}
	calm := plan("recovery", clicks(64, found.AckedPerSecond/2))
	calm.Warmup = 0
	after, err := r.step(calm)
	if err != nil {
		return err
	}
	o := pressed.Traffic[0]
	r.note("Capacity %.0f events/s. At %d times that for %.0f s, %.0f%% of the capacity was acked; %d of %d refusals came without Retry-After, %d requests found no free connection in time.",
		found.AckedPerSecond, overload, pressed.Seconds, 100*pressed.AckedPerSecond/found.AckedPerSecond, o.NoRetryAfter, o.Refused, o.Unsent)
	if at, ok := after.Recovery(); ok {
		r.note("At half the capacity nothing was refused any more from %.1f s after the overload's end.", at)
	} else {
		r.note("At half the capacity requests were still refused %.0f s after the overload's end.", after.Seconds)
	}
	return nil
}

// maxFills is how often fill offers its load: a minute of it, or more.
const maxFills = 6

// fill offers a fresh daemon load until it refuses some: before that, what is acked says nothing about what drains. The
// steps of it are no result.
func (r *Runner) fill(p Plan) error {
	s, err := r.fresh(p)
	for n := 1; err == nil && s.Traffic[0].Refused == 0; n++ {
		if n == maxFills {
			return fmt.Errorf("nothing was refused in %d steps: the log's bound is too high for this machine", n)
		}
		s, err = r.step(p)
	}
	if err == nil {
		r.result.Steps = nil
	}
	return err
}

// Recovery is when the step's last refusal had been, in seconds from its start; false if they never ended.
func (s *Step) Recovery() (seconds float64, ok bool) {
	last := int64(0)
	for i, x := range s.Series {
		if x.Refused > last {
			last = x.Refused
			seconds, ok = x.Second, false
			if i+1 < len(s.Series) {
				ok = true
			}
		}
	}
	return seconds, last == 0 || ok
}
