package hist

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// Every value lies in the bucket that is meant to hold it, and no bucket is wider than its promise.
func TestBucketsHoldTheirValues(t *testing.T) {
	f := func(v uint64) {
		t.Helper()
		i := bucket(v)
		if i < 0 || i >= buckets {
			t.Fatalf("%d is in bucket %d of %d", v, i, buckets)
		}
		if up := upper(i); v > up || up-v > v>>subBits {
			t.Fatalf("%d is in bucket %d, which ends at %d", v, i, up)
		}
		if i > 0 && v <= upper(i-1) {
			t.Fatalf("%d is in bucket %d, and the one before ends at %d", v, i, upper(i-1))
		}
	}
	for v := range uint64(5000) {
		f(v)
	}
	for shift := range maxBits {
		f(1<<shift - 1)
		f(1 << shift)
		f(1<<shift + 1)
	}
	f(longest)
	for range 10_000 {
		f(rand.Uint64() >> (64 - maxBits + rand.IntN(maxBits)))
	}
}

func TestQuantilesAreThoseOfTheSortedList(t *testing.T) {
	var h Histogram
	rng := rand.New(rand.NewPCG(1, 2))
	all := make([]time.Duration, 20_000)
	for i := range all {
		all[i] = time.Duration(rng.ExpFloat64() * float64(5*time.Millisecond))
		h.Record(all[i])
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[min(len(all)-1, int(q*float64(len(all))))]
		if got := h.Quantile(q); got < want || got > want+want/128+1 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if s := h.Snapshot(); s.Max != all[len(all)-1] || s.Count() != uint64(len(all)) || h.Count() != s.Count() {
		t.Errorf("%d values up to %v", s.Count(), s.Max)
	}
}

func TestEdges(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Snapshot().Mean() != 0 {
		t.Error("an empty histogram has a median or a mean")
	}
	h.Record(-time.Second)
	h.RecordN(100*time.Hour, 2)
	s := h.Snapshot()
	if s.Count() != 3 || s.Quantile(0) != 0 || s.Quantile(1) != longest {
		t.Errorf("%+v", s)
	}
}

func TestSinceIsWhatCameAfter(t *testing.T) {
	var h Histogram
	h.Record(time.Millisecond)
	was := h.Snapshot()
	h.RecordN(time.Millisecond, 3)
	h.Record(time.Second)
	d := h.Snapshot().Since(was)
	if d.Count() != 4 || d.Quantile(0.5) > 1100*time.Microsecond || d.Max != time.Second || d.Mean() < 250*time.Millisecond {
		t.Errorf("%+v", d)
	}
}

func TestPlusHoldsBoth(t *testing.T) {
	var a, b, both Histogram
	for i := range 300 {
		d := time.Duration(i*i) * time.Microsecond
		if i%3 > 0 {
			a.Record(d)
			both.Record(d)
		}
		if i%2 > 0 {
			b.Record(d)
			both.Record(d)
		}
	}
	if got := a.Snapshot().Plus(b.Snapshot()); !reflect.DeepEqual(got, both.Snapshot()) {
		t.Errorf("%d of %d values, up to %v", got.Count(), both.Count(), got.Max)
	}
}

func TestJSONKeepsASnapshot(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Record(time.Duration(i*i) * time.Microsecond)
	}
	b, err := json.Marshal(h.Snapshot())
	if err != nil {
		t.Fatal(err)
	}
	var back Snapshot
	if err := json.Unmarshal(b, &back); err != nil || !reflect.DeepEqual(back, h.Snapshot()) {
		t.Errorf("%v: %d of %d values came back", err, back.Count(), h.Count())
	}
	for _, bad := range []string{`{"buckets":"5:1 5:1"}`, `{"buckets":"9:1 5:1"}`, `{"buckets":"9007199254740993:1"}`, `{"buckets":"5"}`, `{"buckets":"-3:1"}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	for i := range b.N {
		h.Record(time.Duration(i))
	}
}
