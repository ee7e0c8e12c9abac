//go:build !firnsim

package sim

import (
	"fmt"
	"os"
	"testing"

	"firn/perf/tier"
)

// TestSeeds plays the tier's number of seeds on the product as it is built; FIRN_SEEDS names others ("2001-3000"). Under the race
// detector they are few: it is ten times slower, and one goroutine runs at a time here.
func TestSeeds(t *testing.T) {
	first, last := uint64(1), uint64(tier.Pick(500, 2_000, 100_000))
	if underRace {
		last = 40
	}
	if text, ok := os.LookupEnv("FIRN_SEEDS"); ok {
		if _, err := fmt.Sscanf(text, "%d-%d", &first, &last); err != nil {
			t.Fatalf("FIRN_SEEDS=%q is no range such as 1-500", text)
		}
	}
	inParallel(t, first, last, func(t *testing.T, seed uint64) bool {
		wrong := run(t, seed, nil)
		for _, msg := range wrong {
			t.Errorf("seed %d: %s", seed, msg)
		}
		return len(wrong) == 0
	})
}
