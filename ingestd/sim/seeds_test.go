//go:build !firnsim

package sim

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"firn/ingestd/ship"
	"firn/perf/tier"
)

// TestSeeds plays the tier's number of seeds on the product as it is built; FIRN_SEEDS names others ("2001-3000").
// Under the race detector they are few: it is ten times slower, and one goroutine runs at a time here.
func TestSeeds(t *testing.T) {
	first, last := uint64(1), uint64(tier.Pick(500, 2_000, 100_000))
	if underRace {
		last = 25
	}
	if text, ok := os.LookupEnv("FIRN_SEEDS"); ok {
		if _, err := fmt.Sscanf(text, "%d-%d", &first, &last); err != nil {
			t.Fatalf("FIRN_SEEDS=%q is no range such as 1-500", text)
		}
	}
	var mu sync.Mutex // protects covered
	covered := map[string]int{}
	inParallel(t, first, last, func(t *testing.T, seed uint64) bool {
		w := run(t, seed, nil)
		for _, msg := range w.wrong {
			t.Errorf("seed %d: %s", seed, msg)
		}
		mu.Lock()
		defer mu.Unlock()
		for what, n := range w.seen {
			covered[what] += n
		}
		return len(w.wrong) == 0
	})
	for _, what := range slices.Sorted(maps.Keys(covered)) {
		t.Logf("%8d × %s", covered[what], what)
	}
	if plays := last - first + 1; plays >= 500 && !t.Failed() {
		checkCoverage(t, covered, int(plays))
	}
}

// rare lists what happens in fewer than one of a hundred runs, all that every run must
// be able to meet being listed in common.
var (
	common = []string{
		"acked", "sent again", "events for %s not acked", "crashed, restarted", "crashed, stays down", "suspended until", "broke down, restarted",
		"committer %d killed", "committer %d suspended", "fault: ", "sent %s", "handed over", "claimed %s", "a claim is gone", "gave up message", "the store is out", "the queue loses",
		"backed up", "disk lost", "started as a copy",
		"foreign: append", "foreign: expire", "foreign: a property", "foreign: delete %d of", "foreign: remove %d orphans", "foreign: add a column",
		"foreign: merge the manifests", "the hint of %s is gone", "the hint of %s is set back", "user: roll", "user: point main",
		"user: drop the marker", "user: drop the watermarks", "user: garble", "user: set the watermarks", "user: replace", "user: drop %s and make it anew",
		"operator: %s: %s put right", "resume %s", "discard %d events", "snapshots expired", "manifests merged", "sweep: %d objects",
	}
	stops = []ship.Reason{ship.Rejected, ship.WatermarkBack, ship.WatermarkAhead, ship.WatermarksLost, ship.TableReplaced, ship.TableUnfit}
	rare  = []string{"user: drop %s", "user: delete the spilled", "user: overwrite the spilled", "stop: " + string(ship.TableMissing), "no trace",
		"more than one thing", "what the stops say"}
)

// checkCoverage holds that the runs met what they are for: a simulation whose adversaries never act finds nothing.
func checkCoverage(t *testing.T, covered map[string]int, plays int) {
	t.Helper()
	atLeast := func(what string, want int) {
		n := 0
		for have, k := range covered {
			if strings.Contains(have, what) {
				n += k
			}
		}
		if n < want {
			t.Errorf("%q happened %d times in %d runs, want at least %d", what, n, plays, want)
		}
	}
	for _, what := range common {
		atLeast(what, plays/50)
	}
	for _, reason := range stops {
		atLeast("stop: "+string(reason), plays/50)
	}
	for _, what := range rare {
		atLeast(what, 2)
	}
}
