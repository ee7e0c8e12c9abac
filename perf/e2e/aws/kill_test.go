package aws

import (
	"math/rand/v2"
	"testing"
	"time"

	"firn/ingestd/phase"
	"firn/perf/e2e"
	"firn/perf/tier"
)

// Three daemons feed two tables through S3, SQS and the built function. Daemons and functions are killed again and
// again, each message comes one to five times, late and out of order. Every acked event is in its table once.
func TestEveryAckedEventOnce(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	seed := e2e.Seed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	p := newPipeline(t, objectStore)
	p.deliver(manner{functions: 3, copies: 5, delay: 3 * time.Second, strike: 0.15, seed: seed})

	tables := []string{"clicks", "views"}
	ledger := e2e.NewLedger()
	var nodes []*node
	for i := range 3 {
		n := p.newNode(ledger, i+1, 6, seed, tables, "-cut-interval", "300ms")
		n.producers.Pause = 40 * time.Millisecond
		n.start()
		nodes = append(nodes, n)
	}
	for i := range tier.Pick(0, 15, 300) {
		time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
		n := nodes[r.IntN(len(nodes))]
		aim := -1
		if i%3 != 0 {
			aim = shipping[r.IntN(len(shipping))]
		}
		t.Logf("kill %d, %s: %s", i, n.name, n.kill(aim))
		n.start()
		if t.Failed() {
			return
		}
	}
	p.settle(ledger, nodes, tables)
}

// shipping are the phases of a daemon that commits through a queue, by number: all but the swap.
var shipping = func() (all []int) {
	for i, name := range phase.Names {
		if name != "swap" {
			all = append(all, i)
		}
	}
	return all
}()

// settle ends the load and the killing, drains every node, and reads the tables: the ledger's events are there as they
// should be, and no late copy of a message changes that.
func (p *pipeline) settle(ledger *e2e.Ledger, nodes []*node, tables []string) {
	t := p.t.(*testing.T)
	t.Helper()
	p.delivery.spare()
	for _, n := range nodes {
		n.rest()
		t.Logf("%s: %d events were sent again under their keys", n.name, n.producers.Resend(t, n.daemon.Client()))
		n.daemon.Stop()
	}
	for _, n := range nodes {
		n.drain(drainTime)
	}
	p.delivery.quiet()
	t.Logf("delivery: %+v", p.delivery.counts())
	for _, engine := range []string{"duckdb-folder", "pyiceberg"} {
		ledger.Verify(t, engine, p.catalog.reader, tables...)
	}
	if t.Failed() {
		return
	}
	for operation, c := range p.toS3.Counts() {
		if operation == "DeleteObject" || operation == "DeleteObjects" {
			t.Errorf("%d × %s: whatever the outcome, a committer deletes nothing that it wrote", c.Requests, operation)
		}
	}
}

// drainTime bounds a drain: the first request in flight is sent again after 30 s, and then after a minute.
const drainTime = 3 * time.Minute
