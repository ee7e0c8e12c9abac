package ship

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"firn/commitlib/objstore"
	"firn/ingestd/kv"
)

// TestPace wants the first look to find the commit about four times in five, wherever the commits' delay moves.
func TestPace(t *testing.T) {
	const least, most = 500 * time.Millisecond, 10 * time.Second
	p := pace(least)
	for _, delay := range []time.Duration{time.Second, 4 * time.Second, 700 * time.Millisecond, 100 * time.Millisecond} {
		found, late := 0, time.Duration(0)
		for n := range 400 {
			d := delay + time.Duration(n%7)*delay/20 // they differ by a third
			if n >= 200 {
				if p.wait() >= d {
					found++
					late += p.wait() - d
				}
			}
			p.note(p.wait() >= d, least, most)
		}
		if found < 140 || late/time.Duration(found) > max(delay/4, least) {
			t.Errorf("commits after %s: %d of 200 first looks in time, late by %s; the pace is %s", delay, found, late/time.Duration(found), p.wait())
		}
	}
	for range 100 {
		p.note(false, least, most)
	}
	if p.wait() != most {
		t.Errorf("nothing is ever committed: the pace is %s", p.wait())
	}
}

// A catalog on the network is asked for each of many tables, a few times for each segment and no more: their number is
// what it costs. The queue takes as long as SQS and a function do.
func TestLooksAtManyTables(t *testing.T) {
	bubble(t, func(w *world) {
		const tables, minutes = 40, 3
		n := w.start(kv.NewMem())
		defer n.close()
		n.queue.during(func(k int) ([]time.Duration, error) {
			return []time.Duration{1500*time.Millisecond + time.Duration(k%10)*100*time.Millisecond}, nil
		})
		for range minutes * 60 {
			for i := range tables {
				n.mustAppend(fmt.Sprintf("t%d", i), some(1)...)
			}
			time.Sleep(time.Second)
		}
		st := n.shipper.Stats()
		if st.SegmentsCut < tables*minutes*60/15 {
			w.Fatalf("%d segments", st.SegmentsCut)
		}
		perSegment := float64(st.Looks) / float64(st.SegmentsCut)
		w.Logf("%d tables, %d segments, %d read-backs, %d looks: %.2f for each segment", tables, st.SegmentsCut, st.ReadBacks, st.Looks, perSegment)
		if perSegment > 2.7 { // one before it is staged, and 1.25 to find its commit
			w.Errorf("%.2f looks for each segment", perSegment)
		}
	})
}

// Logs of several runs that drain together ask for their table together.
func TestLooksOfManyLogs(t *testing.T) {
	bubble(t, func(w *world) {
		const runs = 6
		dir := kv.NewMem()
		start := func(fate func(int) ([]time.Duration, error)) *node {
			n, err := w.open(dir)
			if err != nil {
				w.Fatal(err)
			}
			n.queue.during(fate)
			n.run()
			return n
		}
		for range runs {
			n := start(lose)
			n.mustAppend("clicks", some(5)...)
			time.Sleep(15 * time.Second)
			n.close()
		}
		n := start(func(int) ([]time.Duration, error) { return []time.Duration{2 * time.Second}, nil })
		defer n.close()
		n.within(time.Minute, "drained", n.drained)
		if st := n.shipper.Stats(); st.Looks > st.ReadBacks*2/3 || st.Looks > 20 {
			w.Errorf("%d looks for %d read-backs of %d logs of one table", st.Looks, st.ReadBacks, runs)
		}
		w.check("clicks")
	})
}

// logged gathers log lines.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

// of returns the lines of a level or above it.
func (l *logged) of(levels ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		for _, level := range levels {
			if strings.Contains(line, "level="+level) {
				found = append(found, line)
			}
		}
	}
	return found
}

// TestOutageIsToldOnce takes the store away from many tables for an hour: one line says so, one that it turned into
// something that an operator must mend, and nothing is repeated. The store is asked rarely, and what was acked arrives.
func TestOutageIsToldOnce(t *testing.T) {
	bubble(t, func(w *world) {
		const tables = 40
		out := &logged{}
		w.cfg.Logger = slog.New(slog.NewTextHandler(out, nil))
		n := w.start(kv.NewMem())
		defer n.close()
		post := func() {
			for i := range tables {
				n.mustAppend(fmt.Sprintf("t%d", i), some(1)...)
			}
		}
		post()
		n.within(time.Minute, "drained", n.drained)

		away := func(err error) {
			w.store.SetFault(func(objstore.Call) objstore.Fault { return objstore.Fault{Err: err} })
		}
		away(errors.New("connection refused"))
		w.store.ResetCounts()
		post()
		time.Sleep(30 * time.Minute)
		if lines := out.of("WARN", "ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "connection refused") {
			w.Errorf("half an hour without the store is told %d times: %q", len(lines), lines)
		}
		if calls := w.store.Counts().Calls(); calls > tables*30*3 {
			w.Errorf("%d calls in half an hour: want about two a minute for each of %d tables", calls, tables)
		}
		if len(n.shipper.Ready()) != 1 {
			w.Errorf("ready: %q", n.shipper.Ready())
		}
		away(fmt.Errorf("%w: 403 AccessDenied", objstore.ErrFatal))
		time.Sleep(30 * time.Minute)
		if lines := out.of("ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "AccessDenied") {
			w.Errorf("a refusal is told %d times: %q", len(lines), lines)
		}
		w.store.SetFault(nil)
		n.within(2*time.Minute, "drained", n.drained)
		if lines := out.of("WARN", "ERROR"); len(lines) != 2 {
			w.Errorf("told %d times: %q", len(lines), lines)
		}
		for i := range tables {
			w.check(fmt.Sprintf("t%d", i))
		}
	})
}

// TestOneTableIsRefused takes the store away from one table alone: its trouble is told once however often others work
// meanwhile, and they do.
func TestOneTableIsRefused(t *testing.T) {
	bubble(t, func(w *world) {
		out := &logged{}
		w.cfg.Logger = slog.New(slog.NewTextHandler(out, nil))
		n := w.start(kv.NewMem())
		defer n.close()
		n.mustAppend("clicks", some(1)...)
		n.mustAppend("other", some(1)...)
		n.within(time.Minute, "drained", n.drained)
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			if c.Op == objstore.OpPut && strings.HasPrefix(c.Key, "default/clicks/data/") {
				return objstore.Fault{Err: fmt.Errorf("%w: 403 AccessDenied", objstore.ErrFatal)}
			}
			return objstore.Fault{}
		})
		n.mustAppend("clicks", some(3)...)
		for range 60 {
			n.mustAppend("other", some(1)...)
			time.Sleep(time.Minute)
			if st := n.shipper.Status("other"); st.Backlog > 0 {
				w.Fatalf("the other table waits: %+v", st)
			}
		}
		if lines := out.of("WARN", "ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "table=clicks") {
			w.Errorf("told %d times: %q", len(lines), lines)
		}
		if len(n.shipper.Ready()) != 0 {
			w.Errorf("one table's trouble makes the daemon unready: %q", n.shipper.Ready())
		}
		if warnings := n.shipper.Warnings(); len(warnings) != 1 || !strings.Contains(warnings[0], "AccessDenied") {
			w.Errorf("warnings: %q", warnings)
		}
		if st := n.shipper.Status("clicks"); st.Backlog != 3 || !strings.Contains(st.Tracks[0].LastError, "AccessDenied") {
			w.Errorf("%+v", st)
		}
		w.store.SetFault(nil)
		n.within(2*time.Minute, "drained", n.drained)
		if lines := out.of("INFO"); len(lines) != 1 {
			w.Errorf("its end is told %d times: %q", len(lines), lines)
		}
		w.check("clicks")
	})
}
