package compact

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// source is a live data file as planning and merging need it.
type source struct {
	path   string
	size   int64
	rows   int64
	lo, hi int64         // event times in it lie between; of the whole range where its manifest does not say
	nulls  map[int]int64 // by field id, as its manifest says
}

const (
	// tierWidth files of like size become one. With six tiers below 512 MB a partition that is written to keeps at most
	// 6 × 9 small files after a run, and a row is rewritten at most six times until its partition is closed.
	tierWidth = 10

	// A tier's files are within a factor of 8 of one another, from 64 KiB up: below that, the size of a file is mostly
	// what its footer and its requests cost.
	firstTier  = 64 << 10
	tierFactor = 8

	// A file of three quarters of the target or more is as good as one of the target, and is left as it is.
	fullPart, fullOf = 3, 4

	// keepParts is into how many parts of time the files of a table are divided that has a retention: the last events in
	// files that become one are as far from one another as a part at the most, and stay that much longer than they had to.
	keepParts = 8

	// maxJobFiles bounds the files of one job: their manifests' entries are rewritten in one commit.
	maxJobFiles = 4096
)

func small(size, target int64) bool { return size < target/fullOf*fullPart }

// tier numbers the sizes.
func tier(size int64) (n int) {
	for limit := int64(firstTier); size > limit; limit *= tierFactor {
		n++
	}
	return n
}

// plan says which files of one partition are to become one file each. It is a pure function of the files.
//
// A partition that is written to has its files joined by tiers of like size, as a log-structured merge tree does, so that
// the small ones stay few whatever the interval of cuts and however long it is written to. A closed one is packed once
// into files of the target size; a late event or two that come afterwards do not have a large file rewritten.
//
// Where keep is not 0 files are joined only with those that leave the table at about the same time.
func plan(files []*source, closed bool, target int64, keep time.Duration) (jobs [][]*source) {
	files = slices.DeleteFunc(slices.Clone(files), func(f *source) bool { return !small(f.size, target) })
	part := keep.Microseconds() / keepParts
	if part == 0 {
		return join(files, closed, target)
	}
	parts := make(map[int64][]*source)
	for _, f := range files {
		parts[f.hi/part] = append(parts[f.hi/part], f)
	}
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		jobs = append(jobs, join(parts[n], closed, target)...)
	}
	return jobs
}

// join is plan for files that may be joined with one another.
func join(files []*source, closed bool, target int64) (jobs [][]*source) {
	if closed {
		return pack(worthPacking(files), target)
	}
	tiers := make(map[int][]*source)
	most := 0
	for _, f := range files {
		n := tier(f.size)
		tiers[n], most = append(tiers[n], f), max(most, n)
	}
	for n := 0; n <= most; n++ {
		if len(tiers[n]) >= tierWidth {
			jobs = append(jobs, pack(tiers[n], target)...)
		}
	}
	return jobs
}

// worthPacking leaves out the largest files where the others are too few and too small to rewrite them for.
func worthPacking(files []*source) []*source {
	slices.SortFunc(files, func(a, b *source) int { return cmp.Compare(a.size, b.size) })
	var rest int64
	for _, f := range files {
		rest += f.size
	}
	for n := len(files); n > 1 && n < tierWidth; n-- {
		largest := files[n-1].size
		if rest -= largest; largest <= rest*tierFactor/2 {
			return files
		}
		files = files[:n-1]
	}
	return files
}

// pack puts files side by side in the order of their times, so that what comes of them overlaps little, into jobs of at
// most the target. A file alone is no job.
func pack(files []*source, target int64) (jobs [][]*source) {
	slices.SortFunc(files, byTime)
	var bin []*source
	var size int64
	done := func() {
		if len(bin) > 1 {
			jobs = append(jobs, bin)
		}
		bin, size = nil, 0
	}
	for _, f := range files {
		if len(bin) > 0 && size+f.size > target || len(bin) == maxJobFiles {
			done()
		}
		bin, size = append(bin, f), size+f.size
	}
	done()
	return jobs
}

func byTime(a, b *source) int {
	return cmp.Or(cmp.Compare(a.lo, b.lo), cmp.Compare(a.hi, b.hi), cmp.Compare(a.path, b.path))
}
