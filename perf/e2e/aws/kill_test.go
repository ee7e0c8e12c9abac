package aws

import (
	"math/rand/v2"
	"testing"
	"time"

	"firn/perf/e2e"
	"firn/perf/tier"
)

// Three daemons feed two tables through S3, SQS and the built function. Daemons and functions are killed again and
// again, each message comes one to five times, late and out of order. Every acked event is in its table once.
func TestEveryAckedEventOnce(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	seed := e2e.Seed(t)
	everyEventOnce(t, newPipeline(t, objectStore), seed, tier.Pick(0, 15, 300), "300ms")
}

// The same through catalogs that are services, each with another client's commits among ours: PyIceberg appends,
// expires snapshots and evolves the schema of one table meanwhile. Its commits survive, and ours land once.
func TestEveryAckedEventOnceBesideAnotherClient(t *testing.T) {
	tier.Need(t, tier.CI)
	f := func(name string, kind func(testing.TB, *pipeline) catalogKind) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := e2e.Seed(t)
			p := newPipeline(t, kind)
			p.foreign = map[string]*foreign{"clicks": p.startForeign(seed, "clicks")}
			everyEventOnce(t, p, seed, tier.Pick(0, 8, 100), "2s") // PyIceberg takes half a second for an append, and has to win
		})
	}
	f("glue", glue)
	f("rest", rest)
}

func everyEventOnce(t *testing.T, p *pipeline, seed uint64, kills int, cutInterval string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	p.deliver(manner{functions: 3, copies: 5, delay: 3 * time.Second, strike: 0.15, seed: seed})
	tables := []string{"clicks", "views"}
	ledger := e2e.NewLedger()
	var nodes []*node
	for i := range 3 {
		n := p.newNode(ledger, i+1, 6, seed, tables, "-cut-interval", cutInterval)
		n.producers.Pause = 40 * time.Millisecond
		n.start()
		nodes = append(nodes, n)
	}
	for i := range kills {
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
	await(t, "the delivery was unkind", 2*time.Minute, func() bool {
		c := p.delivery.counts()
		return c.Killed >= 3 && c.Delivered > c.Messages
	})
	for _, f := range p.foreign {
		await(t, "the foreign client did some of everything", 2*time.Minute, f.busy)
	}
	p.settle(ledger, nodes, tables)
}
