//go:build !firnsim

package sim

import (
	"os"
	"strconv"
	"testing"

	"firn/perf/tier"
)

// TestSeeds plays the tier's number of seeds on the product as it is built; FIRN_SEEDS gives another number. Under the race detector
// they are few: it is ten times slower, and one goroutine runs at a time here.
func TestSeeds(t *testing.T) {
	n := tier.Pick(500, 2_000, 100_000)
	if underRace {
		n = 40
	}
	if text, ok := os.LookupEnv("FIRN_SEEDS"); ok {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("FIRN_SEEDS: %v", err)
		}
	}
	inParallel(t, n, func(t *testing.T, seed uint64) bool {
		wrong := run(t, seed, nil)
		for _, msg := range wrong {
			t.Errorf("seed %d: %s", seed, msg)
		}
		return len(wrong) == 0
	})
}
