package aws

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"firn/perf/e2e"
	"firn/perf/peer"
	"firn/perf/tier"
)

const (
	// bound is the smallest -log-bytes there is; the producers reach it in seconds.
	bound = "64MiB"
	// pad makes an event's payload 12 kB of text that compresses to 9.
	pad = 9 << 10
	// interval is the cut interval under an outage.
	interval = time.Second
	// window is how many requests of a log and table are in flight at most.
	window = 8
)

// outageTime is how long the store or the queue is away after the log has reached its bound. After ten minutes every
// time-out and back-off has grown to its own bound: an hour would not differ.
func outageTime() time.Duration {
	return time.Duration(tier.Pick(0, 5, 600)) * time.Second
}

// The object store or the queue is away. Ingest goes on within the log's bound, then it is refused with 503 and
// Retry-After, and /health/ready says why. On return the backlog drains, without a storm of messages; nothing is lost.
func TestOutage(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Run("store", func(t *testing.T) {
		outage(t, func(p *pipeline) *peer.FaultProxy { return p.toS3 }, "warehouse")
	})
	t.Run("queue", func(t *testing.T) {
		outage(t, func(p *pipeline) *peer.FaultProxy { return p.toSQS }, "queue")
	})
}

func outage(t *testing.T, pick func(*pipeline) *peer.FaultProxy, name string) {
	t.Parallel()
	seed := e2e.Seed(t)
	p := newPipeline(t, objectStore)
	p.deliver(manner{functions: 2, copies: 1, seed: seed})
	tables := []string{"clicks", "views"}
	ledger := e2e.NewLedger()
	n := p.bounded(ledger, seed, tables)
	await(t, "first commits", time.Minute, func() bool { return p.delivery.counts().Messages >= 4 })

	away := pick(p)
	away.Down()
	began, acked := time.Now(), ledger.Acked()
	n.fill(ledger)
	if more := ledger.Acked() - acked; more < 1000 {
		t.Errorf("%d events were acked during the outage, want at least 1,000", more)
	}
	await(t, "/health/ready says why", time.Minute, func() bool {
		status, h := n.ready()
		return status == 503 && h.has(name) && h.has("backlog_full")
	})
	_, h := n.ready()
	t.Logf("full after %v, %d events acked meanwhile; /health/ready: %+v", time.Since(began).Round(time.Second), ledger.Acked()-acked, h.Reasons)
	before := away.TurnedAway()
	time.Sleep(outageTime())
	rate := float64(away.TurnedAway()-before) / outageTime().Seconds()
	t.Logf("%.1f connections a second were tried while it was away", rate)
	if rate > 20 {
		t.Errorf("%.0f connections a second were tried while it was away: that is a storm", rate)
	}

	n.rest()
	sent := p.delivery.counts().Messages
	away.Up()
	began = time.Now()
	n.committed(drainTime, tables...)
	sent = p.delivery.counts().Messages - sent
	t.Logf("drained in %v by %d messages", time.Since(began).Round(time.Second), sent)
	// Of each table at most a window was in flight when it began, sent once again; what came then was cut by size.
	if most := len(tables)*2*window + segments(); sent > most {
		t.Errorf("%d messages drained the backlog, want at most %d", sent, most)
	}
	p.recovers(n, ledger, tables)
}

// segments is how many segments the log's bound holds, each cut by size.
func segments() int {
	const logBytes, segmentBytes = 64 << 20, 32 << 20
	return 2*logBytes/segmentBytes + 2 // uncompressed twice as many at most, and one begun in each table
}

// The store is slowed to a quarter of what it is asked to take. The backlog grows to its bound, while commits go on; at
// full speed again it drains.
func TestSlowedToAQuarter(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	seed := e2e.Seed(t)
	p := newPipeline(t, objectStore)
	p.deliver(manner{functions: 2, copies: 1, seed: seed})
	tables := []string{"clicks", "views"}
	ledger := e2e.NewLedger()
	n := p.bounded(ledger, seed, tables)
	await(t, "first commits", time.Minute, func() bool { return p.delivery.counts().Messages >= 4 })
	p.toS3.ResetCounts()
	began := time.Now()
	await(t, "commits at full speed", time.Minute, func() bool { return p.toS3.Requests("PutObject") >= 40 })
	full := int64(float64(p.passed()) / time.Since(began).Seconds())

	p.toS3.Throttle(full / 4)
	began = time.Now()
	n.fill(ledger)
	status, h := n.ready()
	t.Logf("at a quarter of %d kB/s full after %v; /health/ready: %+v", full>>10, time.Since(began).Round(time.Second), h.Reasons)
	if status != 503 || !h.has("backlog_full") {
		t.Errorf("/health/ready says %d, %+v", status, h)
	}
	backlog, messages := n.backlog(tables...), p.delivery.counts().Messages
	await(t, "commits go on at a quarter of the speed", 3*time.Minute, func() bool {
		return p.delivery.counts().Messages > messages && n.backlog(tables...) != backlog
	})
	time.Sleep(time.Duration(tier.Pick(0, 0, 300)) * time.Second)

	n.rest()
	p.toS3.Throttle(0)
	began = time.Now()
	n.committed(drainTime, tables...)
	t.Logf("drained in %v", time.Since(began).Round(time.Second))
	p.recovers(n, ledger, tables)
}

// SQS takes one call in four, and throttles the others. Ingest goes on, nothing is refused, the calls stay few, and the
// backlog stays small: what was not sent goes with the next call.
func TestThrottledQueue(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	seed := e2e.Seed(t)
	p := newPipeline(t, objectStore)
	p.deliver(manner{functions: 2, copies: 1, seed: seed})
	p.toSQS.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation != "SendMessageBatch" || r.N%4 == 0 {
			return peer.Fault{}
		}
		return peer.Fault{Answer: &peer.Answer{
			Status: 400, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Query-Error": {"RequestThrottled;Sender"}},
			Body: `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"Request is throttled."}`,
		}}
	})
	tables := []string{"clicks", "views"}
	ledger := e2e.NewLedger()
	n := p.newNode(ledger, 1, 4, seed, tables, "-cut-interval", "300ms")
	n.producers.Pause = 40 * time.Millisecond
	n.start()
	began := time.Now()
	await(t, "messages pass", 5*time.Minute, func() bool { return p.delivery.counts().Messages >= tier.Pick(0, 20, 200) })
	length := time.Since(began).Seconds()
	sent := p.toSQS.Counts()["SendMessageBatch"]
	t.Logf("%.1f calls a second, %v", float64(sent.Requests)/length, sent.Status)
	// The three throttled calls are 0.4 s apart on average, and without a back-off a few milliseconds.
	if rate := float64(sent.Requests) / length; rate > 30 || sent.Status[400] < sent.Requests/2 {
		t.Errorf("%.1f calls a second, %v: want at most 30, most of them throttled", rate, sent.Status)
	}
	if refused := ledger.Refused(); refused > 0 {
		t.Errorf("%d events were refused", refused)
	}
	n.rest()
	n.committed(drainTime, tables...)
	p.settle(ledger, []*node{n}, tables)
}

// passed is how many bytes of bodies went to and from the store.
func (p *pipeline) passed() (n int64) {
	for _, c := range p.toS3.Counts() {
		n += c.In + c.Out
	}
	return n
}

// bounded starts a node whose log has a small bound, under a load that reaches it in seconds once nothing is committed.
func (p *pipeline) bounded(ledger *e2e.Ledger, seed uint64, tables []string) *node {
	p.t.Helper()
	n := p.newNode(ledger, 1, 6, seed, tables, "-cut-interval", interval.String(), "-log-bytes", bound)
	n.producers.Pause, n.producers.Pad = 20*time.Millisecond, pad
	n.start()
	return n
}

// fill waits until the log has reached its bound: events are refused.
func (n *node) fill(ledger *e2e.Ledger) {
	n.t.Helper()
	before := ledger.Refused()
	await(n.t, "events are refused", 3*time.Minute, func() bool { return ledger.Refused() > before+20 })
}

// recovers wants the node to be ready again, new events to be taken and committed as if nothing had been, and all of
// them in the tables.
func (p *pipeline) recovers(n *node, ledger *e2e.Ledger, tables []string) {
	p.t.Helper()
	await(p.t, "/health/ready is 200 again", 30*time.Second, func() bool {
		status, _ := n.ready()
		return status == 200
	})
	acked := ledger.Acked()
	n.load()
	await(p.t, "new events are acked", time.Minute, func() bool { return ledger.Acked() >= acked+100 })
	p.settle(ledger, []*node{n}, tables, p.catalog.duckdb) // the rows are many MB
}

// has says whether one of the reasons has the name.
func (h health) has(name string) bool {
	for _, r := range h.Reasons {
		if strings.Contains(fmt.Sprint(r.Name, " ", r.Message), name) {
			return true
		}
	}
	return false
}
