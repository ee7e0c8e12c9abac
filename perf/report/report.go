// Package report draws the results of perf load as one HTML page: charts as SVG in the page itself, without scripts and
// without anything from elsewhere, so that it can be kept beside the results and read anywhere.
//
// Each figure says what it means and what it does not. What is drawn depends on what the results hold alone: the same
// results give the same page.
package report

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"firn/perf/load"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// content is what the page shows.
type content struct {
	Machines []machine
	Notes    []string
	Rows     []row
	Figures  []figure
	Runs     []course
}

// machine is where results were made, and of what.
type machine struct{ Name, Facts string }

// course is a run's figures over time, folded away at first unless they are what the run is about.
type course struct {
	Name    string
	Open    bool
	Figures []figure
}

// row is a run's line in the table.
type row struct {
	Behind, Name, Load, Acked, IntoTable, P50, P99, Server, Generator, Memory, Compression string
	Trouble                                                                                string
}

// Write draws results.
func Write(w io.Writer, results []*load.Result) error {
	if len(results) == 0 {
		return errors.New("draw report: no results were given")
	}
	var c content
	var runs []run
	c.Machines = machines(results)
	for _, r := range results {
		if r.Version != load.ResultVersion {
			return fmt.Errorf("draw report: a result of layout %d, this program knows %d: measure again, or draw it with the perf that measured it", r.Version, load.ResultVersion)
		}
		for _, n := range r.Notes {
			c.Notes = append(c.Notes, r.Scenario+": "+n)
		}
		for i := range r.Steps {
			if len(r.Steps[i].Traffic) == 0 {
				return fmt.Errorf("draw report: step %q of %s has no traffic", r.Steps[i].Name, r.Scenario)
			}
			runs = append(runs, run{&r.Steps[i], r})
		}
	}
	for _, r := range runs {
		c.Rows = append(c.Rows, rowOf(r))
	}
	if f, ok := throughput(runs); ok {
		c.Figures = append(c.Figures, f)
	}
	c.Figures = append(c.Figures, allPercentiles(runs)...)
	if f, ok := commitTimes(runs); ok {
		c.Figures = append(c.Figures, f)
	}
	for _, r := range runs {
		if figures := overTime(r); figures != nil {
			open := r.result.Scenario == "end-to-end" || r.result.Scenario == "backpressure" || len(runs) == 1
			c.Runs = append(c.Runs, course{r.name(), open, figures})
		}
	}
	if err := page.Execute(w, c); err != nil {
		return fmt.Errorf("draw report: %w", err)
	}
	return nil
}

// machines says where results were made, each place with its builds once.
func machines(results []*load.Result) (all []machine) {
	var facts []string
	names, syncs := map[string][]string{}, map[string][]float64{}
	for _, r := range results {
		f := describe(r)
		if names[f] == nil {
			facts = append(facts, f)
		}
		name := r.Scenario + " at " + r.Began.UTC().Format("15:04")
		if len(r.Server.Flags) > 0 {
			name += " (" + strings.Join(r.Server.Flags, " ") + ")"
		}
		names[f] = append(names[f], name)
		if r.Disk.Sync.Samples > 0 {
			syncs[f] = append(syncs[f], r.Disk.Sync.P50Ms)
		}
	}
	for _, f := range facts {
		m := machine{Name: strings.Join(names[f], ", "), Facts: f}
		if v := syncs[f]; v != nil {
			m.Facts += fmt.Sprintf(" · a sync of that disk took %s ms before the load (median of all; %s to %s)", number(median(v)), number(slices.Min(v)), number(slices.Max(v)))
		}
		all = append(all, m)
	}
	return all
}

// describe is what results made in one place, with one build, have in common.
func describe(r *load.Result) string {
	commit := r.Server.Revision
	if commit == "" {
		commit = r.Server.Version
	}
	facts := []string{
		r.Began.UTC().Format(time.DateOnly),
		fmt.Sprintf("%d cores of %s (%s), %s memory, Linux %s", r.Machine.Cores, r.Machine.CPU, r.Machine.Arch, size(float64(r.Machine.Memory)), r.Machine.Kernel),
		fmt.Sprintf("ingestd %s, %s; generator %s", short(commit), r.Server.Go, short(r.Generator.Revision)), r.Server.Durability,
	}
	if r.Disk.Filesystem != "" {
		facts = append(facts, fmt.Sprintf("log on %s, on a disk that calls itself %s", r.Disk.Filesystem, r.Disk.Kind))
	}
	return strings.Join(facts, " · ")
}

// short is a revision as people write it.
func short(revision string) string {
	if revision == "" {
		return "of an unknown commit"
	}
	if len(revision) >= 40 {
		return revision[:12] + revision[40:]
	}
	return revision
}

func rowOf(r run) row {
	w := r.writes()
	x := row{
		Name: r.name(), Acked: number(r.AckedPerSecond), IntoTable: number(r.IntoTable), P50: quantile(w.Latency, 0.5), P99: quantile(w.Latency, 0.99),
		Server: milliseconds(r.ServerMicros / 1000), Generator: milliseconds(r.GeneratorMicros / 1000), Memory: size(float64(r.PeakMemory)),
	}
	if r.ServerMicrosAll > 0 && r.Commits > 0 {
		x.Server += " / " + milliseconds(r.ServerMicrosAll/1000)
	}
	if r.Commits == 0 {
		x.IntoTable = ""
	}
	if r.BehindP50 > 0 {
		x.Behind = fmt.Sprintf("%s s", digits(r.BehindP50))
	}
	var loads []string
	for _, t := range r.Traffic {
		s := fmt.Sprintf("%d× %s, %d a request", t.Connections, t.Mix, t.Events)
		if t.Reads {
			s = fmt.Sprintf("%d× reads", t.Connections)
		}
		if t.Rate > 0 {
			s += fmt.Sprintf(", %s/s offered", number(t.Rate))
		}
		loads = append(loads, s)
		if t.Refused > 0 || t.LostConnections > 0 || t.Unsent > 0 {
			x.Trouble += fmt.Sprintf("%d refused, %d lost, %d unsent. ", t.Refused, t.LostConnections, t.Unsent)
		}
	}
	if r.Undrained > 0 {
		x.Trouble += fmt.Sprintf("%d events were not committed in time.", r.Undrained)
	}
	if r.OtherCores > load.Quiet {
		x.Trouble += fmt.Sprintf("Other processes took %s cores meanwhile. ", number(r.OtherCores))
	}
	x.Load = strings.Join(loads, "; ")
	if r.LogCompression > 0 {
		x.Compression = number(r.LogCompression) + "×"
		if r.ParquetCompression > 0 {
			x.Compression += " / " + number(r.ParquetCompression) + "×"
		}
	}
	return x
}

// size writes bytes.
func size(v float64) string {
	if v >= 1<<30 {
		return number(v/(1<<30)) + " GiB"
	}
	return number(v/(1<<20)) + " MiB"
}
