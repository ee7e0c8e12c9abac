package ship

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"firn/commitlib/objstore"
	"firn/ingestd/kv"
	"firn/ingestd/registry"
	"firn/perf/tier"
)

func TestEventsReachTheirTables(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		n := w.start(kv.NewMem())
		defer n.close()
		s := n.reg.Defaults()
		s.Payload, s.PartitionBy = registry.PayloadBinary, []string{"day", "partition"}
		if _, _, err := n.reg.Put(t.Context(), "raw", exactly(s)); err != nil {
			t.Fatal(err)
		}
		n.mustAppend("raw", ev{payload: "\xff\x00", at: time.UnixMicro(-1)}, ev{partition: -7, payload: "b", at: time.Now()})
		for range 30 {
			n.mustAppend("clicks", some(5)...)
			n.mustAppend("views", some(1)...)
			time.Sleep(time.Second)
		}
		n.within(15*time.Second, "all is committed by age", n.drained)
		for _, table := range []string{"raw", "clicks", "views"} {
			w.check(table)
		}
		if got := n.shipper.Stats(); got.Rows != 182 || got.Backlog != 0 || got.Lag != 0 || got.Resends != 0 || got.Tracks != 0 {
			t.Errorf("stats %+v", got)
		}
		// 30 s at a cut interval of 10 s: a request each 10 to 11 s.
		if got := n.queue.group["default.clicks"]; got < 3 || got > 4 {
			t.Errorf("%d requests for 30 s", got)
		}
	})
}

// A hundred events a second are one request each cut interval, and segments are cut by size when that comes first.
func TestCutBySize(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.MaxSegmentBytes = 10_000
		n := w.start(kv.NewMem())
		defer n.close()
		for range 100 {
			n.mustAppend("clicks", ev{at: time.Now(), payload: fmt.Sprintf("%d%s", w.n, strings.Repeat("x", 1000))})
			w.n++
		}
		n.within(5*time.Second, "whole segments are committed before the cut interval", func() bool {
			return n.shipper.Status("clicks").Backlog <= 10
		})
		n.mustDrain(time.Minute)
		w.check("clicks")
	})
}

func TestLossyQueue(t *testing.T) {
	for seed := range uint64(tier.Pick(30, 100, 1000)) {
		bubble(t, func(w *world) {
			t := w.T
			w.cfg.Seed = seed + 1
			n := w.start(kv.NewMem())
			defer n.close()
			rng := rand.New(rand.NewPCG(seed, 1))
			n.queue.during(func(int) ([]time.Duration, error) {
				switch rng.IntN(6) {
				case 0:
					return nil, nil // lost
				case 1:
					return []time.Duration{0, time.Duration(rng.IntN(100)) * time.Second}, nil // doubled
				case 2:
					return []time.Duration{time.Duration(1+rng.IntN(90)) * time.Second}, nil // late, and so reordered
				case 3:
					return nil, errors.New("queue is unreachable")
				case 4:
					return []time.Duration{0}, errors.New("lost response")
				}
				return []time.Duration{0}, nil
			})
			for i := range 40 {
				n.mustAppend(fmt.Sprintf("t%d", i%3), some(1+i%4)...)
				time.Sleep(time.Duration(i%7) * time.Second)
			}
			n.mustDrain(6 * time.Hour)
			for i := range 3 {
				w.check(fmt.Sprintf("t%d", i))
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}

// Each call to the store fails in turn, in each way; nothing is lost or doubled, and it goes on by itself.
func TestStoreFaultAtEachCall(t *testing.T) {
	faults := map[string]objstore.Fault{
		"refused":                    {Err: errors.New("503")},
		"applied, then error":        {Applied: true},
		"not applied, unknown":       {Err: objstore.ErrUnknown},
		"applied later than thought": {Late: 3 * time.Second},
		"slow":                       {Latency: 2 * time.Minute},
	}
	run := func(t *testing.T, fault objstore.Fault, at int) (calls int) {
		bubble(t, func(w *world) {
			w.cfg.Uploads = 1
			w.store.SetFault(func(c objstore.Call) objstore.Fault {
				calls = c.Total
				if c.Total == at {
					return fault
				}
				return objstore.Fault{}
			})
			n := w.start(kv.NewMem())
			defer n.close()
			for i := 0; i < 4; {
				if err := n.append("clicks", some(3)...); err == nil {
					i++
				}
				time.Sleep(5 * time.Second)
			}
			n.within(30*time.Minute, "drained", n.drained)
			w.store.SetFault(nil)
			w.store.Settle()
			w.check("clicks")
		})
		return calls
	}
	total := run(t, objstore.Fault{}, -1)
	for name, fault := range faults {
		for k := 1; k <= total; k++ {
			run(t, fault, k)
			if t.Failed() {
				t.Fatalf("%s at call %d of %d", name, k, total)
			}
		}
	}
}

// The directory's store dies at its kth write: not applied, or applied without being synced. The
// next run goes on from what is durable.
func TestCrashAtEachWrite(t *testing.T) {
	run := func(t *testing.T, fault kv.Fault, at int) (writes int) {
		bubble(t, func(w *world) {
			rng := rand.New(rand.NewPCG(uint64(at), uint64(fault)))
			dir := kv.NewMem()
			dir.Fault = func(n int) kv.Fault {
				if n == at {
					return fault
				}
				return kv.None
			}
			n, err := w.open(dir)
			if err == nil {
				n.run()
			}
			restart := func() {
				if n != nil {
					writes = n.kv.Writes()
					dir = n.crash(rng)
				} else {
					dir = dir.Crash(rng)
				}
				n = w.start(dir)
			}
			if err != nil {
				n = nil
				restart()
			}
			for i := 0; i < 5; {
				if err := n.append("clicks", some(3)...); err == nil {
					i++
				} else {
					restart()
				}
				time.Sleep(4 * time.Second)
				select {
				case err := <-n.ran:
					n.ran <- err
					restart()
				default:
				}
			}
			n.within(10*time.Minute, "drained", func() bool {
				select {
				case err := <-n.ran:
					n.ran <- err
					restart()
				default:
				}
				return n.drained()
			})
			writes = n.kv.Writes()
			n.close()
			w.check("clicks")
		})
		return writes
	}
	total := run(t, kv.None, -1)
	if total < 12 {
		t.Fatalf("only %d writes", total)
	}
	for _, fault := range []kv.Fault{kv.Lost, kv.Unsure} {
		for k := 1; k <= total; k++ {
			run(t, fault, k)
			if t.Failed() {
				t.Fatalf("fault %d at write %d of %d", fault, k, total)
			}
		}
	}
}

// The plug is pulled at random moments, again and again, beside a lossy queue.
func TestRestarts(t *testing.T) {
	for seed := range uint64(tier.Pick(20, 100, 2000)) {
		bubble(t, func(w *world) {
			t := w.T
			rng := rand.New(rand.NewPCG(seed, 5))
			fates := rand.New(rand.NewPCG(seed, 6))
			n := w.start(kv.NewMem())
			for range 30 {
				n.queue.during(func(int) ([]time.Duration, error) {
					return make([]time.Duration, fates.IntN(3)), nil
				})
				n.mustAppend("clicks", some(1+rng.IntN(5))...)
				time.Sleep(time.Duration(rng.IntN(8000)) * time.Millisecond)
				if rng.IntN(3) == 0 {
					n = w.start(n.crash(rng))
				}
			}
			n.queue.during(nil)
			n.mustDrain(time.Hour)
			logs := len(n.log.Tracks())
			n.close()
			w.check("clicks")
			if t.Failed() || logs > 30 {
				t.Fatalf("seed %d, %d logs", seed, logs)
			}
		})
	}
}

// Six hours without a committer: a handful of messages, segments of full size, and a quick end.
func TestOutage(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		n := w.start(kv.NewMem())
		defer n.close()
		n.mustAppend("clicks", some(3)...)
		n.within(time.Minute, "drained", n.drained)
		before, cuts := n.queue.count(), n.shipper.Stats().SegmentsCut
		n.queue.during(lose)
		events := 0
		for end := time.Now().Add(6 * time.Hour); time.Now().Before(end); time.Sleep(5 * time.Second) {
			n.mustAppend("clicks", some(1)...)
			events++
			if st := n.shipper.Status("clicks"); st.Tracks[0].InFlight+st.Tracks[0].Unsent > w.cfg.Window {
				t.Fatalf("%d segments beyond the watermark", st.Tracks[0].InFlight+st.Tracks[0].Unsent)
			}
		}
		if sent := n.queue.count() - before; sent > 85 || sent < 60 {
			t.Errorf("%d messages in 6 hours", sent)
		}
		if st := n.shipper.Status("clicks").Tracks[0]; st.Stalled == 0 || st.Backlog != uint64(events) {
			t.Errorf("status %+v", st)
		}
		// Three by age until the first time-out, and from then on by size: these events fill none in 6 hours.
		if got := n.shipper.Stats().SegmentsCut - cuts; got > 4 {
			w.Errorf("%d segments were cut while nothing was acked", got)
		}
		n.queue.during(nil)
		before = n.queue.count()
		n.within(6*time.Minute, "drained", n.drained)
		if sent := n.queue.count() - before; sent > 2*w.cfg.Window {
			t.Errorf("%d messages to drain", sent)
		}
		w.check("clicks")
	})
}

// After a gap everything from the watermark on is sent again in order as soon as the
// watermark moves, without a time-out each.
func TestGapIsFilledInOrder(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		w.cfg.MaxSegmentBytes = 1
		n := w.start(kv.NewMem())
		defer n.close()
		n.queue.during(func(i int) ([]time.Duration, error) {
			if i == 1 {
				return nil, nil // the first is lost; the seven after it arrive and are dropped
			}
			return []time.Duration{0}, nil
		})
		for range 8 {
			n.mustAppend("clicks", some(1)...)
		}
		start := time.Now()
		n.within(2*time.Minute, "drained", n.drained)
		if took := time.Since(start); took > 2*w.cfg.ResendAfter {
			t.Errorf("took %s", took)
		}
		if sent := n.queue.count(); sent != 16 {
			t.Errorf("%d messages, want 8, and 8 again", sent)
		}
		w.check("clicks")
	})
}

// A commit that the last run did not hear of: the next one reads it back, and sends and uploads nothing.
func TestRestartAfterAnUnheardCommit(t *testing.T) {
	bubble(t, func(w *world) {
		n := w.start(kv.NewMem())
		n.queue.during(func(int) ([]time.Duration, error) { return []time.Duration{5 * time.Second}, nil })
		n.mustAppend("clicks", some(3)...)
		n.within(time.Minute, "sent", func() bool { return n.queue.count() == 1 })
		n.stop()
		time.Sleep(time.Minute)
		dir := n.kv.Copy()
		n.close()
		n = w.start(dir)
		defer n.close()
		n.within(time.Second, "drained", n.drained)
		if st := n.shipper.Stats(); n.queue.count() != 0 || st.Uploads != 0 {
			w.Errorf("%d messages, %+v", n.queue.count(), st)
		}
		w.check("clicks")
	})
}

// Staged, and then the plug is pulled: the recorded request is sent, and nothing is encoded again. Cut, and then the
// plug is pulled: the files that are there already are taken as they are.
func TestRestartFromCutAndFromStaged(t *testing.T) {
	bubble(t, func(w *world) {
		n := w.start(kv.NewMem())
		n.queue.during(lose)
		n.mustAppend("clicks", some(3)...)
		n.within(time.Minute, "sent", func() bool { return n.queue.count() == 1 })
		staged := n.kv.Copy()
		cut := n.kv.Copy()
		n.close()
		n = w.start(staged)
		n.queue.during(lose)
		n.within(time.Second, "sent", func() bool { return n.queue.count() == 1 })
		if st := n.shipper.Stats(); st.Files != 0 || st.SegmentsCut != 0 {
			w.Errorf("%+v", st)
		}
		n.close()

		n, err := w.open(cut)
		if err != nil {
			w.Fatal(err)
		}
		track := n.log.Tracks()[0].Track
		cuts, err := n.log.Cuts(track)
		if err != nil || len(cuts) != 1 {
			w.Fatal(cuts, err)
		}
		cuts[0].Request, cuts[0].StagedAt = nil, time.Time{} // as it was before the files were written
		if err := n.log.UpdateCut(track, cuts[0]); err != nil {
			w.Fatal(err)
		}
		n.run()
		defer n.close()
		n.within(time.Minute, "drained", n.drained)
		if st := n.shipper.Stats(); st.Files != 1 || st.UploadsReused != 1 || st.UploadBytes != 0 || st.SegmentsCut != 0 {
			w.Errorf("%+v", st)
		}
		w.check("clicks")
	})
}

// A segment spanning thousands of hours: a file for each hour, in bounded memory.
func TestThousandsOfHours(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		w.cfg.MaxSegmentBytes = 4 << 20
		n := w.start(kv.NewMem())
		defer n.close()
		const hours = 3000
		for h := 0; h < hours; h += 100 {
			var events []ev
			for k := range 200 {
				events = append(events, ev{at: time.Now().Add(-time.Duration(h+k%100) * time.Hour)})
			}
			n.mustAppend("clicks", events...)
		}
		n.mustDrain(10 * time.Minute)
		w.check("clicks")
		files := len(w.dataFiles("clicks"))
		if segments := int(n.shipper.Stats().SegmentsCut); files != hours || segments != 1 {
			t.Errorf("%d files in %d segments for %d hours", files, segments, hours)
		}
		st := <-n.shipper.large.free
		held := int64(st.rows.batch.Capacity())
		for range cap(st.free) {
			b := <-st.free
			held += int64(b.Cap())
		}
		if held > 3*w.cfg.MaxSegmentBytes {
			t.Errorf("a stager holds %d bytes", held)
		}
	})
}

// More data files than a request takes: the segment is cut smaller until they fit,
// inside one append's events if need be.
func TestSegmentOfTooManyFiles(t *testing.T) {
	bubble(t, func(w *world) {
		w.cfg.MaxFiles = 10
		n := w.start(kv.NewMem())
		defer n.close()
		s := n.reg.Defaults()
		s.PartitionBy = []string{"none", "partition"}
		if _, _, err := n.reg.Put(w.Context(), "clicks", exactly(s)); err != nil {
			w.Fatal(err)
		}
		events := make([]ev, 100)
		for i := range events {
			events[i] = ev{partition: int32(i), at: time.Now()}
		}
		n.mustAppend("clicks", events...)
		n.mustDrain(10 * time.Minute)
		if st := n.shipper.Stats(); st.SegmentsRecut < 4 || st.SegmentsStaged > 2*100/10 {
			w.Errorf("%+v", st)
		}
		w.check("clicks")
	})
}

// TestTarget asks for a commit, then asks again and again how it stands, also after a restart.
func TestTarget(t *testing.T) {
	bubble(t, func(w *world) {
		t, ctx, store := w.T, w.Context(), kv.NewMem()
		n := w.start(store)
		n.mustAppend("clicks", some(3)...)
		first, err := n.shipper.Demand("clicks")
		if err != nil || first.Seq != 3 {
			t.Fatalf("%+v, %v", first, err)
		}
		if _, done, err := n.shipper.Reached(ctx, first); done || err != nil {
			t.Errorf("not committed yet: %v, %v", done, err)
		}
		id, err := n.shipper.Await(ctx, first)
		if err != nil || id == 0 {
			t.Fatalf("%d, %v", id, err)
		}
		n.queue.during(lose)
		n.mustAppend("clicks", some(2)...)
		second, err := n.shipper.Demand("clicks")
		if err != nil || second.Seq != 5 {
			t.Fatalf("%+v, %v", second, err)
		}
		if again, done, err := n.shipper.Reached(ctx, first); again != id || !done || err != nil {
			t.Errorf("the first is committed: %d, %v, %v", again, done, err)
		}
		n.close()

		n = w.start(store)
		defer n.close()
		n.mustAppend("clicks", some(4)...) // a log of its own
		third, err := n.shipper.Demand("clicks")
		if err != nil || third.Seq != 4 || third.Log == second.Log {
			t.Fatalf("%+v, %v", third, err)
		}
		last, err := n.shipper.Await(ctx, third)
		if err != nil || w.read("clicks").count != 9 {
			t.Errorf("the target of a new log takes the older ones in: %d events, %v", w.read("clicks").count, err)
		}
		n.within(time.Hour, "the older log is gone", func() bool { return len(n.log.Tracks()) == 1 })
		for _, tg := range []Target{first, second, third} {
			if id, done, err := n.shipper.Reached(ctx, tg); id != last || !done || err != nil {
				t.Errorf("%+v: %d, %v, %v", tg, id, done, err)
			}
		}
		second.Seq++
		if _, done, err := n.shipper.Reached(ctx, second); done || !errors.Is(err, ErrGone) {
			t.Errorf("an event that never was: %v, %v", done, err)
		}
		first.TableUUID[0]++
		if _, done, err := n.shipper.Reached(ctx, first); done || !errors.Is(err, registry.ErrReplaced) {
			t.Errorf("another table's: %v, %v", done, err)
		}
	})
}

func TestCommitNow(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		n := w.start(kv.NewMem())
		defer n.close()
		ctx := t.Context()
		if _, err := n.commitNow(ctx, "clicks"); !errors.Is(err, registry.ErrUnknownTable) {
			t.Errorf("got %v", err)
		}
		if _, err := n.reg.Ensure(ctx, "clicks"); err != nil {
			t.Fatal(err)
		}
		if id, err := n.commitNow(ctx, "clicks"); err != nil || id != 0 {
			t.Errorf("an empty table: %d, %v", id, err)
		}
		n.mustAppend("clicks", some(3)...)
		start := time.Now()
		id, err := n.commitNow(ctx, "clicks")
		if err != nil || id == 0 || time.Since(start) > time.Second {
			t.Errorf("%d, %v after %s", id, err, time.Since(start))
		}
		w.check("clicks")
		if again, err := n.commitNow(ctx, "clicks"); err != nil || again != id {
			t.Errorf("nothing to commit: %d, %v; want %d", again, err, id)
		}
		n.queue.during(lose)
		n.mustAppend("clicks", some(3)...)
		short, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if _, err := n.commitNow(short, "clicks"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestWait(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		n := w.start(kv.NewMem())
		defer n.close()
		n.queue.during(func(int) ([]time.Duration, error) { return []time.Duration{20 * time.Second}, nil })
		start := time.Now()
		n.mustAppend("clicks", some(3)...)
		track := n.log.Tracks()[0].Track
		if err := n.shipper.Wait(t.Context(), track, 3, Staged); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("staged after %s", took)
		}
		if w.read("clicks").count != 0 {
			t.Error("committed already")
		}
		if err := n.shipper.Wait(t.Context(), track, 3, Committed); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 30*time.Second || took > 32*time.Second {
			t.Errorf("committed after %s", took)
		}
		w.check("clicks")
	})
}

// Idle tables cost nothing: no goroutine, no timer, no call; the log's tracks are not looked at either.
func TestIdleTablesCostNothing(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		n := w.start(kv.NewMem())
		defer n.close()
		tables := tier.Pick(300, 1000, 1000)
		for i := range tables {
			n.mustAppend(fmt.Sprintf("t%d", i), ev{at: time.Now()})
		}
		n.within(time.Minute, "drained", n.drained)
		time.Sleep(time.Minute) // trimming
		w.store.ResetCounts()
		before := n.shipper.Stats()
		time.Sleep(24 * time.Hour)
		after := n.shipper.Stats()
		if calls := w.store.Counts().Calls(); calls != 0 || after != before {
			t.Errorf("%d calls, from %+v to %+v", calls, before, after)
		}
		n.shipper.mu.Lock()
		tracks := len(n.shipper.tracks) + len(n.shipper.schedule)
		n.shipper.mu.Unlock()
		if tracks != 0 {
			t.Errorf("%d tracks have state", tracks)
		}
		for i := range tables {
			if i%100 == 0 {
				w.check(fmt.Sprintf("t%d", i))
			}
		}
	})
}

// Step is the loop's body: with it alone, events get into the table as well.
func TestStep(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		n, err := w.open(kv.NewMem())
		if err != nil {
			t.Fatal(err)
		}
		defer n.close()
		n.mustAppend("clicks", some(3)...)
		for !n.drained() {
			if _, err := n.shipper.Step(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if due, ok := n.shipper.NextDue(); ok {
				time.Sleep(time.Until(due))
			}
		}
		w.check("clicks")
	})
}

func TestPhases(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		under, seen := map[string]int{}, map[string]int{}
		w.cfg.Phase = func(name string, enter bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if enter {
				under[name]++
				seen[name]++
			} else {
				under[name]--
			}
		}
		n := w.start(kv.NewMem())
		n.mustAppend("clicks", some(3)...)
		n.within(time.Minute, "drained", n.drained)
		n.close()
		for _, name := range []string{"cut", "encode", "upload", "request", "read-back"} {
			if seen[name] == 0 || under[name] != 0 {
				t.Errorf("phase %s: entered %d times, %d not left", name, seen[name], under[name])
			}
		}
	})
}
