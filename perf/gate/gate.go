package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Config says what to compare.
type Config struct {
	Repo   string        // the change: a working tree
	Base   string        // a revision; empty: FindBase's
	Tags   string        // build tags of the change alone, by which the gate's own tests make it slower
	Stages []string      // empty: all
	Budget time.Duration // of measuring, after the build; confirming a slow-down has half as much again
	Seed   uint64        // of link orders and of which meet
	Log    io.Writer
}

// Default compares the working tree in the current folder with its base.
func Default() Config {
	return Config{Repo: ".", Budget: 2 * time.Minute, Seed: rand.Uint64(), Log: os.Stdout}
}

// ErrSlower says that the change is slower than it may be.
var ErrSlower = errors.New("slower than the base")

// Run compares, tells Log what it finds, and returns the verdicts; ErrSlower if one of them says so. Without a base it
// measures the change against itself, so that the noise is known, says that nothing was compared, and returns no error.
func (c Config) Run(ctx context.Context) ([]Verdict, error) {
	verdicts, err := c.withBase(ctx)
	if !errors.Is(err, ErrNoBase) {
		return verdicts, err
	}
	fmt.Fprintf(c.Log, "gate: NOTHING IS COMPARED: %v\ngate: measuring the change against itself, for the noise alone\n", err)
	itself := &side{dir: c.Repo, tags: c.Tags, layouts: defaultLayouts}
	if verdicts, err = c.compare(ctx, itself, itself, nil); err == nil {
		fmt.Fprintln(c.Log, "gate: NOTHING WAS COMPARED")
	}
	return verdicts, err
}

// withBase finds the base, unpacks it, and compares.
func (c Config) withBase(ctx context.Context) ([]Verdict, error) {
	base, err := FindBase(ctx, c.Repo, c.Base)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "firn-gate-base-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	before := &side{dir: dir, layouts: defaultLayouts}
	if err := before.unpack(ctx, c.Repo, base.Commit); err != nil {
		return nil, err
	}
	if err := before.lend(c.Repo); err != nil {
		return nil, err
	}
	accepted, err := accepted(ctx, c.Repo, base)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c.Log, "gate: base %.12s: %s\n", base.Commit, base.Why)
	return c.compare(ctx, &side{dir: c.Repo, tags: c.Tags, layouts: defaultLayouts}, before, accepted)
}

// compare builds both sides and measures them.
func (c Config) compare(ctx context.Context, change, before *side, accepted map[string]float64) ([]Verdict, error) {
	began := time.Now()
	out, err := os.MkdirTemp("", "firn-gate-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)
	rng := rand.New(rand.NewPCG(c.Seed, 0))
	if err := change.build(ctx, out, "change", rng); err != nil {
		return nil, err
	}
	if before != change {
		if err := before.build(ctx, out, "base", rng); err != nil {
			if err := before.ownStages(ctx, out, rng, err); err != nil {
				return nil, err
			}
			fmt.Fprintln(c.Log, "gate: the change's stages do not build on the base, which is measured by its own")
		}
	}
	fmt.Fprintf(c.Log, "gate: built in %.0f s; seed %d\n", time.Since(began).Seconds(), c.Seed)
	return c.measure(ctx, change, before, accepted, rng)
}

// measure compares two sides that are built.
func (c Config) measure(ctx context.Context, change, before *side, accepted map[string]float64, rng *rand.Rand) ([]Verdict, error) {
	began := time.Now()
	stages, err := c.stages(ctx, change, before)
	if err != nil {
		return nil, err
	}
	for s := range accepted {
		if len(c.Stages) == 0 && !slices.Contains(stages, s) {
			return nil, fmt.Errorf("%s names stage %q: there are %v", acceptedFile, s, stages)
		}
	}
	t := &trial{
		stages: stages, accepted: accepted, log: c.Log,
		elapsed: func() time.Duration { return time.Since(began) }, budget: c.Budget,
		measure: func(ctx context.Context, stage string, k kind) (float64, error) {
			if k == twins {
				of := rng.Perm(len(before.programs))
				return pair(ctx, stage, [2]string{before.programs[of[0]], before.programs[of[1]]})
			}
			return pair(ctx, stage, [2]string{change.programs[rng.IntN(len(change.programs))], before.programs[rng.IntN(len(before.programs))]})
		},
	}
	verdicts, err := t.run(ctx)
	if err != nil {
		return nil, err
	}
	return verdicts, report(c.Log, verdicts, accepted, time.Since(began))
}

// stages are those that both sides have, in the change's order.
func (c Config) stages(ctx context.Context, change, before *side) ([]string, error) {
	list := func(s *side) (names []string, err error) {
		out, err := exec.CommandContext(ctx, s.programs[0], "-list").Output()
		if err != nil {
			return nil, fmt.Errorf("list stages: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			name, _, _ := strings.Cut(line, "\t")
			names = append(names, name)
		}
		return names, nil
	}
	ours, err := list(change)
	if err != nil {
		return nil, err
	}
	theirs, err := list(before)
	if err != nil {
		return nil, err
	}
	for _, s := range c.Stages {
		if !slices.Contains(ours, s) {
			return nil, fmt.Errorf("find stage %q: there are %v", s, ours)
		}
	}
	var both []string
	for _, s := range ours {
		switch {
		case len(c.Stages) > 0 && !slices.Contains(c.Stages, s):
		case !slices.Contains(theirs, s):
			fmt.Fprintf(c.Log, "gate: %s IS NOT COMPARED: the base has no such stage\n", s)
		default:
			both = append(both, s)
		}
	}
	if len(both) == 0 {
		return nil, errors.New("the change and its base have no stage in common: is perf/gate/stages whole?")
	}
	return both, nil
}
