package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"time"
)

// loadConfig is one closed-loop run: each connection sends its next request when the last one was answered.
type loadConfig struct {
	addr        string
	table       string
	connections int
	events      int
	size        int
	duration    time.Duration
	drain       time.Duration
	pid         int
}

// loadResult is what a run prints.
type loadResult struct {
	Connections     int            `json:"connections"`
	EventsARequest  int            `json:"events_a_request"`
	PayloadBytes    int            `json:"payload_bytes"`
	Seconds         float64        `json:"seconds"`
	AckedEvents     int64          `json:"acked_events"`
	AckedPerSecond  float64        `json:"acked_events_per_second"`
	Statuses        map[string]int `json:"statuses"`
	P50Ms           float64        `json:"p50_ms"`
	P99Ms           float64        `json:"p99_ms"`
	MaxMs           float64        `json:"max_ms"`
	CommittedInLoad int64          `json:"committed_events_during_load"`
	DrainSeconds    float64        `json:"drain_seconds"`         // from the last ack until all is committed
	IntoTable       float64        `json:"into_table_per_second"` // acked events over load and drain time
	ServerCPUMicros float64        `json:"server_cpu_us_per_event,omitempty"`
	ServerRSSMiB    float64        `json:"server_peak_rss_mib,omitempty"`
	CPUs            int            `json:"cpus"`
	GoVersion       string         `json:"go"`
}

func load(args []string, out io.Writer) error {
	var c loadConfig
	fs := flag.NewFlagSet("perf load", flag.ContinueOnError)
	fs.StringVar(&c.addr, "addr", "127.0.0.1:8080", "`address` of ingestd, a loopback one")
	fs.StringVar(&c.table, "table", "load", "`table` to send to")
	fs.IntVar(&c.connections, "connections", 64, "`number` of connections, each a closed loop")
	fs.IntVar(&c.events, "events", 100, "`number` of events in a request")
	fs.IntVar(&c.size, "size", 82, "`bytes` of a payload, about")
	fs.DurationVar(&c.duration, "duration", 10*time.Second, "`time` to send for")
	fs.DurationVar(&c.drain, "drain", time.Minute, "longest `time` to wait until everything is committed")
	fs.IntVar(&c.pid, "pid", 0, "process `id` of ingestd, to report its CPU and memory")
	if err := fs.Parse(args); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not a loopback address: perf puts load on this machine alone", host)
	}
	if c.connections < 1 || c.events < 1 || c.duration <= 0 {
		return errors.New("-connections, -events and -duration must be positive")
	}
	r, err := run(c)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// worker is one connection's tally.
type worker struct {
	acked     int64
	statuses  map[string]int
	latencies []time.Duration
	err       error
}

func run(c loadConfig) (*loadResult, error) {
	before, err := watermarks(c)
	if err != nil && !errors.Is(err, errNoTable) {
		return nil, err
	}
	cpu0 := processCPU(c.pid)
	seed := uint64(time.Now().UnixNano())
	workers := make([]worker, c.connections)
	var wg sync.WaitGroup
	start := time.Now()
	deadline := start.Add(c.duration)
	for i := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			req := newRequest(c.addr, c.table, c.events, c.size, uint64(i)+1, uint64(c.connections), seed)
			workers[i].loop(c.addr, req, deadline)
		}()
	}
	wg.Wait()
	loaded := time.Since(start)
	during, err := watermarks(c)
	if err != nil {
		return nil, err
	}
	r := &loadResult{
		Connections: c.connections, EventsARequest: c.events, PayloadBytes: c.size, Seconds: loaded.Seconds(),
		Statuses: map[string]int{}, CommittedInLoad: during.committed - before.committed,
		CPUs: runtime.NumCPU(), GoVersion: runtime.Version(),
	}
	var all []time.Duration
	for _, w := range workers {
		if w.err != nil {
			return nil, w.err
		}
		r.AckedEvents += w.acked
		all = append(all, w.latencies...)
		for k, n := range w.statuses {
			r.Statuses[k] += n
		}
	}
	r.AckedPerSecond = float64(r.AckedEvents) / loaded.Seconds()
	slices.Sort(all)
	at := func(q float64) float64 {
		return float64(all[min(len(all)-1, int(q*float64(len(all))))].Microseconds()) / 1000
	}
	if len(all) > 0 {
		r.P50Ms, r.P99Ms, r.MaxMs = at(0.50), at(0.99), at(1)
	}
	for end := time.Now().Add(c.drain); ; time.Sleep(50 * time.Millisecond) {
		w, err := watermarks(c)
		if err != nil {
			return nil, err
		}
		if w.committed == w.high {
			break
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("after %v of waiting %d events are not committed", c.drain, w.high-w.committed)
		}
	}
	r.DrainSeconds = (time.Since(start) - loaded).Seconds()
	r.IntoTable = float64(r.AckedEvents) / time.Since(start).Seconds()
	if c.pid != 0 && r.AckedEvents > 0 {
		r.ServerCPUMicros = float64((processCPU(c.pid) - cpu0).Microseconds()) / float64(r.AckedEvents)
		r.ServerRSSMiB = peakRSS(c.pid)
	}
	return r, nil
}

func (w *worker) loop(addr string, req *request, deadline time.Time) {
	w.statuses = map[string]int{}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		w.err = err
		return
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 4096)
	for time.Now().Before(deadline) {
		began := time.Now()
		if _, err := conn.Write(req.fill()); err != nil {
			w.err = fmt.Errorf("send: %w", err)
			return
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			w.err = fmt.Errorf("read answer: %w", err)
			return
		}
		_, err = io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil {
			w.err = fmt.Errorf("read answer: %w", err)
			return
		}
		w.statuses[resp.Status]++
		if resp.StatusCode == http.StatusOK {
			w.acked += int64(len(req.counter))
			w.latencies = append(w.latencies, time.Since(began))
			continue
		}
		time.Sleep(50 * time.Millisecond) // refused: a polite producer backs off
	}
}

// totals are a table's watermarks, summed over its logs.
type totals struct{ committed, high int64 }

var errNoTable = errors.New("no such table")

func watermarks(c loadConfig) (totals, error) {
	resp, err := http.Get("http://" + c.addr + "/tables/" + c.table + "/watermark")
	if err != nil {
		return totals{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return totals{}, errNoTable
	}
	if resp.StatusCode != http.StatusOK {
		return totals{}, fmt.Errorf("watermark: %s", resp.Status)
	}
	var body struct {
		Logs []struct {
			Committed int64 `json:"committed"`
			High      int64 `json:"high"`
		} `json:"logs"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		return totals{}, fmt.Errorf("watermark: %w", err)
	}
	var t totals
	for _, l := range body.Logs {
		t.committed += l.Committed
		t.high += l.High
	}
	return t, nil
}
