package ship

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// smallSegment is how many bytes of events a segment for a small stager has at most.
const smallSegment = 1 << 20

// stager is the memory of one segment being staged: its rows, and the files on their way.
type stager struct {
	most int64 // bytes of events in a segment
	rows rows
	free chan *bytes.Buffer // Uploads buffers in all
}

// shrink gives back what an unusual segment made large. All buffers are free then.
func (st *stager) shrink() {
	total := int64(0)
	for range cap(st.free) {
		b := <-st.free
		total += int64(b.Cap())
		st.free <- b
	}
	if total > st.most {
		for range cap(st.free) {
			<-st.free
			st.free <- new(bytes.Buffer)
		}
	}
	st.rows.shrink(2 * st.most)
}

// pool holds the stagers of one size, and the tracks that wait for one.
//
// There are two. A store on the network takes tens of milliseconds for a file, however small: the few large stagers, held
// meanwhile, would stage some twenty segments a second between them, which a few hundred quiet tables need. Small
// stagers are many, for what the memory of one more large one costs; encoding itself is for EncodeWorkers at a time.
type pool struct {
	free    chan *stager // SmallStagers or EncodeWorkers in all
	waiting []*track     // in order; Shipper.mu protects it
}

func newPool(n int, most int64, uploads int) pool {
	p := pool{free: make(chan *stager, n)}
	for range n {
		st := &stager{most: most, free: make(chan *bytes.Buffer, uploads)}
		for range uploads {
			st.free <- new(bytes.Buffer)
		}
		p.free <- st
	}
	return p
}

// poolFor is the pool that the next segment of t is cut for.
func (s *Shipper) poolFor(t *track) *pool {
	if cap(s.small.free) > 0 && t.info.PendingBytes <= smallSegment {
		return &s.small
	}
	return &s.large
}

// withStager runs fn with a stager of p if one is free; else t waits its turn for one.
func (s *Shipper) withStager(t *track, p *pool, fn func(*stager) error) error {
	var st *stager
	select {
	case st = <-p.free:
	default:
		s.mu.Lock()
		// One may have been given back since; whoever gives one back looks at waiting under mu.
		select {
		case st = <-p.free:
			s.mu.Unlock()
		default:
			p.waitLocked(t)
			s.mu.Unlock()
			return nil
		}
	}
	err := fn(st)
	s.giveBackStager(p, st)
	return err
}

func (s *Shipper) giveBackStager(p *pool, st *stager) {
	st.shrink()
	s.mu.Lock()
	p.free <- st
	p.wakeLocked(s, time.Now())
	s.mu.Unlock()
	s.wakeUp()
}

// waitLocked puts t behind those that wait for a stager; one that was woken and came too late keeps its place in front.
func (p *pool) waitLocked(t *track) {
	switch {
	case t.waiting:
		return
	case t.woken:
		p.waiting = slices.Insert(p.waiting, 0, t)
	default:
		p.waiting = append(p.waiting, t)
	}
	t.waiting = true
}

// wakeLocked lets the first of those that wait have its turn if a stager is free. One that is not due now (it
// backs off, or has nothing left) is passed over: it asks again when it is. The end of each turn calls it, so that a
// turn which did not need its stager passes it on.
func (p *pool) wakeLocked(s *Shipper, now time.Time) {
	for len(p.free) > 0 && len(p.waiting) > 0 {
		next := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		next.waiting, next.woken = false, true
		s.placeLocked(next, now)
		if next.busy || next.place >= 0 && !next.due.After(now) {
			return
		}
	}
}

// encoding runs fn with an encoder, of which there are EncodeWorkers: so many cores stage at most, whatever the number
// of segments that are on their way.
func (s *Shipper) encoding(ctx context.Context, fn func(*encoders) error) error {
	var e *encoders
	select {
	case e = <-s.encoders:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { s.encoders <- e }()
	defer s.phase("encode")()
	return fn(e)
}
