package gate

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"firn/perf/peer"
)

var update = flag.Bool("update", false, "write perf/baselines/allocations anew")

// allocationsFile says, in the repository, what an operation of each stage allocates.
const allocationsFile = "perf/baselines/allocations"

const allocationsHead = `# What one operation of each stage allocates (perf/gate/stages -list says what it is): objects, and bytes. Counted without
# the collector and without the race detector, on one processor, the least of ten slices. The objects are exact, the
# bytes within 1%. A change that needs others says why in its commit, and writes this file anew:
#
#   go test ./perf/gate -run TestAllocations -update
#
`

// A change of what a stage allocates is seen, up or down: what is not written down is lost again unseen.
func TestAllocations(t *testing.T) {
	program := filepath.Join(t.TempDir(), "stages")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "./"+stagesDir)
	build.Dir, build.Env = peer.Root(), append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build stages: %v\n%s", err, out)
	}
	list, err := exec.Command(program, "-list").Output()
	if err != nil {
		t.Fatal(err)
	}
	var now strings.Builder
	fmt.Fprintf(&now, "%stoolchain %s\n", allocationsHead, toolchain())
	counts := map[string][2]int{}
	for line := range strings.Lines(string(list)) {
		stage, _, _ := strings.Cut(line, "\t")
		out, err := exec.Command(program, "-stage", stage, "-allocations").Output()
		if err != nil {
			t.Fatalf("stage %s: %v", stage, err)
		}
		var c [2]int
		if _, err := fmt.Sscan(string(out), &c[0], &c[1]); err != nil {
			t.Fatalf("stage %s printed %q: %v", stage, out, err)
		}
		counts[stage] = c
		fmt.Fprintf(&now, "%s %d %d\n", stage, c[0], c[1])
	}
	path := filepath.Join(peer.Root(), filepath.FromSlash(allocationsFile))
	if *update {
		if err := os.WriteFile(path, []byte(now.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string][2]int{}
	for line := range strings.Lines(string(text)) {
		var stage string
		var c [2]int
		if taken, ok := strings.CutPrefix(strings.TrimSpace(line), "toolchain "); ok {
			if taken != toolchain() {
				t.Skipf("%s was taken with %s, this is %s, whose runtime allocates in its own way", allocationsFile, taken, toolchain())
			}
		} else if n, _ := fmt.Sscan(line, &stage, &c[0], &c[1]); n == 3 && stage != "#" {
			recorded[stage] = c
		}
	}
	for stage, c := range counts {
		want, ok := recorded[stage]
		if delete(recorded, stage); !ok || c[0] != want[0] || 100*c[1] > 101*want[1] || 100*c[1] < 99*want[1] {
			t.Errorf("stage %s allocates %d objects and %d bytes, %s says %d and %d (a stage that it lacks: 0); "+
				"if that is meant: go test ./perf/gate -run TestAllocations -update", stage, c[0], c[1], allocationsFile, want[0], want[1])
		}
	}
	for stage := range recorded {
		t.Errorf("%s has stage %s, which there is not", allocationsFile, stage)
	}
}

// toolchain is the minor version of Go, as go1.26: patches leave the runtime's allocations as they are.
func toolchain() string {
	parts := strings.SplitN(runtime.Version(), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
