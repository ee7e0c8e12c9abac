package aws

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firn/ingestd/phase"
	"firn/perf/e2e"
)

// hangTime bounds how long requests may go on after their daemon's death.
const hangTime = time.Minute

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
	runs   int
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
	ctx, cancel := context.WithCancel(context.Background())
	n.end, n.ended = cancel, make(chan struct{})
	go func(url string, seed uint64, ended chan struct{}) {
		defer close(ended)
		n.producers.Run(ctx, n.t, url, seed)
	}(n.daemon.URL, n.seed+uint64(n.runs), n.ended)
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

// drain commits all that the node has acked, and leaves no daemon.
func (n *node) drain(atMost time.Duration) {
	n.t.Helper()
	e2e.Drain(n.t, n.options(), atMost)
}
