package gate

import (
	"context"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
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
			tr := &trial{stages: []string{"hot", "other"}, measure: m.pair, expired: func() bool { return false }, log: io.Discard}
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
			expired: func() bool { return false }, log: io.Discard,
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

// How many rounds are run depends on the noise of the base's own pairs, and ends with the time.
func TestRounds(t *testing.T) {
	f := func(spread float64, rounds int, want int) {
		t.Helper()
		m := machine{spread: spread, rng: rand.New(rand.NewPCG(5, 6))}
		tr := &trial{stages: []string{"hot"}, measure: m.pair, log: io.Discard, expired: func() bool { rounds--; return rounds < 0 }}
		v, err := tr.run(t.Context())
		if err != nil || v[0].Pairs != want {
			t.Errorf("noise of %v: %+v, %v; want %d pairs", spread, v, err, want)
		}
	}
	f(0.01, 100, firstRounds)
	f(0.5, 100, mostRounds)
	f(0.5, 1, firstRounds+moreRounds)
	f(0.5, 0, firstRounds)
}
