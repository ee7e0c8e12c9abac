package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"firn/perf/flame"
	"firn/perf/load"
	"firn/perf/payload"
)

// kinds are the profiles that perf profile takes, in two rounds: sampling locks and waits costs CPU, which would show
// in the first round's profiles.
var kinds = []struct {
	name, path, value string
	round             int
	title             string
	write             func(v int64) string
}{
	{"cpu", "profile", "cpu", 0, "CPU time, kernel's included", seconds},
	{"alloc", "allocs", "alloc_space", 0, "Bytes allocated", mebibytes},
	{"mutex", "mutex", "delay", 1, "Time that others waited for locks, by who held them", seconds},
	{"block", "block", "delay", 1, "Time that goroutines waited for locks and channels", seconds},
}

func seconds(v int64) string   { return time.Duration(v).Round(10 * time.Microsecond).String() }
func mebibytes(v int64) string { return fmt.Sprintf("%.1f MiB", float64(v)/(1<<20)) }

// runProfile is perf profile: an ingestd of its own under a closed loop, its profiles taken meanwhile, each as pprof
// wants it and as a flame graph.
func runProfile(args []string, out io.Writer) (err error) {
	var binary, dir, mix string
	var connections, events int
	var length time.Duration
	fs := flag.NewFlagSet("perf profile", flag.ContinueOnError)
	fs.StringVar(&binary, "ingestd", "bin/ingestd", "`program` to start; what follows -- are its flags")
	fs.StringVar(&dir, "o", "profiles", "`directory` for the profiles and their flame graphs")
	fs.StringVar(&mix, "mix", string(payload.Counters), "`kind` of events: counters, clicks or documents")
	fs.IntVar(&connections, "connections", 64, "`number` of connections")
	fs.IntVar(&events, "events", 100, "`number` of events in a request")
	fs.DurationVar(&length, "duration", 20*time.Second, "`time` for both rounds of profiles, a few seconds at least")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if length < 4*time.Second || length > 10*time.Minute {
		return fmt.Errorf("-duration %v: give 4s to 10m", length)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make directory for profiles: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	server, err := load.Start(ctx, binary, "", append([]string{"-admin", "127.0.0.1:0"}, fs.Args()...))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	plan := load.Plan{Name: "profile", Warmup: 2 * time.Second, Duration: length + time.Minute, // ended by cancel
		Traffic: []load.Traffic{{Table: "profile", Format: payload.Bulk, Mix: payload.Mix(mix), Events: events, Connections: connections}}}
	if err := plan.Validate(); err != nil {
		return err
	}
	var step *load.Step
	loaded := make(chan error, 1)
	go func() {
		var err error
		step, err = plan.Run(ctx, &server.Target)
		loaded <- err
	}()
	select {
	case <-time.After(plan.Warmup):
	case err := <-loaded:
		return errors.Join(errors.New("the load ended before the first profile"), err)
	}
	cpu, err := takeAll(ctx, server.Admin, dir, length)
	cancel()
	if err := errors.Join(err, <-loaded); err != nil {
		return err
	}
	stages, err := flame.Stages(cpu, "cpu")
	if err != nil {
		return err
	}
	kinds, err := flame.Shares(cpu, "cpu")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%.0f events/s acked, %.3f µs of server CPU an event while the load ran. By stage of an event's way, what it calls included:\n", step.AckedPerSecond, step.ServerMicros)
	for _, s := range stages {
		fmt.Fprintf(out, "  %5.1f %%  %.3f µs  %s\n", 100*s.Part, s.Part*step.ServerMicros, s.Name)
	}
	fmt.Fprintln(out, "By the function that ran itself:")
	for _, s := range kinds {
		fmt.Fprintf(out, "  %5.1f %%  %.3f µs  %s\n", 100*s.Part, s.Part*step.ServerMicros, s.Name)
	}
	_, err = fmt.Fprintf(out, "flame graphs and profiles: %s (cpu, alloc, mutex, block: .svg for a browser, .pprof for go tool pprof)\n", dir)
	return err
}

// takeAll takes the profiles round by round, leaves them and their flame graphs in dir, and returns that of the CPU.
func takeAll(ctx context.Context, admin, dir string, length time.Duration) (cpu *flame.Profile, err error) {
	for round := range 2 {
		type taken struct {
			kind int
			p    *flame.Profile
			err  error
		}
		results := make(chan taken, len(kinds))
		n := 0
		for i, k := range kinds {
			if k.round != round {
				continue
			}
			n++
			go func() {
				p, err := take(ctx, fmt.Sprintf("http://%s/debug/pprof/%s?seconds=%d", admin, k.path, int(length.Seconds()/2)), filepath.Join(dir, k.name+".pprof"))
				results <- taken{i, p, err}
			}()
		}
		for range n {
			r := <-results
			if r.err != nil {
				err = errors.Join(err, r.err)
				continue
			}
			k := kinds[r.kind]
			var svg bytes.Buffer
			err = errors.Join(err, flame.Graph{Title: k.title, Value: k.value, Write: k.write}.Draw(&svg, r.p), os.WriteFile(filepath.Join(dir, k.name+".svg"), svg.Bytes(), 0o644))
			if k.name == "cpu" {
				cpu = r.p
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return cpu, nil
}

// take fetches a profile, and leaves it in a file.
func take(ctx context.Context, url, path string) (*flame.Profile, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("take profile: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("take profile: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("take profile: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("take profile: %s: %s", resp.Status, text)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return nil, fmt.Errorf("keep profile: %w", err)
	}
	return flame.Parse(text)
}
