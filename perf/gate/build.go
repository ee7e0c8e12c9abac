package gate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

const (
	stagesDir = "perf/gate/stages"
	// defaultLayouts is how many programs are linked of each commit, its functions in another order in each.
	defaultLayouts = 6
)

// side is one of the two commits, built.
type side struct {
	dir      string
	tags     string
	layouts  int
	programs []string // one a layout
	own      string   // where its own stages are kept while it has lent ones; empty: it has none
}

// unpack writes the tree of a commit to the side's folder.
func (s *side) unpack(ctx context.Context, repo, commit string) error {
	archive := filepath.Join(s.dir, "tree.tar")
	if _, err := git(ctx, repo, "archive", "--format=tar", "-o", archive, commit); err != nil {
		return fmt.Errorf("unpack base: %w", err)
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", s.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack base: %w: %s", err, out)
	}
	return os.Remove(archive)
}

// build links the side's programs into out, under names that begin so.
func (s *side) build(ctx context.Context, out, name string, rng *rand.Rand) error {
	s.programs = nil
	for i := range s.layouts {
		program := filepath.Join(out, name+strconv.Itoa(i))
		// Trimmed paths: a package that both sides have alike is compiled once. No cgo: the stages need none.
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", s.tags,
			"-ldflags", "-randlayout="+strconv.Itoa(1+rng.IntN(1<<30)), "-o", program, "./"+stagesDir)
		cmd.Dir = s.dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build stages in %s: %w\n%s", s.dir, err, text)
		}
		s.programs = append(s.programs, program)
	}
	return nil
}

// lend puts the stages of the working tree at change in place of the side's own.
func (s *side) lend(change string) error {
	stages, own := filepath.Join(s.dir, stagesDir), filepath.Join(s.dir, "stages-of-its-own")
	switch err := os.Rename(stages, own); {
	case err == nil:
		s.own = own
	case !os.IsNotExist(err):
		return fmt.Errorf("lend stages to the base: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(stages), 0o755); err != nil {
		return fmt.Errorf("lend stages to the base: %w", err)
	}
	if err := os.CopyFS(stages, os.DirFS(filepath.Join(change, stagesDir))); err != nil {
		return fmt.Errorf("lend stages to the base: %w", err)
	}
	return nil
}

// ownStages builds the side with its own stages, after lent ones did not build. ErrNoBase says that it is older than they.
func (s *side) ownStages(ctx context.Context, out string, rng *rand.Rand, why error) error {
	if s.own == "" {
		return fmt.Errorf("%w: it has no stages, and the change's do not build on it: %w", ErrNoBase, why)
	}
	stages := filepath.Join(s.dir, stagesDir)
	if err := os.RemoveAll(stages); err != nil {
		return err
	}
	if err := os.Rename(s.own, stages); err != nil {
		return err
	}
	return s.build(ctx, out, "base", rng)
}
