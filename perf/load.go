package main

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"firn/perf/load"
	"firn/perf/payload"
)

// loadFlags are what perf load is told.
type loadFlags struct {
	scenario                     string
	addr, data, binary, dir, out string
	pid                          int
	table, mix, format           string
	ack, times                   string
	connections, events, size    int
	tables, partitions           int
	rate                         float64
	warmup, duration, drain      time.Duration
	server                       []string
}

func (c *loadFlags) parse(args []string) error {
	fs := flag.NewFlagSet("perf load", flag.ContinueOnError)
	fs.StringVar(&c.scenario, "scenario", "", "`name` of a measurement to make in place of the one step that the flags describe: perf scenarios lists them; of the flags below only -addr to -o and -duration count then")
	fs.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` of a running ingestd, a loopback one")
	fs.IntVar(&c.pid, "pid", 0, "process `id` of that ingestd, to report its peak memory exactly")
	fs.StringVar(&c.data, "data", "", "data `directory` of that ingestd, to report its disk and what readers see")
	fs.StringVar(&c.binary, "ingestd", "", "`program` to start instead, in a temporary directory; what follows -- are its flags")
	fs.StringVar(&c.dir, "dir", "", "`directory` to make the temporary one in: its disk is what is measured")
	fs.StringVar(&c.out, "o", "", "`file` for the result (default: standard output)")
	fs.StringVar(&c.table, "table", "load", "`table` to send to")
	fs.IntVar(&c.connections, "connections", 64, "`number` of connections")
	fs.IntVar(&c.events, "events", 100, "`number` of events in a request")
	fs.StringVar(&c.format, "format", string(payload.Bulk), "`format` of requests: bulk, ndjson or single")
	fs.StringVar(&c.mix, "mix", string(payload.Counters), "`kind` of events: counters (82 bytes), clicks (1 KiB) or documents (20 KB)")
	fs.IntVar(&c.size, "size", payload.DefaultSize, "`bytes` of a counter's payload, 62 at least")
	fs.Float64Var(&c.rate, "rate", 0, "`events` a second to offer in an open loop: latencies count from when a request was due. 0 is a closed loop, as fast as it goes")
	fs.IntVar(&c.tables, "tables", 1, "`number` of tables; above 1 they are called <table>_00000 and so on")
	fs.IntVar(&c.partitions, "partitions", 0, "`number` of partitions to name at random; 0: none")
	fs.StringVar(&c.times, "times", "", "event `times`: warp:60 (60 times as fast as the clock), scatter:365 or replay:365 (days past); empty: the time of receipt")
	fs.StringVar(&c.ack, "ack", "", "`point` at which the server replies: log, staged or committed")
	fs.DurationVar(&c.warmup, "warmup", 0, "`time` to send for before anything counts")
	fs.DurationVar(&c.duration, "duration", 0, "`time` to send for (default: 10s, or as the scenario says)")
	fs.DurationVar(&c.drain, "drain", time.Minute, "longest `time` to wait until everything is committed")
	if err := fs.Parse(args); err != nil {
		return err
	}
	c.server = fs.Args()
	if c.duration < 0 {
		return fmt.Errorf("-duration %v: give a time", c.duration)
	}
	if c.binary == "" && len(c.server) > 0 {
		return fmt.Errorf("%q: flags for ingestd need -ingestd, which starts one", c.server)
	}
	return nil
}

// plan is the one step that the flags ask for.
func (c *loadFlags) plan() load.Plan {
	t := load.Traffic{
		Table: c.table, Tables: c.tables, Format: payload.Format(c.format), Mix: payload.Mix(c.mix), Events: c.events, Connections: c.connections,
		Rate: c.rate, Partitions: c.partitions, Times: c.times, Ack: c.ack,
	}
	if t.Mix == payload.Counters {
		t.Size = c.size
	}
	if t.Format == payload.Single {
		t.Events = 1
	}
	return load.Plan{Name: "load", Traffic: []load.Traffic{t}, Warmup: c.warmup, Duration: cmp.Or(c.duration, 10*time.Second), Drain: c.drain}
}

func runLoad(args []string, out io.Writer) error {
	var c loadFlags
	if err := c.parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r := load.Runner{Binary: c.binary, Dir: c.dir, Flags: c.server, Duration: c.duration, Log: progress}
	if c.binary == "" {
		r.Running = &load.Target{Addr: c.addr, PID: c.pid, Data: c.data}
		if c.data != "" {
			r.Running.Warehouse = filepath.Join(c.data, "warehouse", "default")
		}
	}
	p := c.plan()
	if err := p.Validate(); err != nil {
		return err
	}
	s := load.Alone(p)
	if c.scenario != "" {
		found, err := load.Find(c.scenario)
		if err != nil {
			return fmt.Errorf("%w: perf scenarios lists them", err)
		}
		s = found
	}
	result, err := r.Run(ctx, s)
	if err != nil {
		return err
	}
	return writeResult(result, c.out, out)
}

// progress tells of long runs on standard error; results go to standard output.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

// listScenarios is perf scenarios.
func listScenarios(_ []string, out io.Writer) error {
	for _, s := range load.Scenarios {
		if _, err := fmt.Fprintf(out, "%-16s %s\n", s.Name, s.About); err != nil {
			return err
		}
	}
	return nil
}

// writeResult writes a result as JSON to a file, or to out where none is named.
func writeResult(r *load.Result, path string, out io.Writer) error {
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	text = append(text, '\n')
	if path != "" {
		err = os.WriteFile(path, text, 0o644)
	} else {
		_, err = out.Write(text)
	}
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}
