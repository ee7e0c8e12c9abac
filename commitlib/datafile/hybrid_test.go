package datafile

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/rle"
)

// TestHybrid decodes what parquet-go encodes, at each width, in runs and without.
func TestHybrid(t *testing.T) {
	for width := uint(1); width <= 32; width++ {
		r := rand.New(rand.NewPCG(uint64(width), 7))
		var want []int32
		for range 40 {
			x := int32(r.Uint64() & (1<<width - 1))
			for range 1 + r.IntN(40)*r.IntN(2) {
				want = append(want, x)
			}
		}
		packed, err := (&rle.Encoding{BitWidth: int(width)}).EncodeInt32(nil, want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodeHybrid(nil, packed, width, len(want), 1<<width-1)
		if err != nil {
			t.Fatalf("width %d: %v", width, err)
		}
		if !slices.EqualFunc(got, want, func(a uint32, b int32) bool { return a == uint32(b) }) {
			t.Fatalf("width %d: %v, want %v", width, got, want)
		}
		for cut := range packed {
			if _, err := decodeHybrid(nil, packed[:cut], width, len(want), 1<<width-1); err == nil {
				t.Fatalf("width %d: cut at %d of %d bytes: accepted", width, cut, len(packed))
			}
		}
	}
}

func TestHybridRefuses(t *testing.T) {
	f := func(name string, src []byte, width uint, n int, limit uint32) {
		t.Helper()
		if got, err := decodeHybrid(nil, src, width, n, limit); err == nil {
			t.Errorf("%s: %d values", name, len(got))
		}
	}
	f("nothing", nil, 1, 1, 1)
	f("a run of none", []byte{0, 0}, 1, 1, 1)
	f("a value beyond the dictionary", []byte{2, 5}, 8, 1, 4)
	f("a packed value beyond the dictionary", []byte{3, 5, 0, 0, 0, 0, 0, 0, 0}, 8, 8, 4)
	f("endless length", []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 1, 1, 1)
	got, err := decodeHybrid(nil, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 1}, 1, 3, 1) // a run of 2^31-1 where 3 are left
	if err != nil || !slices.Equal(got, []uint32{1, 1, 1}) {
		t.Errorf("long run: %v, %v; want the 3 that are asked for", got, err)
	}
}
