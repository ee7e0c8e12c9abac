package gate

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Config says what to compare.
type Config struct {
	Repo   string        // the change: a working tree
	Base   string        // a revision; empty: FindBase's
	Tags   string        // build tags of the change alone, by which the gate's own tests make it slower
	Stages []string      // empty: all
	Budget time.Duration // after which no rounds are added to those that everyone gets
	Seed   uint64        // of link orders and of which meet
	Log    io.Writer
}

// Default compares the working tree in the current folder with its base.
func Default() Config {
	return Config{Repo: ".", Budget: 3 * time.Minute, Seed: rand.Uint64(), Log: os.Stdout}
}

// ErrSlower says that the change is slower than it may be.
var ErrSlower = errors.New("slower than the base")

// Main is the command `perf gate`.
func Main(ctx context.Context, args []string, out io.Writer) error {
	c := Default()
	c.Log = out
	fs := flag.NewFlagSet("perf gate", flag.ContinueOnError)
	fs.StringVar(&c.Repo, "repo", c.Repo, "`folder` of the change, a git working tree")
	fs.StringVar(&c.Base, "base", "", "`revision` to compare with (default: the merge base with main; on main, the one in "+baseFile+")")
	fs.StringVar(&c.Tags, "tags", "", "build `tags` of the change alone")
	fs.DurationVar(&c.Budget, "budget", c.Budget, "`time` after which no rounds are added")
	fs.Uint64Var(&c.Seed, "seed", c.Seed, "`seed` of the order in which functions are linked")
	only := fs.String("stages", "", "comma-separated `names` of stages (default: all)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		c.Stages = strings.Split(*only, ",")
	}
	_, err := c.Run(ctx)
	return err
}

// Run compares, tells Log what it finds, and returns the verdicts; ErrSlower if one of them says so. Without a base it
// measures the change against itself, so that the noise is known, says that nothing was compared, and returns no error.
func (c Config) Run(ctx context.Context) ([]Verdict, error) {
	began := time.Now()
	base, err := FindBase(ctx, c.Repo, c.Base)
	compares := !errors.Is(err, ErrNoBase)
	if err != nil && compares {
		return nil, err
	}
	if !compares {
		fmt.Fprintf(c.Log, "gate: NOTHING IS COMPARED: %v\ngate: measuring the change against itself, for the noise alone\n", err)
	}
	out, err := os.MkdirTemp("", "firn-gate-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(out)

	rng := rand.New(rand.NewPCG(c.Seed, 0))
	change, before, err := c.sides(ctx, base, compares, out, rng)
	if err != nil {
		return nil, err
	}
	stages, err := c.stages(ctx, change, before)
	if err != nil {
		return nil, err
	}
	t := &trial{stages: stages, log: c.Log, expired: func() bool { return time.Since(began) > c.Budget }}
	if compares {
		if t.accepted, err = accepted(ctx, c.Repo, base, stages); err != nil {
			return nil, err
		}
		fmt.Fprintf(c.Log, "gate: base %.12s (%s); its stages are %s\n", base.Commit, base.Why, before.harness)
	}
	fmt.Fprintf(c.Log, "gate: %s; seed %d; built in %.0f s\n", strings.Join(stages, ", "), c.Seed, time.Since(began).Seconds())
	t.measure = func(ctx context.Context, stage string, k kind) (float64, error) {
		of := rng.Perm(layouts)
		if k == twins {
			return pair(ctx, stage, [2]string{before.programs[of[0]], before.programs[of[1]]})
		}
		return pair(ctx, stage, [2]string{change.programs[of[0]], before.programs[of[1]]})
	}
	verdicts, err := t.run(ctx)
	if err != nil {
		return nil, err
	}
	return verdicts, c.report(verdicts, t.accepted, compares, time.Since(began))
}

// sides builds both. Without a base, the change stands for it.
func (c Config) sides(ctx context.Context, base Base, compares bool, out string, rng *rand.Rand) (change, before *side, err error) {
	change = &side{dir: c.Repo, tags: c.Tags}
	if err := change.build(ctx, out, "change", rng); err != nil {
		return nil, nil, err
	}
	if !compares {
		return change, change, nil
	}
	before = &side{dir: filepath.Join(out, "base")}
	if err := unpack(ctx, c.Repo, base.Commit, before.dir); err != nil {
		return nil, nil, err
	}
	return change, before, buildBase(ctx, before, c.Repo, out, rng)
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
			return nil, fmt.Errorf("stage %q: there are %v", s, ours)
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

func (c Config) report(verdicts []Verdict, accepted map[string]float64, compares bool, took time.Duration) error {
	w := tabwriter.NewWriter(c.Log, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "stage\tCPU time by the base's\tchance\tpairs\tnoise of a pair\twould have seen\t")
	var slower []string
	for _, v := range verdicts {
		remark := ""
		switch {
		case v.Slower:
			remark = "SLOWER"
			slower = append(slower, v.Stage)
		case v.Sees > Sought && accepted[v.Stage] == 0:
			remark = "too noisy to tell"
		}
		if a := accepted[v.Stage]; a > 0 {
			remark += fmt.Sprintf(" (%.0f%% accepted)", 100*a)
		}
		fmt.Fprintf(w, "%s\t%.3f\t%.3g\t%d\t%.1f%%\t%.0f%%\t%s\n", v.Stage, v.Ratio, v.Chance, v.Pairs, 100*v.Noise, 100*v.Sees, remark)
	}
	w.Flush()
	switch {
	case len(slower) > 0:
		fmt.Fprintf(c.Log, "gate: failed in %.0f s. See it with: go run ./perf gate -stages %s (its profile: go test -bench). "+
			"A slow-down that is meant gets a line in %s.\n", took.Seconds(), strings.Join(slower, ","), acceptedFile)
		return fmt.Errorf("%w: %s", ErrSlower, strings.Join(slower, ", "))
	case !compares:
		fmt.Fprintf(c.Log, "gate: nothing was compared, in %.0f s\n", took.Seconds())
	default:
		fmt.Fprintf(c.Log, "gate: passed in %.0f s: no stage is more than %.0f%% slower, beyond its noise\n", took.Seconds(), 100*Margin)
	}
	return nil
}
