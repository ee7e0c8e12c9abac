//go:build !race

// Under the race detector pools lose things at random.

package eventlog

import "testing"

// TestBlockAllocations: a block is one allocation, of its own size, whatever the number of its events.
func TestBlockAllocations(t *testing.T) {
	for _, n := range []int{1, 100, 1000} {
		b := unique(n, 82, false)
		if got := testing.AllocsPerRun(200, func() {
			block, _, err := encodeBlock(b, 1)
			if err != nil || cap(block) > len(block)*5/4+64 {
				t.Fatalf("%d bytes in %d: %v", len(block), cap(block), err)
			}
		}); got > 1 {
			t.Errorf("%d events: %v allocations, want 1", n, got)
		}
	}
}
