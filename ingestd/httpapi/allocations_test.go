//go:build !race

// Under the race detector pools lose things at random.

package httpapi

import "testing"

// TestDirectAllocations holds what a request costs the collector, whatever the number of its events.
func TestDirectAllocations(t *testing.T) {
	f := func(name, text string, want float64) {
		t.Helper()
		c := freeServer(t)
		c.request(t, text) // pools and arenas grow
		if got := testing.AllocsPerRun(200, func() { c.request(t, text) }); got > want {
			t.Errorf("%s: %v allocations a request, want at most %v", name, got, want)
		}
	}
	f("bulk of 100", bulkRequest(100), 5)
	f("bulk of 1", bulkRequest(1), 5)
	f("one event", post("/tables/events", "x"), 5)
}
