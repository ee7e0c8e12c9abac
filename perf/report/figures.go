package report

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"

	"firn/perf/hist"
	"firn/perf/load"
	"firn/perf/payload"
)

// figure is a chart with what a reader needs beside it.
type figure struct {
	Title string
	Chart template.HTML
	Means string // what it shows
	Not   string // what it does not
}

func newFigure(c Chart, means, not string) figure {
	return figure{Title: c.Title, Chart: c.draw(), Means: means, Not: not}
}

// run is a step with the result that it belongs to.
type run struct {
	*load.Step
	result *load.Result
}

// name tells a run from the others of a report.
func (r run) name() string {
	if r.Name == r.result.Scenario || r.result.Scenario == "load" {
		return r.Name
	}
	return r.result.Scenario + ": " + r.Name
}

// writes is the run's first traffic that sends events.
func (r run) writes() *load.Outcome {
	for i := range r.Traffic {
		if !r.Traffic[i].Reads {
			return &r.Traffic[i]
		}
	}
	return &r.Traffic[0]
}

// throughput draws acked and committed rates over the number of connections: of the closed loops that differ in nothing
// else.
func throughput(runs []run) (figure, bool) {
	c := Chart{Title: "Throughput by concurrency", X: Axis{Label: "connections", Log: true}, Y: Axis{Label: "events a second", Zero: true}}
	var scenarios []string
	groups := map[string]map[int][]run{} // by scenario and connections
	places := map[int]bool{}
	for _, r := range runs {
		w := r.writes()
		if len(r.Traffic) != 1 || w.Rate > 0 || w.Format != payload.Bulk || w.Mix != payload.Counters || w.Events != 100 || w.Partitions > 0 || w.Times != "" || w.Think > 0 {
			continue
		}
		s := r.result.Scenario
		if groups[s] == nil {
			scenarios, groups[s] = append(scenarios, s), map[int][]run{}
		}
		groups[s][w.Connections] = append(groups[s][w.Connections], r)
	}
	for _, s := range scenarios {
		if len(groups[s]) < 2 {
			continue
		}
		acked, committed := Line{Name: s + ": acked", Marks: true}, Line{Name: s + ": committed meanwhile", Marks: true, Dashed: true}
		shipped := false
		for _, n := range sortedKeys(groups[s]) {
			var a, b []float64
			for _, r := range groups[s][n] {
				a, b = append(a, r.AckedPerSecond), append(b, r.CommittedPerSecond)
				shipped = shipped || r.Commits > 0
			}
			acked.Points = append(acked.Points, Point{float64(n), median(a)})
			committed.Points = append(committed.Points, Point{float64(n), median(b)})
			if !places[n] {
				places[n] = true
				c.X.Names = append(c.X.Names, Tick{float64(n), fmt.Sprint(n)})
			}
		}
		if c.Lines = append(c.Lines, acked); shipped {
			c.Lines = append(c.Lines, committed)
		}
	}
	if len(c.Lines) == 0 {
		return figure{}, false
	}
	slices.SortFunc(c.X.Names, func(a, b Tick) int { return cmp.Compare(a.At, b.At) })
	return newFigure(c,
		"How many durable events a second are acked with so many connections, each sending its next 100 events when the last were acked (medians of the runs); and how many reached the table meanwhile.",
		"What can be held for hours: a run lasts seconds, and the backlog may grow; compare the two lines. Nor what another machine does: the generator took its CPU from the same cores."), true
}

// together is the title of what scenarios of one step share.
const together = "all scenarios of one step"

// allPercentiles draws the latencies of each scenario that has several steps, and of the others together.
func allPercentiles(runs []run) (all []figure) {
	var titles []string
	groups := map[string][]run{}
	for _, r := range runs {
		title := together
		if len(r.result.Steps) > 1 {
			title = r.result.Scenario
		}
		if groups[title] == nil {
			titles = append(titles, title)
		}
		groups[title] = append(groups[title], r)
	}
	for _, title := range titles {
		for g := range slices.Chunk(groups[title], colors) {
			if f, ok := percentiles(title, g); ok {
				all = append(all, f)
			}
		}
	}
	return all
}

// percentiles draws latencies over the fraction of requests that were at least as quick, the slowest tenths stretched.
func percentiles(title string, runs []run) (figure, bool) {
	c := Chart{Title: "Latency percentiles: " + title, X: Axis{Label: "fraction of requests acked within that time"}, Y: Axis{Label: "time to the ack", Log: true, Write: milliseconds}}
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999, 0.9999} {
		c.X.Names = append(c.X.Names, Tick{nines(q), fmt.Sprintf("%g %%", math.Round(q*1e6)/1e4)})
	}
	closed := false
	for _, r := range runs {
		w := r.writes()
		count := w.Latency.Count()
		if count == 0 || len(c.Lines) == colors {
			continue
		}
		closed = closed || w.Rate == 0
		name := r.Name
		if title == together {
			name = r.name()
		}
		l := Line{Name: name, Dashed: w.Rate == 0}
		for x := nines(0.2); x <= nines(0.9999)+1e-9; x += 0.05 {
			q := 1 - math.Pow(10, -x)
			if float64(count)*(1-q) < 1 { // beyond the slowest request there is nothing to know
				break
			}
			l.Points = append(l.Points, Point{x, w.Latency.Quantile(q).Seconds() * 1000})
		}
		c.Lines = append(c.Lines, l)
	}
	if len(c.Lines) == 0 {
		return figure{}, false
	}
	not := "How long another disk takes: an ack waits for a sync."
	if closed {
		not += " Closed loops (dashed) leave out the requests that a stall kept from being sent: their right ends are too low."
	}
	return newFigure(c, "How long requests waited for their acks, the slowest ones to the right. In an open loop time counts from when a request was due, so that a stall shows in all requests that were due meanwhile.", not), true
}

// nines is the place of a quantile on an axis of nines: 0.9 at 1, 0.99 at 2.
func nines(q float64) float64 { return -math.Log10(1 - q) }

// overTime are the figures of one run that has lasted long enough to have a course.
func overTime(r run) (all []figure) {
	if len(r.Series) < 6 {
		return nil
	}
	bands := phases(r.Series)
	window := math.Max(2, r.Series[len(r.Series)-1].Second/12)
	rates := Chart{Title: "Pipeline rates: " + r.name(), X: Axis{Label: "seconds since the step began", Zero: true, Tight: true}, Y: Axis{Label: "events a second", Zero: true}, Bands: bands}
	for _, l := range []struct {
		name  string
		value func(load.Sample) int64
	}{
		{"offered", func(s load.Sample) int64 { return s.Offered }}, {"acked", func(s load.Sample) int64 { return s.Logged }},
		{"staged", func(s load.Sample) int64 { return s.Staged }}, {"committed", func(s load.Sample) int64 { return s.Committed }},
		{"queryable", func(s load.Sample) int64 { return s.Queryable }},
	} {
		if line := rateOf(r.Series, l.name, window, l.value); len(line.Points) > 0 {
			line.Dashed = l.name == "offered" || l.name == "queryable"
			rates.Lines = append(rates.Lines, line)
		}
	}
	all = append(all, newFigure(rates,
		fmt.Sprintf("How fast events passed each point of the pipeline, over a sliding window of %.0f s: acked (synced to the log), staged (in data files), committed (by the committer's count), queryable (in the snapshot that the table's newest metadata names).", window),
		"That it stalls where a line has steps: those are the cut interval and the size of segments. Staged counts rows of encoded files, so that a segment which is encoded twice counts twice."))

	backlog := Chart{Title: "Backlog: " + r.name(), X: rates.X, Y: Axis{Label: "events acked and not committed", Zero: true}, Bands: bands}
	backlog.Lines = []Line{series(r.Series, "backlog", func(s load.Sample) float64 { return float64(s.Backlog) })}
	all = append(all, newFigure(backlog,
		"How many acked events are not in the table yet. Where it is level the pipeline keeps up; where it rises it does not, and at its bound producers get 503.",
		"That events are late: on purpose they wait for their segment to be cut, so that the height is at least the rate times the cut interval."))

	memory := Chart{Title: "Memory and log: " + r.name(), X: rates.X, Y: Axis{Label: "MiB", Zero: true}, Bands: bands}
	for _, l := range []struct {
		name  string
		value func(load.Sample) int64
	}{
		{"resident", func(s load.Sample) int64 { return s.Resident }}, {"Go heap in use", func(s load.Sample) int64 { return s.Heap }},
		{"RocksDB's", func(s load.Sample) int64 { return s.StoreMemory }}, {"log on the disk", func(s load.Sample) int64 { return s.LogBytes }},
	} {
		memory.Lines = append(memory.Lines, series(r.Series, l.name, func(s load.Sample) float64 { return float64(l.value(s)) / (1 << 20) }))
	}
	memory.Lines[3].Dashed = true
	return append(all, newFigure(memory, "What the server holds. The heap's soft limit is 320 MiB unless set otherwise; a level line is what is promised.",
		"How much it needs: the heap is let grow up to its limit before it is collected hard. Nor whether it leaks slowly, unless the run is long."))
}

// commitTimes draws how long commits took over how many there had been.
func commitTimes(runs []run) (figure, bool) {
	c := Chart{Title: "Commit time by table age", X: Axis{Label: "commits to the table so far"}, Y: Axis{Label: "mean time of a commit", Log: true, Write: milliseconds}}
	for _, r := range runs {
		if r.writes().Tables > 1 || len(c.Lines) == colors {
			continue
		}
		l := Line{Name: r.name(), Dots: true}
		for i := 1; i < len(r.Series); i++ {
			was, is := r.Series[i-1], r.Series[i]
			if n := is.Commits - was.Commits; n > 0 {
				l.Points = append(l.Points, Point{float64(is.Commits), 1000 * (is.CommitSum - was.CommitSum) / float64(n)})
			}
		}
		if len(l.Points) >= 3 {
			c.Lines = append(c.Lines, l)
		}
	}
	if len(c.Lines) == 0 {
		return figure{}, false
	}
	return newFigure(c, "How long commits took, from the request's arrival at the committer to the swap, as the table's metadata grew.",
		"What a commit costs: on a busy machine it waits for the CPU and for syncs among everything else. Its own CPU and requests by age are measured alone in perf/growth."), true
}

// rateOf is the course of a count's rate over a sliding window; empty where nothing was counted.
func rateOf(all []load.Sample, name string, window float64, value func(load.Sample) int64) Line {
	l := Line{Name: name}
	from, any := 0, false
	for i, s := range all {
		for from < i && s.Second-all[from+1].Second >= window && from+1 < i {
			from++
		}
		if took := s.Second - all[from].Second; took > 0.2 {
			v := float64(value(s)-value(all[from])) / took
			any = any || v > 0
			l.Points = append(l.Points, Point{s.Second, math.Max(0, v)})
		}
	}
	if !any {
		l.Points = nil
	}
	return l
}

func series(all []load.Sample, name string, value func(load.Sample) float64) Line {
	l := Line{Name: name}
	for _, s := range all {
		l.Points = append(l.Points, Point{s.Second, value(s)})
	}
	return l
}

// phases are the stretches of a run that are not its load.
func phases(all []load.Sample) (bands []Band) {
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].Phase == all[i].Phase {
			j++
		}
		if all[i].Phase != "load" && j > i {
			bands = append(bands, Band{all[i].Second, all[min(j, len(all)-1)].Second, all[i].Phase})
		}
		i = j
	}
	return bands
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

func sortedKeys[V any](m map[int]V) []int {
	var keys []int
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// quantile is a quantile as text.
func quantile(s hist.Snapshot, q float64) string { return milliseconds(s.Quantile(q).Seconds() * 1000) }
