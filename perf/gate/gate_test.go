package gate

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"firn/perf/peer"
	"firn/perf/tier"
)

// gate runs a gate on the working tree, as it is, with tags on the one side alone.
func gate(t *testing.T, tags string, stages ...string) (slower bool, report string) {
	t.Helper()
	var log strings.Builder
	c := Default()
	c.Repo, c.Stages, c.Log = peer.Root(), stages, &log
	_, err := c.compare(t.Context(), &side{dir: c.Repo, tags: tags}, &side{dir: c.Repo}, nil)
	if err != nil && !errors.Is(err, ErrSlower) {
		t.Fatalf("%v\n%s", err, &log)
	}
	return err != nil, log.String()
}

// The gate is tried on what it is for. The original's bug (schemas parsed at each use) makes a commit almost three times as
// dear: once is enough to see that the gate is there, in .ci/run. The error rates take an hour, of make slow.
func TestGate(t *testing.T) {
	tier.Need(t, tier.CI)
	f := func(what, tags string, runs, atLeast, atMost int, stages ...string) {
		failed := 0
		for range runs {
			slower, report := gate(t, tags, stages...)
			if slower {
				failed++
			}
			t.Logf("%s\n%s", what, report)
		}
		t.Logf("%s: %d of %d runs failed", what, failed, runs)
		if failed < atLeast || failed > atMost {
			t.Errorf("%s: %d of %d runs failed, want %d to %d", what, failed, runs, atLeast, atMost)
		}
	}
	if tier.Now() == tier.CI {
		f("schemas parsed at each use", "firnreparse", 1, 1, 1, "commit")
		return
	}
	f("the same twice", "", 20, 0, 1)
	f("schemas parsed at each use", "firnreparse", 10, 9, 10, "commit")
	f("15 of 100 requests decoded twice", "firnslow", 10, 8, 10, "decode")
}

// A base whose packages the change's stages do not fit is measured by its own; one that has none is an error.
func TestStagesOfTheBase(t *testing.T) {
	tree := func(program string) string {
		dir := t.TempDir()
		h := &history{T: t, dir: dir}
		h.write("go.mod", "module firn\n\ngo 1.26.0\n")
		if program != "" {
			h.write(stagesDir+"/main.go", program)
		}
		return dir
	}
	const (
		fits  = "package main\n\nfunc main() { println(1) }\n"
		own   = "package main\n\nfunc main() { println(2) }\n"
		wrong = "package main\n\nfunc main() { println(nowhere) }\n"
	)
	f := func(lent, theirs, want string) {
		t.Helper()
		base, out, rng := &side{dir: tree(theirs)}, t.TempDir(), rand.New(rand.NewPCG(1, 1))
		if err := base.lend(tree(lent)); err != nil {
			t.Fatal(err)
		}
		err := base.build(t.Context(), out, "base", rng)
		if err != nil {
			err = base.ownStages(t.Context(), out, rng, err)
		}
		if (err == nil) != (want != "") {
			t.Errorf("build: %v, want success: %v", err, want != "")
		}
		if err != nil {
			return
		}
		text, err := os.ReadFile(filepath.Join(base.dir, stagesDir, "main.go"))
		if err != nil || string(text) != want || len(base.programs) != layouts {
			t.Errorf("built %d programs of %q (%v), want %q", len(base.programs), text, err, want)
		}
	}
	f(fits, own, fits)
	f(fits, "", fits)
	f(wrong, own, own)
	f(wrong, "", "")
	f(wrong, wrong, "")
}
