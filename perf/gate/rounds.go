package gate

import (
	"context"
	"fmt"
	"io"
	"time"
)

// kind is what a pair compares.
type kind int

const (
	twins   kind = iota // the base with itself
	changes             // the change with the base
)

// measure runs a pair of one stage and returns its figure.
type measure func(ctx context.Context, stage string, k kind) (float64, error)

// Verdict is what came out of a stage.
type Verdict struct {
	Stage  string
	Ratio  float64 // the change's CPU time by the base's, estimated
	Chance float64 // of such figures if the change were slower by Margin and what was accepted
	Sees   float64 // the least slow-down that would have been a suspect
	Noise  float64 // standard deviation of one pair, from the base's pairs with itself
	Pairs  int     // of each kind
	Slower bool    // confirmed
}

// trial judges stages by rounds.
type trial struct {
	stages   []string
	accepted map[string]float64 // slow-downs that the change owns up to, by stage; 0: none
	measure  measure
	elapsed  func() time.Duration
	budget   time.Duration // once it has passed there are no further rounds; confirming has half as much again
	log      io.Writer
}

// run is the protocol's steps 3 to 5. It returns a verdict for each stage.
func (t *trial) run(ctx context.Context) ([]Verdict, error) {
	taken := make(map[string]*figures, len(t.stages))
	for _, s := range t.stages {
		taken[s] = &figures{}
	}
	if err := t.rounds(ctx, t.stages, taken, firstRounds, leastRounds, t.budget); err != nil {
		return nil, err
	}
	for n := firstRounds; n < mostRounds && t.elapsed() < t.budget; n += moreRounds {
		var unclear []string
		for _, s := range t.stages {
			if len(taken[s].twins) == n && taken[s].sees() > enough {
				unclear = append(unclear, s)
			}
		}
		if err := t.rounds(ctx, unclear, taken, moreRounds, leastRounds, t.budget); err != nil {
			return nil, err
		}
	}
	verdicts := make([]Verdict, len(t.stages))
	for i, s := range t.stages {
		verdicts[i] = t.verdict(s, taken[s])
		if verdicts[i].Chance > suspects {
			continue
		}
		fmt.Fprintf(t.log, "gate: %s looks %s; measuring it again from nothing\n", s, percent(verdicts[i].Ratio-1))
		again := map[string]*figures{s: {}}
		if err := t.rounds(ctx, []string{s}, again, confirmRounds, firstRounds, t.elapsed()+t.budget/2); err != nil {
			return nil, err
		}
		verdicts[i] = t.verdict(s, again[s])
		verdicts[i].Slower = verdicts[i].Chance <= convicts
	}
	return verdicts, nil
}

// rounds adds n rounds of the stages to what was taken; fewer once the time has come, but then each stage has the least. That
// a clock ends them, not what they found, keeps the test right.
func (t *trial) rounds(ctx context.Context, stages []string, taken map[string]*figures, n, least int, until time.Duration) error {
	for range n {
		for _, s := range stages {
			if len(taken[s].twins) >= least && t.elapsed() >= until {
				continue
			}
			same, err := t.measure(ctx, s, twins)
			if err != nil {
				return err
			}
			other, err := t.measure(ctx, s, changes)
			if err != nil {
				return err
			}
			taken[s].twins, taken[s].changes = append(taken[s].twins, same), append(taken[s].changes, other)
		}
	}
	return nil
}

func (t *trial) verdict(stage string, f *figures) Verdict {
	margin := (1+Margin)*(1+t.accepted[stage]) - 1
	return Verdict{
		Stage: stage, Ratio: f.ratio(), Chance: f.slower(margin),
		Sees: (1+f.sees())*(1+t.accepted[stage]) - 1, Noise: f.noise(), Pairs: len(f.changes),
	}
}

// percent prints a difference in time as people say it.
func percent(d float64) string {
	if d < 0 {
		return fmt.Sprintf("%.1f%% faster", -100*d)
	}
	return fmt.Sprintf("%.1f%% slower", 100*d)
}
