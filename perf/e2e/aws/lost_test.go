package aws

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"firn/perf/e2e"
	"firn/perf/peer"
	"firn/perf/tier"
)

// A swap that was applied, and whose answer is lost: nothing is committed twice, and nothing is deleted.
func TestLostAnswerToASwap(t *testing.T) {
	tier.Need(t, tier.CI)
	f := func(name string, kind func(testing.TB, *pipeline) catalogKind) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seed := e2e.Seed(t)
			p := newPipeline(t, kind)
			lost := p.loseAnswers(seed)
			p.deliver(manner{functions: 2, copies: 2, seed: seed})

			tables := []string{"clicks"}
			ledger := e2e.NewLedger()
			n := p.newNode(ledger, 1, 4, seed, tables, "-cut-interval", "300ms")
			n.producers.Pause = 40 * time.Millisecond
			n.start()
			await(t, "answers to swaps are lost", 5*time.Minute, func() bool { return lost() >= tier.Pick(0, 8, 50) })
			p.settle(ledger, []*node{n}, tables)
			t.Logf("%d answers to swaps were lost", lost())
		})
	}
	f("objectstore", objectStore)
	f("glue", glue)
	f("rest", rest)
}

// loseAnswers has half of the swaps applied without the true answer reaching who asked: the connection is reset, or
// closed in its midst, or there is a 500 or a 503 in its place. It returns how many there were so far.
func (p *pipeline) loseAnswers(seed uint64) (lost func() int) {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 11))
	n := 0
	p.catalog.proxy.Hook(func(req *peer.Request) peer.Fault {
		if !p.catalog.swap(req) {
			return peer.Fault{}
		}
		mu.Lock()
		defer mu.Unlock()
		if r.IntN(2) == 0 {
			return peer.Fault{}
		}
		n++
		return []peer.Fault{
			{Lose: true}, {HalfSent: true}, {Instead: &peer.Answer{Status: 500, Body: "internal error"}},
			{Instead: &peer.Answer{Status: 503, Body: "slow down"}},
		}[n%4]
	})
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return n
	}
}
