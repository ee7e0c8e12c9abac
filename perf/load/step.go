package load

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"firn/perf/hist"
)

// step is a Plan under way.
type step struct {
	plan    Plan
	target  *Target
	tallies []*tally
	due     []*arrivals
	began   time.Time
	zero    counters // the server's, when it began
	seen    int64    // queryable events, when it began

	mu     sync.Mutex // protects phase
	phase  string
	series []Sample        // the sampler's, until it has stopped
	last   []hist.Snapshot // latencies at the last sample, by traffic
}

// mark is how everything stood at one moment.
type mark struct {
	at     time.Time
	own    time.Duration // CPU of this process
	all    time.Duration // CPU of the machine
	server counters
	events []int64
	reqs   []int64
	bytes  []int64
	lat    []hist.Snapshot
	svc    []hist.Snapshot
}

// Run runs a plan against a target. When ctx ends, so does the load, and what was measured so far is the result.
func (p Plan) Run(ctx context.Context, t *Target) (*Step, error) {
	if err := errors.Join(p.Validate(), t.Check()); err != nil {
		return nil, fmt.Errorf("step %s: %w", p.Name, err)
	}
	s := &step{plan: p, target: t, phase: phaseWarmup, last: make([]hist.Snapshot, len(p.Traffic))}
	if p.Warmup == 0 {
		s.phase = phaseLoad
	}
	out, err := s.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("step %s: %w", p.Name, err)
	}
	return out, nil
}

func (s *step) run(ctx context.Context) (*Step, error) {
	for i := range s.plan.Traffic {
		if err := s.target.put(&s.plan.Traffic[i], s.plan.Settings); err != nil {
			return nil, err
		}
		s.tallies = append(s.tallies, new(tally))
	}
	zero, err := scrape(s.target.Addr, s.ours)
	if err != nil {
		return nil, err
	}
	s.zero = zero
	if s.seen, err = s.queryable(); err != nil {
		return nil, err
	}
	var p *probe
	if s.plan.Probe && s.target.Data != "" {
		if p, err = newProbe(s.target.Data); err != nil {
			return nil, err
		}
		defer p.close()
		for _, y := range s.tallies {
			y.between = p.once
		}
	}

	from, err := s.mark()
	if err != nil {
		return nil, err
	}
	s.began = time.Now()
	from.at = s.began
	wait := s.start(ctx)
	stopSampling := s.sample(ctx)
	defer stopSampling()
	if s.plan.Warmup > 0 {
		pause(ctx, s.plan.Warmup)
		if from, err = s.mark(); err != nil {
			return nil, err
		}
	}
	s.enter(phaseLoad)
	if err := wait(); err != nil {
		return nil, err
	}
	to, err := s.mark()
	if err != nil {
		return nil, err
	}
	s.enter(phaseDrain)
	left, err := s.drain(ctx)
	if err != nil {
		return nil, err
	}
	end, err := s.mark()
	if err != nil {
		return nil, err
	}
	if err := stopSampling(); err != nil {
		return nil, err
	}
	out := s.result(from, to, end)
	out.Undrained = left
	if p != nil {
		f := p.result()
		out.Fsync = &f
	}
	seen, err := s.queryable()
	out.Queryable = max(0, seen-s.seen)
	return out, err
}

// start starts all traffic. The function that it returns waits for its end, and returns what went wrong.
func (s *step) start(ctx context.Context) (wait func() error) {
	ctx, cancel := context.WithCancel(ctx)
	deadline := s.began.Add(s.plan.Warmup + s.plan.Duration)
	seed := uint64(s.began.UnixNano())
	errs := make([]error, len(s.plan.Traffic))
	var loads sync.WaitGroup
	for i := range s.plan.Traffic {
		t := &s.plan.Traffic[i]
		a := &arrivals{start: s.began, deadline: deadline, think: time.Duration(t.Think)}
		if t.Rate > 0 {
			a.every = 1e9 * float64(t.Events) / t.Rate
		}
		s.due = append(s.due, a)
		loads.Go(func() {
			times, err := clock(t.Times, s.plan.Warmup+s.plan.Duration)
			if err == nil {
				err = t.send(ctx, s.target.Addr, seed+uint64(i), a, times, s.tallies[i])
			}
			if errs[i] = err; err != nil {
				cancel() // the others would measure something else
			}
		})
	}
	return func() error {
		loads.Wait()
		cancel()
		return errors.Join(errs...)
	}
}

// ours says whether a table belongs to this step.
func (s *step) ours(table string) bool {
	for i := range s.plan.Traffic {
		t := &s.plan.Traffic[i]
		if table == t.Table || t.Tables > 1 && strings.HasPrefix(table, t.Table+"_") {
			return true
		}
	}
	return false
}

func (s *step) mark() (mark, error) {
	server, err := scrape(s.target.Addr, s.ours)
	m := mark{at: time.Now(), own: ownCPU(), all: machineCPU(), server: server}
	for _, y := range s.tallies {
		m.events, m.reqs, m.bytes = append(m.events, y.events.Load()), append(m.reqs, y.requests.Load()), append(m.bytes, y.bytes.Load())
		m.lat, m.svc = append(m.lat, y.latency.Snapshot()), append(m.svc, y.service.Snapshot())
	}
	return m, err
}

// drainEvery is how often the server is asked whether all is committed.
const drainEvery = 50 * time.Millisecond

// drain waits until all events of the step's tables are committed, and returns how many are not after the longest wait.
func (s *step) drain(ctx context.Context) (left int64, err error) {
	for end := time.Now().Add(s.plan.Drain); s.plan.Drain > 0; {
		c, err := scrape(s.target.Addr, s.ours)
		if err != nil {
			return 0, err
		}
		left = int64(c[mOfTable])
		if left == 0 || time.Now().After(end) || ctx.Err() != nil {
			return left, nil
		}
		pause(ctx, drainEvery)
	}
	return 0, nil
}

// pause waits, but not beyond ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
