package ship

import "time"

// pace is how long after its request a commit usually shows, over all tables: when the first look is worth it. It
// follows a quantile rather than a mean: a first look that came too early makes it longer by more than one in time
// makes it shorter, and rests where about four in five first looks find the commit. So shipping asks about five times
// for four commits, whatever the queue and the committer take, and is late by little.
type pace time.Duration

const (
	paceLater  = 1.2  // after a first look in vain
	paceSooner = 0.95 // after one in time: 0.95⁴ × 1.2 is about 1
)

func (p *pace) wait() time.Duration { return time.Duration(*p) }

func (p *pace) note(found bool, least, most time.Duration) {
	factor := paceLater
	if found {
		factor = paceSooner
	}
	*p = pace(min(max(time.Duration(float64(*p)*factor), least), most))
}
