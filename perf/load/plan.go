package load

import (
	"errors"
	"fmt"
	"time"
)

// Plan is one step to run.
type Plan struct {
	Name     string
	Traffic  []Traffic
	Settings string        // JSON that each traffic's tables are PUT with; empty: their first events make them
	Warmup   time.Duration // of load that is not counted
	Duration time.Duration
	Drain    time.Duration // longest wait until all is committed; 0: none
	Probe    bool          // measure syncs of the disk between the requests, for a step that leaves it idle
}

// longest bounds a step's load: a generator that is forgotten must end.
const longest = 24 * time.Hour

// Validate says what of a plan cannot be.
func (p *Plan) Validate() error {
	if len(p.Traffic) == 0 {
		return errors.New("a step without traffic")
	}
	if p.Warmup < 0 || p.Duration <= 0 || p.Drain < 0 || p.Warmup+p.Duration > longest {
		return fmt.Errorf("a step of %v after %v: give it a time of %v at most", p.Duration, p.Warmup, longest)
	}
	for i := range p.Traffic {
		if err := p.Traffic[i].Validate(); err != nil {
			return err
		}
	}
	return nil
}
