package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Scenario is a measurement with a name: which ingestd, and which steps.
type Scenario struct {
	Name  string
	About string   // what it asks, in one line
	Flags []string // of the ingestd that it starts
	run   func(r *Runner) error
}

// Alone is the scenario of one step.
func Alone(p Plan) *Scenario { return &Scenario{Name: "load", run: steps(p)} }

// Find returns the scenario of that name.
func Find(name string) (*Scenario, error) {
	for i := range Scenarios {
		if Scenarios[i].Name == name {
			return &Scenarios[i], nil
		}
	}
	return nil, fmt.Errorf("no scenario is called %q", name)
}

// Runner runs a scenario's steps, each against an ingestd that it starts afresh, or all against one that runs.
type Runner struct {
	Binary   string        // program to start; empty: Running is what is measured
	Dir      string        // where to put its data; empty: the system's temporary directory
	Flags    []string      // of the ingestd, besides the scenario's
	Running  *Target       // nil: Binary is started
	Duration time.Duration // of a step; 0: as the scenario says
	Log      func(format string, args ...any)

	ctx      context.Context
	scenario *Scenario
	server   *Process
	result   *Result
}

// Run runs a scenario. When ctx ends, the step under way does, and no other begins.
func (r *Runner) Run(ctx context.Context, s *Scenario) (_ *Result, err error) {
	r.ctx, r.scenario, r.result = ctx, s, nil
	defer func() { err = errors.Join(err, r.renew()) }()
	if err := s.run(r); err != nil {
		return nil, fmt.Errorf("scenario %s: %w", s.Name, err)
	}
	if r.result == nil {
		return nil, fmt.Errorf("scenario %s: it was ended before its first step", s.Name)
	}
	return r.result, nil
}

// renew ends the daemon of the last step: the next step starts another, on an empty directory.
func (r *Runner) renew() error {
	if r.server == nil {
		return nil
	}
	err := r.server.Stop()
	r.server = nil
	return err
}

// target is the daemon to measure, started if there is none.
func (r *Runner) target() (*Target, error) {
	if r.Running != nil {
		return r.Running, nil
	}
	if r.server == nil {
		p, err := Start(r.ctx, r.Binary, r.Dir, append(append([]string{}, r.scenario.Flags...), r.Flags...))
		if err != nil {
			return nil, err
		}
		r.server = p
	}
	return &r.server.Target, nil
}

// fresh runs a step against a daemon of its own.
func (r *Runner) fresh(p Plan) (*Step, error) {
	if err := r.renew(); err != nil {
		return nil, err
	}
	return r.step(p)
}

// step runs a step against the daemon of the last one.
func (r *Runner) step(p Plan) (*Step, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	t, err := r.target()
	if err != nil {
		return nil, err
	}
	if r.result == nil {
		if r.result, err = NewResult(r.scenario.Name, t); err != nil {
			return nil, err
		}
	}
	if r.Duration > 0 {
		p.Duration = r.Duration
	}
	if r.Log != nil {
		r.Log("%s: %s, %v", r.scenario.Name, p.Name, p.Warmup+p.Duration)
	}
	s, err := p.Run(r.ctx, t)
	if err != nil {
		return nil, err
	}
	r.result.Steps = append(r.result.Steps, *s)
	return s, nil
}

// note adds what a reader of the result must know.
func (r *Runner) note(format string, args ...any) {
	r.result.Notes = append(r.result.Notes, fmt.Sprintf(format, args...))
}

// steps runs plans, each against a daemon of its own.
func steps(plans ...Plan) func(r *Runner) error {
	return func(r *Runner) error {
		for _, p := range plans {
			if _, err := r.fresh(p); err != nil {
				return err
			}
		}
		return nil
	}
}
