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
	// layouts is how many programs are linked of each commit, its functions in another order in each.
	layouts = 6
)

// side is one of the two commits, built.
type side struct {
	dir      string
	tags     string
	programs []string
	harness  string // whose source measures
}

// unpack writes the tree of a commit to dir, without git's own files.
func unpack(ctx context.Context, repo, commit, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	archive := filepath.Join(dir, "tree.tar")
	if _, err := git(ctx, repo, "archive", "--format=tar", "-o", archive, commit); err != nil {
		return fmt.Errorf("unpack base: %w", err)
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("unpack base: %w: %s", err, out)
	}
	return os.Remove(archive)
}

// build links the side's programs into out, under names that begin so.
func (s *side) build(ctx context.Context, out, name string, rng *rand.Rand) error {
	s.programs = nil
	for i := range layouts {
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

// buildBase builds the base with the change's stages; where they don't fit it, with its own, if it has any.
func buildBase(ctx context.Context, base *side, change, out string, rng *rand.Rand) error {
	theirs := filepath.Join(base.dir, stagesDir)
	own := filepath.Join(base.dir, "stages-of-its-own")
	switch err := os.Rename(theirs, own); {
	case os.IsNotExist(err):
		own = ""
	case err != nil:
		return err
	}
	if err := os.MkdirAll(filepath.Dir(theirs), 0o755); err != nil {
		return err
	}
	if err := os.CopyFS(theirs, os.DirFS(filepath.Join(change, stagesDir))); err != nil {
		return fmt.Errorf("copy stages to the base: %w", err)
	}
	base.harness = "the change's"
	err := base.build(ctx, out, "base", rng)
	if err == nil || own == "" {
		return err
	}
	if err := os.RemoveAll(theirs); err != nil {
		return err
	}
	if err := os.Rename(own, theirs); err != nil {
		return err
	}
	base.harness = "its own, as the change's does not build there"
	return base.build(ctx, out, "base", rng)
}
