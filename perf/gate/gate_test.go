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

// layoutsOfTest is how many programs are linked of each side for all runs of a test. Each run takes some of them, as a
// gate of its own would link.
const layoutsOfTest = 12

// built is the working tree, as it is, with tags.
func built(t *testing.T, out, name, tags string, rng *rand.Rand) *side {
	t.Helper()
	s := &side{dir: peer.Root(), tags: tags, layouts: layoutsOfTest}
	if err := s.build(t.Context(), out, name, rng); err != nil {
		t.Fatal(err)
	}
	return s
}

// some is the side with so many of its programs.
func (s *side) some(rng *rand.Rand) *side {
	few := *s
	few.programs = nil
	for _, i := range rng.Perm(len(s.programs))[:defaultLayouts] {
		few.programs = append(few.programs, s.programs[i])
	}
	return &few
}

// The gate is tried on what it is for. The original's bug (schemas parsed at each use) makes a commit almost three times as
// dear: once is enough to see that the gate is there, in .ci/run. The error rates take half an hour, of make slow.
func TestGate(t *testing.T) {
	tier.Need(t, tier.CI)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng, out := rand.New(rand.NewPCG(seed, 0)), t.TempDir()
	base := built(t, out, "base", "", rng)
	f := func(what, tags string, runs, atLeast, atMost int, stages ...string) {
		t.Run(what, func(t *testing.T) {
			change := built(t, out, "change"+tags, tags, rng)
			failed := 0
			for range runs {
				var log strings.Builder
				c := Default()
				c.Stages, c.Log = stages, &log
				_, err := c.measure(t.Context(), change.some(rng), base.some(rng), nil, rng)
				if errors.Is(err, ErrSlower) {
					failed++
				} else if err != nil {
					t.Fatalf("%v\n%s", err, &log)
				}
				t.Logf("\n%s", &log)
			}
			t.Logf("%d of %d runs failed", failed, runs)
			if failed < atLeast || failed > atMost {
				t.Errorf("%d of %d runs failed, want %d to %d", failed, runs, atLeast, atMost)
			}
		})
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
		base, out, rng := &side{dir: tree(theirs), layouts: 2}, t.TempDir(), rand.New(rand.NewPCG(1, 1))
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
		if errors.Is(err, ErrNoBase) != (want == "" && theirs == "") {
			t.Errorf("build: %v, but the base has stages of its own: %v", err, theirs != "")
		}
		if err != nil {
			return
		}
		text, err := os.ReadFile(filepath.Join(base.dir, stagesDir, "main.go"))
		if err != nil || string(text) != want || len(base.programs) != 2 {
			t.Errorf("built %d programs of %q (%v), want %q", len(base.programs), text, err, want)
		}
	}
	f(fits, own, fits)
	f(fits, "", fits)
	f(wrong, own, own)
	f(wrong, "", "")
	f(wrong, wrong, "")
}
