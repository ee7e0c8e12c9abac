package datafile

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDict compares with a map, over chunks that reuse one table: what a chunk leaves behind must not be seen by the
// next.
func TestDict(t *testing.T) {
	var d dict
	for seed := uint64(1); seed <= 300; seed++ {
		r := rand.New(rand.NewPCG(seed, 8))
		rows := 1 + r.IntN(20_000)
		distinct := 1 + r.IntN(6_000)
		base, step := int64(r.Uint64()), []int64{1, 1000, 3_600_000_000, 1 << 50}[r.IntN(4)]
		values := make([]int64, rows)
		for i := range values {
			values[i] = base + step*int64(r.IntN(distinct))
		}
		d.reset(rows)
		want := map[int64]uint32{}
		var order []int64
		fits := true
		for lo := 0; lo < rows && fits; lo += 777 {
			part := values[lo:min(lo+777, rows)]
			for _, x := range part {
				if _, ok := want[x]; !ok {
					want[x] = uint32(len(want))
					order = append(order, x)
				}
			}
			if fits = d.add(part); fits != (len(want) <= min(maxDict, rows/8)) {
				t.Fatalf("seed %d: accepted %t with %d distinct values of %d", seed, fits, len(want), rows)
			}
		}
		if !fits {
			continue
		}
		if !slices.Equal(d.values, order) {
			t.Fatalf("seed %d: values %v, want %v", seed, d.values, order)
		}
		for x, at := range want {
			if got := d.slots[d.find(x)]; got != at+1 {
				t.Fatalf("seed %d: %d is at %d, want %d", seed, x, got, at+1)
			}
		}
	}
	d.reset(1)
	for i, s := range d.slots {
		if s != 0 {
			t.Fatalf("slot %d still holds %d after the last reset", i, s)
		}
	}
}
