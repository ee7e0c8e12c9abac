package peer

import (
	"io"
	"maps"
	"sync"
	"time"
)

// Count is what went through a proxy for one operation.
type Count struct {
	Requests int
	In       int64       // bytes of the requests' bodies
	Out      int64       // bytes of the answers' bodies
	Status   map[int]int // how often the server, or the hook in its place, answered so; 0: without an answer
}

func (p *FaultProxy) count(operation string, status int, in, out int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts[operation]
	if c.Status == nil {
		c.Status = make(map[int]int)
	}
	c.Requests++
	c.In += in
	c.Out += out
	c.Status[status]++
	p.counts[operation] = c
}

// Counts is what went through since the start or the last ResetCounts, by operation. A request counts when it is done.
func (p *FaultProxy) Counts() map[string]Count {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string]Count, len(p.counts))
	for k, c := range p.counts {
		c.Status = maps.Clone(c.Status)
		all[k] = c
	}
	return all
}

// ResetCounts begins the counts, and the numbers that hooks see, anew.
func (p *FaultProxy) ResetCounts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.counts)
	clear(p.ns)
}

// Requests is how many requests of an operation are done.
func (p *FaultProxy) Requests(operation string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[operation].Requests
}

// countingReader counts what is read, and reads no faster than the rate.
type countingReader struct {
	r    io.Reader
	rate *rate
	n    int64
}

// maxRead keeps a throttled transfer from going in bursts of a whole buffer.
const maxRead = 16 << 10

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b[:min(len(b), maxRead)])
	c.n += int64(n)
	c.rate.take(n)
	return n, err
}

// rate is a bound on bytes per second that many transfers share.
type rate struct {
	mu   sync.Mutex // perSecond, free
	per  int64      // bytes per second; 0: no bound
	free time.Time  // when all that was taken so far has gone through
}

func (r *rate) set(perSecond int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.per = perSecond
}

// take waits until n more bytes may have gone through.
func (r *rate) take(n int) {
	r.mu.Lock()
	if r.per == 0 {
		r.mu.Unlock()
		return
	}
	now := time.Now()
	if r.free.Before(now) {
		r.free = now
	}
	r.free = r.free.Add(time.Duration(n) * time.Second / time.Duration(r.per))
	wait := r.free.Sub(now)
	r.mu.Unlock()
	time.Sleep(wait)
}
