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
	t.Parallel()
	seed := e2e.Seed(t)
	p := newPipeline(t, objectStore)
	lost := p.loseAnswers(seed)
	p.deliver(manner{functions: 2, copies: 2, seed: seed})

	tables := []string{"clicks"}
	ledger := e2e.NewLedger()
	n := p.newNode(ledger, 1, 4, seed, tables, "-cut-interval", "300ms")
	n.producers.Pause = 40 * time.Millisecond
	n.start()
	await(t, "answers to swaps are lost", time.Minute, func() bool { return lost() >= tier.Pick(0, 10, 100) })
	p.settle(ledger, []*node{n}, tables)
	t.Logf("%d answers to swaps were lost", lost())
}

// loseAnswers has every second swap applied without its answer reaching who asked: by a reset, by half an answer, by a
// 500, or by none within the patience of whoever waits. It returns how many there were so far.
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
