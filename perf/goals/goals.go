// Package goals measures Firn against the speed that it aims at, and says for each goal how far it is.
//
// It is a short form: seconds for what is meant to hold for hours, one machine, and the generator on the same cores.
// A goal that is missed is printed as missed; there are no margins.
package goals

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"firn/perf/load"
)

// Goal is a figure to reach in one scenario.
type Goal struct {
	Scenario string
	What     string
	Bound    float64
	AtMost   bool // else at least
	Write    func(v float64) string
	value    func(r *load.Result) float64
}

func rate(v float64) string   { return fmt.Sprintf("%.0f/s", v) }
func micros(v float64) string { return fmt.Sprintf("%.2f µs", v) }
func millis(v float64) string { return fmt.Sprintf("%.2f ms", v) }
func part(v float64) string   { return fmt.Sprintf("%.0f %%", 100*v) }
func megas(v float64) string  { return fmt.Sprintf("%.0f MB", v/1e6) }
func count(v float64) string  { return fmt.Sprintf("%.0f", v) }
func secs(v float64) string   { return fmt.Sprintf("%.1f s", v) }

// All are the goals that are measured here, by scenario.
var All = []Goal{
	{"acks", "bulk, 100 × 82 B a request, nothing shipped: acked events at the best of 50 to 500 connections", 1_500_000, false, rate, func(r *load.Result) float64 { return slices.Max(concurrent(r, acked)) }},
	{"acks", "… the slowest concurrency beside the best", 0.7, false, part, func(r *load.Result) float64 {
		all := concurrent(r, acked)
		return slices.Min(all) / slices.Max(all)
	}},
	{"acks", "… p99 at 500 connections", 100, true, millis, func(r *load.Result) float64 { return step(r, 3).Traffic[0].P99Ms }},
	{"acks", "… server CPU an event, the worst concurrency", 0.6, true, micros, func(r *load.Result) float64 {
		return slices.Max(concurrent(r, func(s *load.Step) float64 { return s.ServerMicros }))
	}},
	{"acks", "bulk, 1,000 events a request: acked events", 2_000_000, false, rate, func(r *load.Result) float64 { return acked(step(r, 4)) }},
	{"end-to-end", "bulk, shipped and committed each 10 s: events committed while the load runs", 1_000_000, false, rate, func(r *load.Result) float64 { return step(r, 0).CommittedPerSecond }},
	{"end-to-end", "… backlog at the end beside the middle of the run (level: 110 % at most)", 1.1, true, part, func(r *load.Result) float64 { return growth(step(r, 0)) }},
	{"end-to-end", "… server CPU an event, all told", 1.0, true, micros, func(r *load.Result) float64 { return step(r, 0).ServerMicrosAll }},
	{"end-to-end", "… peak resident memory", 400e6, true, megas, func(r *load.Result) float64 { return float64(step(r, 0).PeakMemory) }},
	{"payloads", "1 KiB events, 100 a request, into the table: payload a second for each core that ingestd takes", 100e6, false, megas, func(r *load.Result) float64 { return step(r, 1).PerServerCore }},
	{"single", "single events, 64 connections: requests", 40_000, false, rate, func(r *load.Result) float64 { return step(r, 0).RequestsASecond }},
	{"idle", "one event at rest: what the median ack takes beyond the disk's median sync", 0.2, true, millis, func(r *load.Result) float64 {
		s := step(r, 0)
		if s.Fsync == nil {
			return s.Traffic[0].P50Ms
		}
		return s.Traffic[0].P50Ms - s.Fsync.P50Ms
	}},
	{"backpressure", "3× overload: acked beside the capacity", 0.9, false, part, func(r *load.Result) float64 { return acked(step(r, 1)) / acked(step(r, 0)) }},
	{"backpressure", "… refusals without Retry-After", 0, true, count, func(r *load.Result) float64 { return float64(step(r, 1).Traffic[0].NoRetryAfter) }},
	{"backpressure", "… peak resident memory", 400e6, true, megas, func(r *load.Result) float64 { return float64(step(r, 1).PeakMemory) }},
	{"backpressure", "… last refusal after the overload's end, at half the capacity", 1, true, secs, func(r *load.Result) float64 {
		s := step(r, 2)
		at, ok := s.Recovery()
		if !ok {
			return s.Seconds
		}
		return at
	}},
	{"many-tables", "1,000 tables at an event a second each: peak resident memory", 400e6, true, megas, func(r *load.Result) float64 { return float64(step(r, 0).PeakMemory) }},
	{"many-tables", "… commits in all", 20, true, rate, func(r *load.Result) float64 { return commitRate(step(r, 0)) }},
}

// Elsewhere are the goals that need more than one daemon and a generator, and what measures them.
var Elsewhere = []string{
	"sustained for 10 minutes: perf load -ingestd bin/ingestd -scenario end-to-end -duration 10m; memory without a trend: make soak",
	"memory on a host of 1 GB, all its troubles at once: TestSmallHost in perf/e2e; queryable latency in AWS's shape: TestQueryableLatency in perf/e2e/aws",
	"cost of a warm commit: perf/cost, perf/growth, perf/schemacache",
}

func step(r *load.Result, i int) *load.Step { return &r.Steps[i] }

func acked(s *load.Step) float64 { return s.AckedPerSecond }

// concurrent is a figure of each concurrency of the scenario acks.
func concurrent(r *load.Result, value func(*load.Step) float64) (all []float64) {
	for i := range load.Concurrencies {
		all = append(all, value(step(r, i)))
	}
	return all
}

// growth is the mean backlog in the last third of a step's load beside that in the third before.
func growth(s *load.Step) float64 {
	var sums, counts [3]float64
	begin, end := float64(-1), float64(0)
	for _, x := range s.Series {
		if x.Phase == "load" {
			if begin < 0 {
				begin = x.Second
			}
			end = x.Second
		}
	}
	for _, x := range s.Series {
		if x.Phase == "load" && end > begin {
			third := min(2, int(3*(x.Second-begin)/(end-begin)))
			sums[third] += float64(x.Backlog)
			counts[third]++
		}
	}
	if sums[1] == 0 || counts[2] == 0 {
		return 0
	}
	return sums[2] / counts[2] / (sums[1] / counts[1])
}

// commitRate is commits a second while a step's load ran.
func commitRate(s *load.Step) float64 {
	var first, last *load.Sample
	for i := range s.Series {
		if x := &s.Series[i]; x.Phase == "load" {
			first, last = cmp.Or(first, x), x
		}
	}
	if first == nil || last.Second <= first.Second {
		return 0
	}
	return float64(last.Commits-first.Commits) / (last.Second - first.Second)
}

// Measure runs the scenarios of all goals, each so many times in turn, and returns the results by scenario.
func Measure(ctx context.Context, r *load.Runner, runs int) (map[string][]*load.Result, error) {
	all := map[string][]*load.Result{}
	for range runs {
		for _, name := range scenarios() {
			s, err := load.Find(name)
			if err != nil {
				return nil, err
			}
			result, err := r.Run(ctx, s)
			if err != nil {
				return nil, err
			}
			all[name] = append(all[name], result)
		}
	}
	return all, nil
}

// scenarios are those that the goals need, in their order.
func scenarios() (names []string) {
	for _, g := range All {
		if !slices.Contains(names, g.Scenario) {
			names = append(names, g.Scenario)
		}
	}
	return names
}

// Print writes each goal beside the median of what was measured, with the verdict, and returns how many were missed.
func Print(w io.Writer, results map[string][]*load.Result) (missed int, err error) {
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format, args...)
		}
	}
	line("%-7s %14s %14s  %s\n", "", "goal", "measured", "what (medians of the runs)")
	for _, g := range All {
		var values []float64
		for _, r := range results[g.Scenario] {
			values = append(values, g.value(r))
		}
		if len(values) == 0 {
			continue
		}
		slices.Sort(values)
		v := values[len(values)/2]
		verdict, sign := "met", "≥ "
		if g.AtMost {
			sign = "≤ "
		}
		if g.AtMost && v > g.Bound || !g.AtMost && v < g.Bound {
			verdict = "MISSED"
			missed++
		}
		line("%-7s %14s %14s  %s\n", verdict, sign+g.Write(g.Bound), g.Write(v), g.What)
	}
	if busy := busiest(results); busy > load.Quiet {
		line("The machine was not quiet: in one step other processes took %.1f cores. Rates and latencies are theirs too; CPU an event is less so.\n", busy)
	}
	for _, s := range Elsewhere {
		line("not here: %s\n", s)
	}
	return missed, err
}

// busiest is the most that other processes took of the machine during any step.
func busiest(results map[string][]*load.Result) (cores float64) {
	for _, all := range results {
		for _, r := range all {
			for i := range r.Steps {
				cores = max(cores, r.Steps[i].OtherCores)
			}
		}
	}
	return cores
}
