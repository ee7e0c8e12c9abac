package gate

import (
	"math"
	"slices"
)

// What is asked of the figures. TestErrorRates holds what follows from these numbers.
const (
	// Margin is the slow-down that nobody is stopped for: code that is laid out in another way, a field more in a
	// struct. A series of such changes adds up; the recorded base (perf/baselines/base) is what meets it.
	Margin = 0.05
	// Sought is the slow-down that the gate is made to see.
	Sought = 0.15

	// enough is the slow-down that must be visible before rounds cease to be added: below Sought, since the noise of
	// twelve pairs is itself not known well.
	enough = 0.12

	// A stage is suspected when chance alone would give such figures in one of ten runs, were the change slower by
	// exactly the margin; it is slower when fresh figures, of chance one in two hundred, say so again.
	suspects = 0.1
	convicts = 0.005

	leastRounds   = 8  // whatever time they take; to confirm, firstRounds
	firstRounds   = 16 // of each stage, before anything is judged
	moreRounds    = 8  // are added while the noise would hide Sought
	mostRounds    = 48
	confirmRounds = 36
)

// figures are what pairs of processes gave: the logarithm of the ratio of their CPU times. twins are pairs of the base
// with itself, changes are pairs of the change with the base (positive: the change is slower).
type figures struct {
	twins, changes []float64
}

// slower is the probability of figures as extreme as these if the change were slower by no more than the margin: a
// rank-sum test of the changes, less the margin, against the twins. Were the two commits equal, twins and changes would be
// drawn in one way, whatever that is: the test assumes nothing of the noise's shape.
func (f figures) slower(margin float64) float64 {
	least := math.Log(1 + margin)
	above := 0 // pairs (change, twin) in which the change is beyond the twin
	for _, c := range f.changes {
		for _, t := range f.twins {
			if c-least > t { // a tie speaks for the change
				above++
			}
		}
	}
	return rankSumTail(len(f.changes), len(f.twins), above)
}

// ratio estimates the change's time by the base's: Hodges and Lehmann's, the median of all differences.
func (f figures) ratio() float64 {
	var all []float64
	for _, c := range f.changes {
		for _, t := range f.twins {
			all = append(all, c-t)
		}
	}
	return math.Exp(median(all))
}

// noise is the standard deviation of a pair's figure, taken from the twins alone and by ranks, so that a few pairs that met
// a burst of other work do not count.
func (f figures) noise() float64 {
	middle := median(f.twins)
	away := make([]float64, len(f.twins))
	for i, t := range f.twins {
		away[i] = math.Abs(t - middle)
	}
	const normal = 1.4826 // of the normal distribution, standard deviation by median deviation
	return normal * median(away)
}

// sees is the least slow-down that so many pairs in such noise would make a suspect in nine of ten runs.
func (f figures) sees() float64 {
	const (
		ninety = 1.28 // normal quantile of 0.9
		chance = 1.28 // of 1 - suspects
		ranks  = 1.02 // what the rank sum loses beside the mean in normal noise, as a factor of its error
	)
	n, m := float64(len(f.changes)), float64(len(f.twins))
	fault := ranks * f.noise() * math.Sqrt(1/n+1/m)
	return math.Exp(math.Log(1+Margin)+(ninety+chance)*fault) - 1
}

// rankSumTail is the probability that, of n and m values in random order, at least u of the n·m pairs have the first
// kind's value above the second's (Mann and Whitney's U).
func rankSumTail(n, m, u int) float64 {
	// U is spread evenly around its middle: the shorter tail is counted.
	if below := n*m - u; below < u {
		return rankSumHead(n, m, below)
	}
	return 1 - rankSumHead(n, m, u-1)
}

// rankSumHead is the probability that U is at most most, by counting.
func rankSumHead(n, m, most int) float64 {
	if most < 0 {
		return 0
	}
	// ways[j][k] is the probability of U = k among i values of the first kind and j of the second. The greatest of all
	// is of the first kind with probability i/(i+j), and is then above all j.
	ways := make([][]float64, m+1)
	for j := range ways {
		ways[j] = make([]float64, most+1)
		ways[j][0] = 1 // none of the first kind
	}
	for i := 1; i <= n; i++ {
		for j := 1; j <= m; j++ { // of j-1 this i's values, of j the last i's
			first := float64(i) / float64(i+j)
			for k := most; k >= 0; k-- {
				p := (1 - first) * ways[j-1][k]
				if k >= j {
					p += first * ways[j][k-j]
				}
				ways[j][k] = p
			}
		}
	}
	sum := 0.0
	for _, p := range ways[m] {
		sum += p
	}
	return min(sum, 1)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
