// Package hist counts latencies in buckets whose width grows with the value, as HDR histograms do: any quantile is
// right to within 1/128, from a nanosecond to hours, in memory that does not depend on how much was recorded.
//
// Recording is one atomic addition, so that all connections of a load share one histogram and a sampler can read it
// meanwhile. A quantile is the greatest value that its bucket can hold: it errs upwards.
package hist

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	subBits = 7                                  // of precision: buckets are at most 1/128 of their value wide
	maxBits = 43                                 // of a value: 2^43 ns are 2.4 hours; what is longer counts as that
	buckets = (maxBits - subBits + 1) << subBits // 4,736 of 8 bytes
	longest = 1<<maxBits - 1
)

// Histogram counts durations. The zero value is empty and ready; it must not be copied after its first use.
type Histogram struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Uint64 // nanoseconds
	max    atomic.Uint64 // nanoseconds, exact
}

// bucket is the index of the bucket that holds v: exact below 2^(subBits+1), then 128 buckets to each doubling.
func bucket(v uint64) int {
	shift := max(0, bits.Len64(v)-subBits-1)
	return shift<<subBits + int(v>>shift)
}

// upper is the greatest value of bucket i.
func upper(i int) uint64 {
	shift := max(0, i>>subBits-1)
	return uint64(i-shift<<subBits+1)<<shift - 1
}

// Record counts one duration; negative ones count as 0.
func (h *Histogram) Record(d time.Duration) { h.RecordN(d, 1) }

// RecordN counts a duration n times.
func (h *Histogram) RecordN(d time.Duration, n uint64) {
	v := min(uint64(max(0, d)), longest)
	h.counts[bucket(v)].Add(n)
	h.sum.Add(v * n)
	for was := h.max.Load(); v > was && !h.max.CompareAndSwap(was, v); was = h.max.Load() {
	}
}

// Count is how many durations were recorded.
func (h *Histogram) Count() (n uint64) {
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n
}

// Quantile is the duration that the fraction q of all does not exceed; 0 when there is none.
func (h *Histogram) Quantile(q float64) time.Duration { return h.Snapshot().Quantile(q) }

// Snapshot is a histogram at one moment, as plain numbers. Its JSON has the buckets that are not empty, each by its
// greatest value.
type Snapshot struct {
	Buckets []Bucket      // rising
	Sum     time.Duration // of all durations
	Max     time.Duration
}

// Bucket is how many durations lie above the bucket before and not above Upper.
type Bucket struct {
	Upper time.Duration
	Count uint64
}

// Snapshot returns what was recorded so far. What is recorded meanwhile may be in it or not.
func (h *Histogram) Snapshot() Snapshot {
	s := Snapshot{Sum: time.Duration(h.sum.Load()), Max: time.Duration(h.max.Load())}
	for i := range h.counts {
		if n := h.counts[i].Load(); n > 0 {
			s.Buckets = append(s.Buckets, Bucket{time.Duration(upper(i)), n})
		}
	}
	return s
}

// Count is how many durations a snapshot holds.
func (s Snapshot) Count() (n uint64) {
	for _, b := range s.Buckets {
		n += b.Count
	}
	return n
}

// Mean is the average duration; 0 when there is none.
func (s Snapshot) Mean() time.Duration {
	if n := s.Count(); n > 0 {
		return s.Sum / time.Duration(n)
	}
	return 0
}

// Quantile is the duration that the fraction q of all does not exceed; 0 when there is none.
func (s Snapshot) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(s.Count())) // how many may lie before it
	for _, b := range s.Buckets {
		if b.Count > rank {
			return min(b.Upper, s.Max)
		}
		rank -= b.Count
	}
	return s.Max
}

// Since is what was recorded after was, an earlier snapshot of the same histogram. Its Max is the greatest bucket's.
func (s Snapshot) Since(was Snapshot) Snapshot {
	had := make(map[time.Duration]uint64, len(was.Buckets))
	for _, b := range was.Buckets {
		had[b.Upper] = b.Count
	}
	d := Snapshot{Sum: s.Sum - was.Sum}
	for _, b := range s.Buckets {
		if n := b.Count - had[b.Upper]; n > 0 {
			d.Buckets = append(d.Buckets, Bucket{b.Upper, n})
			d.Max = min(b.Upper, s.Max)
		}
	}
	return d
}

// wire is a snapshot's JSON. The buckets are one text, "nanoseconds:count nanoseconds:count", so that indented JSON does
// not give each its own lines.
type wire struct {
	SumNs   int64  `json:"sum_ns"`
	MaxNs   int64  `json:"max_ns"`
	Buckets string `json:"buckets"`
}

// MarshalJSON writes the buckets that are not empty.
func (s Snapshot) MarshalJSON() ([]byte, error) {
	var text []byte
	for i, b := range s.Buckets {
		if i > 0 {
			text = append(text, ' ')
		}
		text = strconv.AppendInt(text, int64(b.Upper), 10)
		text = append(text, ':')
		text = strconv.AppendUint(text, b.Count, 10)
	}
	return json.Marshal(wire{SumNs: int64(s.Sum), MaxNs: int64(s.Max), Buckets: string(text)})
}

// UnmarshalJSON reads what MarshalJSON wrote, and refuses buckets that do not rise.
func (s *Snapshot) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return fmt.Errorf("read histogram: %w", err)
	}
	*s = Snapshot{Sum: time.Duration(w.SumNs), Max: time.Duration(w.MaxNs)}
	last := int64(-1)
	for pair := range strings.FieldsSeq(w.Buckets) {
		upper, count, _ := strings.Cut(pair, ":")
		u, uerr := strconv.ParseInt(upper, 10, 64)
		n, nerr := strconv.ParseUint(count, 10, 64)
		if uerr != nil || nerr != nil || u <= last || u > longest {
			return fmt.Errorf("read histogram: %q is no bucket, or out of order", pair)
		}
		s.Buckets, last = append(s.Buckets, Bucket{time.Duration(u), n}), u
	}
	return nil
}

// Plus is what two snapshots hold together.
func (s Snapshot) Plus(t Snapshot) Snapshot {
	sum := Snapshot{Sum: s.Sum + t.Sum, Max: max(s.Max, t.Max)}
	a, b := s.Buckets, t.Buckets
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Upper < b[0].Upper:
			sum.Buckets, a = append(sum.Buckets, a[0]), a[1:]
		case len(a) == 0 || b[0].Upper < a[0].Upper:
			sum.Buckets, b = append(sum.Buckets, b[0]), b[1:]
		default:
			sum.Buckets = append(sum.Buckets, Bucket{a[0].Upper, a[0].Count + b[0].Count})
			a, b = a[1:], b[1:]
		}
	}
	return sum
}
