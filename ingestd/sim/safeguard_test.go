//go:build firnsim

package sim

import (
	"sync/atomic"
	"testing"

	"firn/commitlib/safeguard"
)

// TestSafeguards switches each safeguard off and plays until the oracle notices, within 500 seeds.
func TestSafeguards(t *testing.T) {
	for _, guard := range safeguard.All() {
		t.Run(guard.String(), func(t *testing.T) {
			safeguard.Switch(guard, true)
			defer safeguard.Switch(guard, false)
			var noticed atomic.Bool
			inParallel(t, 1, 500, func(t *testing.T, seed uint64) bool {
				if noticed.Load() {
					return true
				}
				if wrong := run(t, seed, nil).wrong; len(wrong) > 0 && noticed.CompareAndSwap(false, true) {
					t.Logf("noticed at seed %d: %s", seed, wrong[0])
				}
				return true
			})
			if !noticed.Load() {
				t.Errorf("500 seeds without safeguard %s, and nothing went wrong: the simulation does not test it", guard)
			}
		})
	}
}
