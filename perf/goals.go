package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"firn/perf/goals"
	"firn/perf/load"
	"firn/perf/report"
)

// runGoals is perf goals: all scenarios with a goal, each goal beside what was measured, and the results in a folder. A
// goal that is missed is no error: the machine may be a small one.
func runGoals(args []string, out io.Writer) error {
	var r load.Runner
	var dir string
	var runs int
	fs := flag.NewFlagSet("perf goals", flag.ContinueOnError)
	fs.StringVar(&r.Binary, "ingestd", "bin/ingestd", "`program` to measure; what follows -- are its flags")
	fs.StringVar(&r.Dir, "dir", "", "`directory` to make temporary ones in: its disk is what is measured")
	fs.StringVar(&dir, "o", "perf-results", "`directory` for the results and their report")
	fs.IntVar(&runs, "runs", 1, "`number` of runs of each scenario; medians count")
	fs.DurationVar(&r.Duration, "duration", 0, "`time` of each step (default: as its scenario says)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if runs < 1 || runs > 100 || r.Duration < 0 || r.Duration > time.Hour {
		return fmt.Errorf("-runs %d, -duration %v: give 1 to 100 runs, of an hour a step at most", runs, r.Duration)
	}
	r.Flags, r.Log = fs.Args(), progress
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make directory for results: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	byScenario, err := goals.Measure(ctx, &r, runs)
	if err != nil {
		return err
	}
	var all []*load.Result
	for _, s := range load.Scenarios {
		for i, result := range byScenario[s.Name] {
			if err := writeResult(result, filepath.Join(dir, fmt.Sprintf("%s-%d.json", s.Name, i+1)), nil); err != nil {
				return err
			}
			all = append(all, result)
		}
	}
	page := filepath.Join(dir, "report.html")
	f, err := os.Create(page)
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	defer f.Close()
	if err := report.Write(f, all); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	missed, err := goals.Print(out, byScenario)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d of %d goals missed; results and figures: %s\n", missed, len(goals.All), page)
	return err
}

// runLimits is perf limits.
func runLimits(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("perf limits", flag.ContinueOnError)
	dir := fs.String("dir", "", "`directory` whose disk is measured (default: the system's for temporary files)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	all, err := load.Limits(ctx, *dir)
	if err != nil {
		return err
	}
	for _, l := range all {
		text := fmt.Sprintf("%-7s p50 %8.3f ms  %7.1f MB/s", l.Stage, l.P50.Seconds()*1000, l.Bytes/1e6)
		if l.Events > 0 {
			text += fmt.Sprintf("  %9.0f events/s at %.2f µs of CPU each, both sides", l.Events, l.Micros)
		}
		if _, err := fmt.Fprintf(out, "%s  %s\n", text, l.What); err != nil {
			return err
		}
	}
	return nil
}
