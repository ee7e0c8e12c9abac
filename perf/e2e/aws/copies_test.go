package aws

import (
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"firn/perf/e2e"
	"firn/perf/tier"
)

// copyData copies a data directory as a volume's snapshot does, at one moment of the daemon's life.
func (n *node) copyData() string {
	n.t.Helper()
	if err := syscall.Kill(n.daemon.PID(), syscall.SIGSTOP); err != nil {
		n.t.Fatal(err)
	}
	defer syscall.Kill(n.daemon.PID(), syscall.SIGCONT)
	to := n.t.TempDir()
	if err := os.CopyFS(to, os.DirFS(n.data)); err != nil {
		n.t.Fatal(err)
	}
	return to
}

// A data directory is lost, and an old copy of it is started: what the original acked after the copy was taken is in
// the tables and not in the copy. That is told loudly and once, nothing is doubled, and what is new is committed.
func TestRestoredOldCopy(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	seed := e2e.Seed(t)
	p := newPipeline(t, objectStore)
	p.deliver(manner{functions: 2, copies: 3, seed: seed})
	tables := []string{"clicks", "views"}
	ledger := e2e.NewLedger()

	lost := p.newNode(ledger, 1, 4, seed, tables, "-cut-interval", "300ms")
	lost.producers.Pause = 40 * time.Millisecond
	lost.start()
	atLeast := func(n int) func() bool { return func() bool { return ledger.Acked() >= n } }
	await(t, "events before the copy", time.Minute, atLeast(200))
	data := lost.copyData()
	copied := ledger.Acked()
	await(t, "events after the copy", time.Minute, atLeast(copied+200))
	lost.rest()
	lost.committed(drainTime, tables...)
	lost.daemon.Kill()

	restored := p.newNode(ledger, 2, 4, seed, tables, "-cut-interval", "300ms")
	restored.producers.Pause = 40 * time.Millisecond
	restored.data = data
	restored.start()
	var h health
	await(t, "the restored copy says what it is", drainTime, func() bool {
		_, h = restored.ready()
		return len(h.Warnings) == len(tables)
	})
	if h.Status != "degraded" {
		t.Errorf("/health/ready says %s, want degraded", h.Status)
	}
	for _, w := range h.Warnings {
		if !strings.Contains(w, "watermark-ahead") || !strings.Contains(w, "older copy") {
			t.Errorf("the warning is %q", w)
		}
	}
	before := ledger.Acked()
	await(t, "events after the restore", time.Minute, atLeast(before+200))
	restored.rest()
	if told := strings.Count(restored.daemon.Log(1<<20), `"msg":"shipping of a table stopped"`); told != len(tables) {
		t.Errorf("the log tells of it %d times, want once for each of %d tables", told, len(tables))
	}
	for _, table := range tables {
		// The old log's events are all in the table; an operator says that the original is gone.
		if err := restored.daemon.Client().Do(t.Context(), "POST", "/tables/"+table+"/resume", nil, nil, nil); err != nil {
			t.Errorf("resume %s: %v", table, err)
		}
	}
	restored.committed(drainTime, tables...)
	if status, h := restored.ready(); status != 200 || h.Status != "ready" {
		t.Errorf("after the operator's word /health/ready says %d, %+v", status, h)
	}
	p.settle(ledger, []*node{restored}, tables)
}

// A data directory with a backlog is copied, and a daemon is started on each of the two. Both have the old log and ship
// it; each has a log of its own for what is new. Events of neither are lost or doubled.
func TestTwoCopiesOfADirectory(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	seed := e2e.Seed(t)
	p := newPipeline(t, objectStore)
	tables := []string{"clicks", "views"}
	ledger := e2e.NewLedger()
	one := p.newNode(ledger, 1, 4, seed, tables, "-cut-interval", "300ms")
	one.producers.Pause = 40 * time.Millisecond
	one.start()
	await(t, "a backlog", time.Minute, func() bool { return ledger.Acked() >= 500 })
	one.rest() // what it acks is in both copies
	two := p.newNode(ledger, 2, 4, seed, tables, "-cut-interval", "300ms")
	two.producers.Pause = 40 * time.Millisecond
	two.data = one.copyData()
	one.daemon.Kill()

	nodes := []*node{one, two}
	for _, n := range nodes {
		n.start()
	}
	p.deliver(manner{functions: 2, copies: 3, seed: seed})
	r := rand.New(rand.NewPCG(seed, 1))
	for i, n := range append(nodes, nodes...) {
		before := ledger.Acked()
		await(t, "new events", time.Minute, func() bool { return ledger.Acked() >= before+200 })
		t.Logf("kill %d, %s: %s", i, n.name, n.kill(shipping[r.IntN(len(shipping))]))
		n.start()
	}
	p.settle(ledger, nodes, tables)
}
