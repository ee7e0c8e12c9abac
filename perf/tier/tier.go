// Package tier tells a test which of the four tiers it runs in, so that one test serves them all with other numbers.
// The tier comes from FIRN_TIER, which the Makefile sets; unset it is the quick one. For tests alone.
package tier

import (
	"os"
	"testing"
)

// Tier orders the tiers by how long they may take.
type Tier int

// The tiers: make test (≤ 10 minutes), .ci/run (≤ 40), make slow (≤ 180), make soak.
const (
	Test Tier = iota
	CI
	Slow
	Soak
)

var names = map[string]Tier{"": Test, "test": Test, "ci": CI, "slow": Slow, "soak": Soak}

// Now is the tier that this process runs in. It panics on a name that is no tier: a typo must not pass as the quick
// one.
func Now() Tier {
	t, ok := names[os.Getenv("FIRN_TIER")]
	if !ok {
		panic("FIRN_TIER=" + os.Getenv("FIRN_TIER") + ": want test, ci, slow or soak")
	}
	return t
}

// Need skips the test below tier min, and says where it runs.
func Need(t testing.TB, min Tier) {
	t.Helper()
	if Now() < min {
		t.Skip([]string{"", "runs in .ci/run and above", "runs in make slow and above", "runs in make soak"}[min])
	}
}

// Pick returns the number for the tier: quick, middle or slow.
func Pick(test, ci, slow int) int {
	return []int{test, ci, slow, slow}[Now()]
}
