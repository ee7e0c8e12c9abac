package gate

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// machine is noise as a busy machine makes it: a spread of its own, layouts that differ, and bursts of other work that
// hit one process of a pair more than the other.
type machine struct {
	spread, burst, often float64
	slower               float64 // the change, on the stage "hot"
	rng                  *rand.Rand
}

func (m *machine) pair(_ context.Context, stage string, k kind) (float64, error) {
	d := m.spread * m.rng.NormFloat64()
	if m.rng.Float64() < m.often {
		d += m.burst * m.rng.NormFloat64()
	}
	if k == changes && stage == "hot" {
		d += math.Log(1 + m.slower)
	}
	return d, nil
}

// The gate's error rates, on noise of several kinds: equal commits, and one that is as slow as the margin, hardly ever
// fail; a slow-down as sought nearly always does. The seeds are fixed: the counts are the same each time.
func TestErrorRates(t *testing.T) {
	const trials = 50
	f := func(name string, m machine, slower float64, atLeast, atMost int) {
		t.Helper()
		m.rng, m.slower = rand.New(rand.NewPCG(1, 2)), slower
		failed := 0
		for range trials {
			tr := &trial{stages: []string{"hot", "other"}, measure: m.pair, elapsed: still, budget: time.Hour, log: io.Discard}
			verdicts, err := tr.run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(verdicts, func(v Verdict) bool { return v.Slower }) {
				failed++
			}
		}
		t.Logf("%s, %.0f%% slower: %d of %d", name, 100*slower, failed, trials)
		if failed < atLeast || failed > atMost {
			t.Errorf("%s, %.0f%% slower: %d of %d trials failed, want %d to %d", name, 100*slower, failed, trials, atLeast, atMost)
		}
	}
	for _, k := range []struct {
		name string
		machine
		sought int // trials that must see a slow-down of 14%
	}{
		{"quiet", machine{spread: 0.01}, 50},
		{"as usual", machine{spread: 0.04, burst: 0.15, often: 0.1}, 48},
		{"busy, with bursts", machine{spread: 0.06, burst: 0.3, often: 0.2}, 36},
	} {
		f(k.name, k.machine, 0, 0, 0)
		f(k.name, k.machine, Margin, 0, 1)
		f(k.name, k.machine, 0.14, k.sought, trials)
		f(k.name, k.machine, 0.3, 49, trials)
		f(k.name, k.machine, -0.2, 0, 0)
	}
	// Where no number of rounds is enough the gate says so and lets pass.
	f("hopeless", machine{spread: 0.5}, 0, 0, 1)
}

// A stage whose slow-down was accepted passes, and no further one does.
func TestAcceptedSlowDown(t *testing.T) {
	f := func(slower, accepted float64, want bool) {
		t.Helper()
		m := machine{spread: 0.02, slower: slower, rng: rand.New(rand.NewPCG(3, 4))}
		tr := &trial{
			stages: []string{"hot"}, accepted: map[string]float64{"hot": accepted}, measure: m.pair,
			elapsed: still, budget: time.Hour, log: io.Discard,
		}
		v, err := tr.run(t.Context())
		if err != nil || v[0].Slower != want {
			t.Errorf("%v slower with %v accepted: %+v, %v; want slower: %v", slower, accepted, v, err, want)
		}
	}
	f(0.3, 0, true)
	f(0.3, 0.3, false)
	f(0.3, 0.25, false)
	f(0.6, 0.3, true)
}

// still is a clock that stands: there is time for every round.
func still() time.Duration { return 0 }

// How many rounds are run depends on the noise of the base's own pairs, and on the time.
func TestRounds(t *testing.T) {
	f := func(spread, slower float64, budget time.Duration, want int) {
		t.Helper()
		m := machine{spread: spread, slower: slower, rng: rand.New(rand.NewPCG(5, 6))}
		var now time.Duration // a pair takes one
		tr := &trial{
			stages: []string{"hot"}, log: io.Discard, budget: budget, elapsed: func() time.Duration { return now },
			measure: func(ctx context.Context, stage string, k kind) (float64, error) {
				now++
				return m.pair(ctx, stage, k)
			},
		}
		v, err := tr.run(t.Context())
		if err != nil || v[0].Pairs != want || v[0].Slower != (slower > 0) {
			t.Errorf("noise of %v, time for %d pairs: %+v, %v; want %d pairs", spread, budget, v, err, want)
		}
	}
	f(0.01, 0, 1000, firstRounds)
	f(0.5, 0, 1000, mostRounds)
	f(0.5, 0, 2*firstRounds+1, firstRounds+1) // the last one was under way
	f(0.5, 0, 20, 10)
	f(0.5, 0, 0, leastRounds)
	f(0.01, 0.2, 1000, confirmRounds)
	f(0.01, 0.2, 80, 20) // half of the time again
	f(0.01, 0.2, 0, firstRounds)
}
