package load

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"firn/perf/payload"
)

func single(rate float64, connections int) Traffic {
	return Traffic{Table: "t", Format: payload.Single, Mix: payload.Counters, Events: 1, Connections: connections, Rate: rate}
}

func run(t *testing.T, s *stub, p Plan) *Step {
	t.Helper()
	r, err := p.Run(context.Background(), s.target())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A server that stalls once, for a quarter of the run, must show in a quarter of an open loop's latencies: all requests
// that were due meanwhile waited. A closed loop sends none of them, and its median and its 90th percentile know nothing.
func TestStallShowsInTheLatenciesOfAnOpenLoop(t *testing.T) {
	const stall = 500 * time.Millisecond
	stalling := func() *stub {
		s := newStub(t)
		s.before = func(n int64, w http.ResponseWriter, r *http.Request) bool {
			if n == 100 {
				time.Sleep(stall) // what is measured; nothing waits for it
			}
			return false
		}
		return s
	}
	plan := Plan{Name: "stall", Traffic: []Traffic{single(500, 1)}, Duration: 4 * stall}
	open := run(t, stalling(), plan).Traffic[0]
	if open.Loop != "open" || open.P90Ms < ms(stall)/4 || open.MaxMs < ms(stall)*0.9 {
		t.Errorf("open loop: p50 %v, p90 %v, max %v ms", open.P50Ms, open.P90Ms, open.MaxMs)
	}
	// Without the correction the same requests look quick: one of them waited.
	if slow := open.Service.Quantile(0.9); slow > stall/4 {
		t.Errorf("service times: p90 %v", slow)
	}
	plan.Traffic[0] = single(0, 1)
	if closed := run(t, stalling(), plan).Traffic[0]; closed.Loop != "closed" || closed.P90Ms > ms(stall)/4 || closed.MaxMs < ms(stall)*0.9 {
		t.Errorf("closed loop: p90 %v, max %v ms", closed.P90Ms, closed.MaxMs)
	}
}

// Requests that a hung server kept from being sent at all are counted, with the time that they had waited.
func TestUnsentRequestsCount(t *testing.T) {
	s := newStub(t)
	release := make(chan struct{})
	s.before = func(n int64, w http.ResponseWriter, r *http.Request) bool {
		<-release
		return false
	}
	time.AfterFunc(700*time.Millisecond, func() { close(release) })
	o := run(t, s, Plan{Name: "hung", Traffic: []Traffic{single(100, 2)}, Duration: 500 * time.Millisecond}).Traffic[0]
	if o.Requests != 2 || o.Unsent != 48 {
		t.Errorf("%d answered and %d unsent of 50", o.Requests, o.Unsent)
	}
	if n := o.Latency.Count(); n != 50 || o.P50Ms < 200 {
		t.Errorf("%d latencies, p50 %v ms", n, o.P50Ms)
	}
}

// An open loop offers its rate whatever the server does, and no more.
func TestOpenLoopKeepsItsRate(t *testing.T) {
	s := newStub(t)
	r := run(t, s, Plan{Name: "rate", Traffic: []Traffic{single(200, 4)}, Duration: time.Second})
	if r.AckedEvents+r.Traffic[0].Unsent != 200 {
		t.Errorf("%d events and %d unsent at 200 a second", r.AckedEvents, r.Traffic[0].Unsent)
	}
	if r.Traffic[0].PayloadBytes != r.AckedEvents*payload.DefaultSize || r.GeneratorMicros <= 0 {
		t.Errorf("%d bytes, %v µs of CPU an event", r.Traffic[0].PayloadBytes, r.GeneratorMicros)
	}
}

// Refusals are told apart, with those that do not say when to try again; a status that load never earns ends the run.
func TestRefusals(t *testing.T) {
	s := newStub(t)
	s.before = func(n int64, w http.ResponseWriter, r *http.Request) bool {
		switch n % 3 {
		case 0:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error":{"code":"busy","message":"…"}}`)
		case 1:
			w.WriteHeader(http.StatusInsufficientStorage)
		default:
			return false
		}
		return true
	}
	o := run(t, s, Plan{Name: "shed", Traffic: []Traffic{single(300, 4)}, Duration: 300 * time.Millisecond}).Traffic[0]
	if o.Codes["busy"] == 0 || o.Codes["busy"]+o.Codes[""] != o.Refused {
		t.Errorf("codes %v of %d refusals", o.Codes, o.Refused)
	}
	if o.Requests == 0 || o.Refused == 0 || o.Refused < 2*o.NoRetryAfter-2 || o.NoRetryAfter == 0 || o.Requests+o.Refused+o.Unsent != 90 {
		t.Errorf("%d acked, %d refused, %d of them without Retry-After, %d unsent: %v", o.Requests, o.Refused, o.NoRetryAfter, o.Unsent, o.Statuses)
	}
	s.before = func(n int64, w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "what is this", http.StatusBadRequest)
		return true
	}
	p := Plan{Name: "bad", Traffic: []Traffic{single(0, 2)}, Duration: time.Minute}
	if _, err := p.Run(context.Background(), s.target()); err == nil {
		t.Error("a run that is refused as wrong has a result")
	}
}

// A connection that breaks is counted and made anew.
func TestLostConnections(t *testing.T) {
	s := newStub(t)
	s.before = func(n int64, w http.ResponseWriter, r *http.Request) bool {
		if n%10 == 0 {
			panic(http.ErrAbortHandler)
		}
		return false
	}
	o := run(t, s, Plan{Name: "lost", Traffic: []Traffic{single(200, 1)}, Duration: 500 * time.Millisecond}).Traffic[0]
	if o.LostConnections == 0 || o.Requests < 5*o.LostConnections {
		t.Errorf("%d acked, %d connections lost", o.Requests, o.LostConnections)
	}
}

// What runs beside a measurement is seen.
func TestOtherProcessesAreSeen(t *testing.T) {
	before := machineCPU()
	if before <= 0 {
		t.Skip("this system has no /proc/stat")
	}
	for began := ownCPU(); ownCPU()-began < 200*time.Millisecond; {
		busy() // any process's work counts, this one's too
	}
	if took := machineCPU() - before; took < 100*time.Millisecond {
		t.Errorf("the machine was busy for %v while this test alone was for 200 ms", took)
	}
}

var sink int

func busy() {
	for i := range 1 << 16 {
		sink += i
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	p := Plan{Name: "end", Traffic: []Traffic{single(0, 2), single(10, 2)}, Duration: time.Hour, Drain: time.Hour}
	if _, err := p.Run(ctx, newStub(t).target()); err != nil {
		t.Error(err)
	}
}

func TestWrongPlans(t *testing.T) {
	f := func(change func(*Plan)) {
		t.Helper()
		p := Plan{Name: "p", Traffic: []Traffic{single(0, 1)}, Duration: time.Second}
		change(&p)
		if err := p.Validate(); err == nil {
			t.Errorf("taken: %+v", p)
		}
	}
	f(func(p *Plan) { p.Traffic = nil })
	f(func(p *Plan) { p.Duration = 0 })
	f(func(p *Plan) { p.Duration = 25 * time.Hour })
	f(func(p *Plan) { p.Traffic[0].Connections = 0 })
	f(func(p *Plan) { p.Traffic[0].Connections = maxConnections + 1 })
	f(func(p *Plan) { p.Traffic[0].Rate = -1 })
	f(func(p *Plan) { p.Traffic[0].Ack = "disk" })
	f(func(p *Plan) { p.Traffic[0].Mix = "none" })
	f(func(p *Plan) { p.Traffic[0].Times = "warp" })
	f(func(p *Plan) { p.Traffic[0].Times = "slow:3" })
	for _, addr := range []string{"192.0.2.1:80", "example.com:80", "127.0.0.1"} {
		if err := (&Target{Addr: addr}).Check(); err == nil {
			t.Errorf("%s was taken for this machine", addr)
		}
	}
}
