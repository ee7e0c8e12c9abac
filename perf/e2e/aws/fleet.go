package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/ingestd/phase"
	"firn/perf/e2e"
)

const (
	// hangTime bounds how long requests may go on after their daemon's death.
	hangTime = time.Minute
	// drainTime bounds a drain: the first request in flight is sent again after 30 s, and then after a minute.
	drainTime = 3 * time.Minute
)

// shipping are the phases of a daemon that commits through a queue, by number: all but the swap.
var shipping = func() (all []int) {
	for i, name := range phase.Names {
		if name != "swap" {
			all = append(all, i)
		}
	}
	return all
}()

// node is one ingestd with its data directory and its producers, across its runs.
type node struct {
	t         testing.TB
	name      string
	data      string
	flags     []string
	env       []string
	producers *e2e.Producers
	seed      uint64

	daemon *e2e.Daemon
	phases *e2e.PhaseFile
	runs   int                // of the daemon
	loads  int                // of the producers
	end    context.CancelFunc // of the producers' run
	ended  chan struct{}
}

// newNode makes a daemon's place; start starts it. Its producers' numbers begin at 1000 times number.
func (p *pipeline) newNode(ledger *e2e.Ledger, number, producers int, seed uint64, tables []string, flags ...string) *node {
	p.t.Helper()
	return &node{
		t: p.t, name: fmt.Sprintf("node %d", number), data: p.t.TempDir(), flags: flags, env: p.daemonEnv(), seed: seed + uint64(number)<<32,
		producers: e2e.NewProducers(ledger, 1000*number, producers, tables...),
	}
}

// options is how the node's daemon is started this time.
func (n *node) options() e2e.Options {
	return e2e.Options{Data: n.data, Flags: n.flags, Env: n.env}
}

// start starts the daemon, and its producers.
func (n *node) start() {
	n.t.Helper()
	o := n.options()
	n.runs++
	file := filepath.Join(n.t.TempDir(), fmt.Sprintf("phases-%d", n.runs))
	o.Env = append(append([]string{}, o.Env...), "FIRN_PHASE_FILE="+file)
	n.daemon = e2e.Start(n.t, o)
	n.phases = e2e.MapPhases(n.t, file)
	n.load()
}

// load starts the producers, until rest.
func (n *node) load() {
	n.loads++
	ctx, cancel := context.WithCancel(context.Background())
	n.end, n.ended = cancel, make(chan struct{})
	go func(url string, seed uint64, ended chan struct{}) {
		defer close(ended)
		n.producers.Run(ctx, n.t, url, seed)
	}(n.daemon.URL, n.seed+uint64(n.loads), n.ended)
}

// kill kills the daemon by SIGKILL in the midst of a phase, if that comes soon, and returns the phases that it died in.
// An aim of -1 is any moment.
func (n *node) kill(aim int) string {
	n.t.Helper()
	if aim >= 0 {
		n.phases.Await(aim, 2*time.Second)
	}
	n.daemon.Kill()
	n.rest()
	struck := n.phases.Struck(n.t)
	n.phases.Close()
	if aim >= 0 {
		return fmt.Sprintf("aimed at %s, hit %s", phase.Names[aim], strings.Join(struck, ", "))
	}
	return "hit " + strings.Join(struck, ", ")
}

// rest ends the producers: each has had its answer then, or an error.
func (n *node) rest() {
	n.t.Helper()
	n.end()
	select {
	case <-n.ended:
	case <-time.After(hangTime):
		n.t.Fatalf("%s: requests still hang after %v", n.name, hangTime)
	}
}

// drain commits all that the nodes have acked, and leaves no daemon.
func drain(t testing.TB, nodes []*node) {
	t.Helper()
	var draining []*e2e.Daemon
	atMost := drainTime
	for _, n := range nodes {
		atMost += time.Duration(n.runs) * time.Second // each run left a log, whose requests are made and sent again
		o := n.options()
		o.Flags = append(slices.Clone(o.Flags), "-drain")
		draining = append(draining, e2e.Launch(t, o))
	}
	began := time.Now()
	for i, d := range draining {
		if err := d.Wait(atMost); err != nil {
			t.Fatalf("drain %s: %v\n%s", nodes[i].name, err, d.Log(4000))
		}
	}
	t.Logf("drained in %v", time.Since(began).Round(time.Second))
}

// backlog is how many events of the tables the node has acked that are not known to be committed.
func (n *node) backlog(tables ...string) (events int64) {
	n.t.Helper()
	for _, table := range tables {
		var w struct {
			Backlog int64 `json:"backlog_events"`
		}
		if err := n.daemon.Client().Do(context.Background(), "GET", "/tables/"+table+"/watermark", nil, nil, &w); err != nil {
			n.t.Fatalf("%s: watermark of %s: %v", n.name, table, err)
		}
		events += w.Backlog
	}
	return events
}

// committed waits until all that the node has acked is committed. Its producers are at rest.
func (n *node) committed(atMost time.Duration, tables ...string) {
	n.t.Helper()
	await(n.t, n.name+": all is committed", atMost, func() bool { return n.backlog(tables...) == 0 })
}

// health is the node's own view of itself.
type health struct {
	Status   string
	Reasons  []struct{ Name, Message string }
	Warnings []string
}

// ready asks the node whether it can take events, and ship them.
func (n *node) ready() (status int, h health) {
	n.t.Helper()
	resp, err := http.Get(n.daemon.URL + "/health/ready")
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&h); err != nil {
		n.t.Fatalf("%s: decode /health/ready: %v", n.name, err)
	}
	return resp.StatusCode, h
}

// await waits for a condition.
func await(t testing.TB, what string, atMost time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(atMost); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, atMost)
		}
	}
}
