package gate

import (
	"math"
	"testing"
)

// The tail by counting agrees with a table of Mann and Whitney's and with all orders of a few values.
func TestRankSumTail(t *testing.T) {
	f := func(n, m, u int, want float64) {
		t.Helper()
		if got := rankSumTail(n, m, u); math.Abs(got-want) > 1e-12 {
			t.Errorf("rankSumTail(%d, %d, %d) = %v, want %v", n, m, u, got, want)
		}
	}
	f(1, 1, 0, 1)
	f(1, 1, 1, 0.5)
	f(2, 2, 4, 1.0/6)
	f(2, 2, 3, 2.0/6)
	f(3, 2, 6, 1.0/10)
	f(3, 3, 9, 1.0/20)
	f(3, 3, 8, 2.0/20)
	f(5, 5, 25, 1.0/252)
	f(4, 4, 0, 1)

	for n := range 5 {
		for m := range 5 {
			for u := range n*m + 1 {
				f(n, m, u, byOrders(n, m, u))
			}
		}
	}
}

// byOrders goes through all orders of n and m values.
func byOrders(n, m, u int) float64 {
	all, beyond := 0, 0
	for order := range 1 << (n + m) {
		ones, above, seen := 0, 0, 0
		for i := range n + m {
			if order>>i&1 == 1 {
				ones++
				above += seen
			} else {
				seen++
			}
		}
		if ones != n {
			continue
		}
		if all++; above >= u {
			beyond++
		}
	}
	return float64(beyond) / float64(all)
}
