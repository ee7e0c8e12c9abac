package load

import (
	"context"
	"sync"
	"time"

	"firn/perf/hist"
)

// sampleEvery is the time between two samples, up to a run of samplesWanted of them: a scrape costs the server about a
// millisecond.
const (
	sampleEvery   = 500 * time.Millisecond
	samplesWanted = 600
)

// sample samples until the function that it returns is called; that waits for the sampler's end, and returns its error.
// It may be called again.
func (s *step) sample(ctx context.Context) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	every := max(sampleEvery, (s.plan.Warmup+s.plan.Duration)/samplesWanted)
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			if err := s.once(); err != nil {
				done <- err
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				done <- s.once()
				return
			}
		}
	}()
	return sync.OnceValue(func() error {
		cancel()
		return <-done
	})
}

// enter begins a phase.
func (s *step) enter(phase string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = phase
}

// once takes one sample.
func (s *step) once() error {
	c, err := scrape(s.target.Addr, s.ours)
	if err != nil {
		return err
	}
	s.mu.Lock()
	x := Sample{Phase: s.phase}
	s.mu.Unlock()
	x.Second = time.Since(s.began).Seconds()
	since := func(name string) int64 { return int64(c[name] - s.zero[name]) }
	x.Logged, x.Staged, x.Committed, x.Commits = since(mAcked), since(mStaged), since(mCommitted), since(mCommits)
	if _, ok := c[mStaged]; !ok {
		x.Staged = since(mEncoded)
	}
	x.Backlog, x.LogBytes, x.Resident, x.Heap, x.StoreMemory = int64(c[mOfTable]), int64(c[mLogBytes]), int64(c[mMemory]), int64(c[mHeap]), int64(c[mStoreRAM])
	x.ServerCPU, x.CommitSum = c[mCPU]-s.zero[mCPU], c[mCommitTime]-s.zero[mCommitTime]
	seen, err := s.queryable()
	if err != nil {
		return err
	}
	x.Queryable = max(0, seen-s.seen)
	var acks hist.Snapshot
	for i, y := range s.tallies {
		if s.plan.Traffic[i].Reads {
			continue
		}
		x.Acked += y.events.Load()
		x.Refused += y.refused.Load()
		if a := s.due[i]; a.every > 0 {
			x.Offered += int64(min(time.Since(a.start), a.deadline.Sub(a.start)).Seconds() * s.plan.Traffic[i].Rate)
		}
		now := y.latency.Snapshot()
		acks = acks.Plus(now.Since(s.last[i]))
		s.last[i] = now
	}
	x.P50Ms, x.P99Ms = ms(acks.Quantile(0.5)), ms(acks.Quantile(0.99))
	s.series = append(s.series, x)
	return nil
}

// lookedAt is how many tables are looked at for what is queryable: a look costs the reading of their metadata.
const lookedAt = 4

// queryable is how many events a reader would find in the step's tables now; 0 where they cannot be looked at.
func (s *step) queryable() (n int64, err error) {
	if s.target.Warehouse == "" {
		return 0, nil
	}
	tables := map[string]bool{}
	for i := range s.plan.Traffic {
		if t := &s.plan.Traffic[i]; !t.Reads {
			if t.Tables > 1 {
				return 0, nil
			}
			tables[t.Table] = true
		}
	}
	if len(tables) > lookedAt {
		return 0, nil
	}
	for table := range tables {
		rows, err := s.target.queryable(table)
		if err != nil {
			return 0, err
		}
		n += rows
	}
	return n, nil
}
