package compact

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func files(sizes ...int64) []*source {
	var all []*source
	for i, n := range sizes {
		all = append(all, &source{path: fmt.Sprintf("f%03d", i), size: n, rows: 1, lo: int64(i), hi: int64(i) + 1})
	}
	return all
}

func repeat(n int, size int64) []int64 {
	sizes := make([]int64, n)
	for i := range sizes {
		sizes[i] = size
	}
	return sizes
}

const mib = 1 << 20

func TestPlan(t *testing.T) {
	check := func(name string, closed bool, sizes []int64, want ...int) {
		t.Helper()
		jobs := plan(files(sizes...), closed, 512*mib, 0)
		got := make([]int, len(jobs))
		for i := range jobs {
			got[i] = len(jobs[i])
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: jobs of %v files, want %v", name, got, want)
		}
	}
	check("nothing", true, nil)
	check("one small file", true, []int64{1})
	check("nine files of a partition that is written to", false, repeat(9, 1000))
	check("ten of them", false, repeat(10, 1000), 10)
	check("two tiers", false, append(repeat(12, 1000), repeat(11, mib)...), 12, 11)
	check("a closed partition of nine", true, repeat(9, 1000), 9)
	check("two files", true, repeat(2, 100*mib), 2)
	check("full ones stay", true, append(repeat(3, 384*mib), 5*mib, 5*mib), 2)
	check("more than a target", true, repeat(12, 100*mib), 5, 5, 2)
	check("a late event does not rewrite a large file", true, []int64{300 * mib, 1000, 2000}, 2)
	check("but a tier of them does", true, append(repeat(9, 1000), 300*mib), 10)
	check("or as much as a quarter of it", true, []int64{300 * mib, 40 * mib, 40 * mib}, 3)
	check("two that make more than a target", true, repeat(2, 300*mib))
}

// TestPlanSettles writes to a partition for long, and runs the plan after each so many files: small files stay at 64 at
// most, a row is rewritten as often as there are tiers at most, and when it is closed the packing ends.
func TestPlanSettles(t *testing.T) {
	for _, every := range []int{1, 7} {
		rng := rand.New(rand.NewPCG(1, 2))
		const target = 512 * mib
		var live []*source
		var written, rewritten int64
		step := func(closed bool) (jobs int) {
			gone := map[*source]bool{}
			for _, job := range plan(live, closed, target, 0) {
				out := &source{path: fmt.Sprint(len(live), rewritten), lo: job[0].lo, hi: job[len(job)-1].hi}
				for _, f := range job {
					out.size += f.size
					gone[f] = true
				}
				if out.size > target {
					t.Fatalf("a job makes a file of %d bytes", out.size)
				}
				rewritten += out.size
				live = append(live, out)
				jobs++
			}
			kept := live[:0]
			for _, f := range live {
				if !gone[f] {
					kept = append(kept, f)
				}
			}
			live = kept
			return jobs
		}
		for i := range 20_000 {
			size := rng.Int64N(200_000) + 2_000
			written += size
			live = append(live, &source{path: fmt.Sprint(i), size: size, lo: int64(i), hi: int64(i + 1)})
			if i%every != 0 {
				continue
			}
			step(false)
			n := 0
			for _, f := range live {
				if small(f.size, target) {
					n++
				}
			}
			if n > 64 {
				t.Fatalf("%d small files after %d", n, i)
			}
		}
		if amplification := float64(rewritten) / float64(written); amplification > 6 {
			t.Errorf("rows were rewritten %.1f times", amplification)
		}
		runs := 0
		for step(true) > 0 {
			if runs++; runs > 3 {
				t.Fatal("packing does not end")
			}
		}
		if n := int64(len(live)); n > written/target*3/2+2 {
			t.Errorf("%d bytes are in %d files", written, n)
		}
	}
}

// TestPlanKeepsTimesApart: where events leave for their age, what is joined leaves at about the same time, and yet few
// small files stay.
func TestPlanKeepsTimesApart(t *testing.T) {
	const hour = int64(time.Hour / time.Microsecond)
	const keep = 30 * 24 * time.Hour
	span := keep.Microseconds() / keepParts
	for _, closed := range []bool{false, true} {
		var all []*source
		for i := range int64(2000) { // of 40 days; each has a late event from any time before
			all = append(all, &source{path: fmt.Sprint(i), size: 1000, rows: 1, lo: i % 7, hi: 1000*24*hour + i*hour/2})
		}
		unknown := int64(math.MaxInt64)
		for i := range 12 {
			all = append(all, &source{path: fmt.Sprint("unknown", i), size: 1000, rows: 1, lo: math.MinInt64, hi: unknown})
		}
		in := 0
		for _, job := range plan(all, closed, 512*mib, keep) {
			first, last := job[0].hi, job[0].hi
			for _, f := range job {
				first, last = min(first, f.hi), max(last, f.hi)
			}
			if last-first > span {
				t.Errorf("closed %v: a job's files leave %d hours apart", closed, (last-first)/hour)
			}
			in += len(job)
		}
		if left := len(all) - in; left > 2*keepParts*(tierWidth-1) {
			t.Errorf("closed %v: %d small files stay", closed, left)
		}
		if n := len(plan(all, closed, 512*mib, 0)); n > 2 {
			t.Errorf("closed %v: %d jobs where no event leaves", closed, n)
		}
	}
}
