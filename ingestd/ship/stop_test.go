package ship

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/ingestd/kv"
)

// committedOnce starts a daemon whose tables "clicks" and "other" have a commit each, and a
// backlog that comes with the next cut.
func committedOnce(w *world) *node {
	w.Helper()
	n := w.start(kv.NewMem())
	for range 2 {
		n.mustAppend("clicks", some(3)...)
		n.mustAppend("other", some(3)...)
		n.within(time.Minute, "drained", n.drained)
	}
	return n
}

// Whatever happens to a table beside the compare-and-swap: its track stops, with choices; the other table goes on; and
// once it is put right, nothing was lost or doubled.
func TestStops(t *testing.T) {
	ident := catalog.Ident{Namespace: "default", Name: "clicks"}
	table := func(w *world) *catalog.Table {
		ct, err := w.cat.Load(context.Background(), ident)
		if err != nil {
			w.Fatal(err)
		}
		return ct
	}
	edit := func(w *world, change func(*iceberg.Metadata, string) (*iceberg.Metadata, error)) {
		base := table(w)
		if _, err := w.cat.SwapMetadata(context.Background(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			return change(m, base.MetadataLocation)
		}); err != nil {
			w.Fatal(err)
		}
	}
	setProps := func(w *world, props map[string]string, remove ...string) {
		edit(w, func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
			return m.WithProperties(props, remove, prev, time.Now())
		})
	}
	cases := map[string]struct {
		want Reason
		harm func(w *world) (mend func())
	}{
		"marker removed": {want: TableUnfit, harm: func(w *world) func() {
			setProps(w, nil, commitlib.PropProtocol)
			return func() { setProps(w, map[string]string{commitlib.PropProtocol: "1"}) }
		}},
		"watermarks removed": {want: WatermarksLost, harm: func(w *world) func() {
			was := table(w).Metadata.Properties[commitlib.PropWatermarks]
			setProps(w, nil, commitlib.PropWatermarks)
			return func() { setProps(w, map[string]string{commitlib.PropWatermarks: was}) }
		}},
		"watermarks emptied, a snapshot still names the log": {want: WatermarkBack, harm: func(w *world) func() {
			was := table(w).Metadata.Properties[commitlib.PropWatermarks]
			root := strings.SplitN(was, `"root"`, 2)
			setProps(w, map[string]string{commitlib.PropWatermarks: `{"logs":{},"root"` + root[1]})
			if _, err := w.foreign().ExpireSnapshots(context.Background(), ident, 1); err != nil {
				w.Fatal(err)
			}
			return func() { setProps(w, map[string]string{commitlib.PropWatermarks: was}) }
		}},
		"payload column dropped": {want: TableUnfit, harm: func(w *world) func() {
			old := table(w).Metadata.CurrentSchema()
			edit(w, func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
				s := *old
				s.ID, s.Fields = 1, old.Fields[:6]
				return m.WithSchema(&s, prev, time.Now())
			})
			return func() {
				edit(w, func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) {
					s := *old
					s.ID = 2
					return m.WithSchema(&s, prev, time.Now())
				})
			}
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(w *world) {
				n := committedOnce(w)
				defer n.close()
				mend := c.harm(w)
				n.mustAppend("clicks", some(3)...)
				n.mustAppend("other", some(3)...)
				n.waitStopped("clicks", c.want)
				n.within(time.Minute, "the other table goes on", func() bool { return n.shipper.Status("other").Backlog == 0 })
				if len(n.shipper.Ready()) != 0 || len(n.shipper.Warnings()) != 1 {
					w.Errorf("ready %q, warnings %q", n.shipper.Ready(), n.shipper.Warnings())
				}
				ctx, cancel := context.WithTimeout(w.Context(), time.Hour)
				defer cancel()
				var stop *Stop
				if _, err := n.commitNow(ctx, "clicks"); !errors.As(err, &stop) {
					w.Errorf("commit now: %v", err)
				}
				time.Sleep(time.Hour)
				if sent := n.queue.group["default.clicks"]; sent > 3 {
					w.Errorf("%d messages of a stopped table", sent)
				}
				mend()
				if err := n.shipper.Resume(w.Context(), "clicks"); err != nil {
					w.Error(err)
				}
				n.within(time.Minute, "drained", n.drained)
				if n.stopOf("clicks") != nil {
					w.Error("still stopped")
				}
				w.check("clicks")
				w.check("other")
			})
		})
	}
}

// A stop whose cause goes away ends by itself as well, a little later.
func TestStopEndsByItself(t *testing.T) {
	bubble(t, func(w *world) {
		n := committedOnce(w)
		defer n.close()
		id := catalog.Ident{Namespace: "default", Name: "clicks"}
		if _, err := w.foreign().RemoveProperties(w.Context(), id, commitlib.PropProtocol); err != nil {
			w.Fatal(err)
		}
		n.mustAppend("clicks", some(3)...)
		n.waitStopped("clicks", TableUnfit)
		if err := n.shipper.Resume(w.Context(), "other"); !errors.Is(err, ErrNotStopped) {
			w.Errorf("got %v", err)
		}
		if _, err := w.foreign().SetProperties(w.Context(), id, map[string]string{commitlib.PropProtocol: "1"}); err != nil {
			w.Fatal(err)
		}
		n.within(w.cfg.RecheckStopped+time.Minute, "drained", n.drained)
		w.check("clicks")
	})
}

// dropTable removes a table as an operator does on an object-store catalog.
func dropTable(w *world, name string) {
	var keys []string
	_ = w.store.List(context.Background(), "default/"+name+"/", func(i objstore.Info) error { keys = append(keys, i.Key); return nil })
	if err := w.store.Delete(context.Background(), keys...); err != nil {
		w.Fatal(err)
	}
}

// The table is dropped and made anew: the old one's backlog stops, and stays until it is discarded by its number; new
// events go to the new table once an operator says so.
func TestTableReplaced(t *testing.T) {
	bubble(t, func(w *world) {
		w.ccfg.MaxParentBytes = 1 // the committer is a fresh one for each batch, as a Lambda may be
		n := committedOnce(w)
		defer n.close()
		n.queue.during(lose)
		n.mustAppend("clicks", some(3)...)
		dropTable(w, "clicks")
		n.waitStopped("clicks", TableMissing)
		if _, _, err := n.reg.Put(w.Context(), "clicks", exactly(n.reg.Defaults())); err != nil {
			w.Fatal(err)
		}
		n.queue.during(nil)
		w.mu.Lock()
		w.acks["clicks"] = nil // what was acked for the old table
		w.mu.Unlock()
		for _, info := range n.log.Tracks() {
			if info.Table.Name == "clicks" && info.Committed != 6 {
				w.Errorf("track %+v", info)
			}
		}
		w.cat = objectstore.New(w.store, objectstore.Config{Logger: quiet})
		old := n.shipper.Status("clicks").Tracks[0]
		n.within(10*time.Minute, "the stop names the replacement", func() bool { return n.stopOf("clicks").Reason == TableReplaced })
		tracks := len(n.log.Tracks())
		n.mustAppend("clicks", some(4)...)
		if len(n.log.Tracks()) != tracks+1 {
			w.Error("new events got no track of their own")
		}
		n.within(time.Minute, "the new table's events are committed", func() bool { return w.read("clicks").count == 4 })
		if err := n.shipper.Discard("clicks", old.Log, 2); !errors.Is(err, ErrCountDiffers) {
			w.Errorf("got %v", err)
		}
		if st := n.shipper.Status("clicks"); st.Backlog != 3 {
			w.Errorf("backlog %d", st.Backlog)
		}
		if err := n.shipper.Discard("clicks", old.Log, 3); err != nil {
			w.Error(err)
		}
		n.within(time.Second, "nothing is left", n.drained)
		if n.stopOf("clicks") != nil {
			w.Error("still stopped")
		}
		w.check("clicks")
	})
}

func TestDiscardIsRefusedWhileTheLogIsOpen(t *testing.T) {
	bubble(t, func(w *world) {
		n := committedOnce(w)
		if _, err := w.foreign().RemoveProperties(w.Context(), n.reg.Ident("clicks"), commitlib.PropProtocol); err != nil {
			w.Fatal(err)
		}
		n.mustAppend("clicks", some(3)...)
		n.waitStopped("clicks", TableUnfit)
		log := n.shipper.Status("clicks").Tracks[0].Log
		if err := n.shipper.Discard("clicks", log, 3); !errors.Is(err, ErrStillOpen) {
			w.Errorf("got %v", err)
		}
		rng := rand.New(rand.NewPCG(1, 1))
		n = w.start(n.crash(rng))
		defer n.close()
		n.mustAppend("other", some(1)...) // mints this run's log
		n.waitStopped("clicks", TableUnfit)
		if err := n.shipper.Discard("other", log, 3); err == nil {
			w.Error("discarded under another table's name")
		}
		if err := n.shipper.Discard("clicks", log, 3); err != nil {
			w.Error(err)
		}
		n.within(time.Minute, "drained", n.drained)
		if c := w.read("clicks").count; c != 6 {
			w.Errorf("%d rows", c)
		}
	})
}

// A committer that rejects leaves a note: the sender stops at once, and after Resume the same
// events are staged and requested anew.
func TestRejected(t *testing.T) {
	bubble(t, func(w *world) {
		n := committedOnce(w)
		defer n.close()
		id := n.reg.Ident("clicks")
		// The request is on its way while the marker is gone: it is the committer who sees it first.
		n.queue.during(func(int) ([]time.Duration, error) { return []time.Duration{20 * time.Second}, nil })
		n.mustAppend("clicks", some(3)...)
		n.within(time.Minute, "sent", func() bool { return n.shipper.Status("clicks").Tracks[0].InFlight == 1 })
		time.Sleep(15 * time.Second)
		if _, err := w.foreign().RemoveProperties(w.Context(), id, commitlib.PropProtocol); err != nil {
			w.Fatal(err)
		}
		log := n.shipper.Status("clicks").Tracks[0].Log
		note := func() *commitlib.Rejection {
			r, err := commitlib.RejectedNote(w.Context(), w.store, "default/clicks", log)
			if err != nil {
				w.Fatal(err)
			}
			return r
		}
		n.within(time.Minute, "the committer rejects", func() bool { return note() != nil })
		if _, err := w.foreign().SetProperties(w.Context(), id, map[string]string{commitlib.PropProtocol: "1"}); err != nil {
			w.Fatal(err)
		}
		n.waitStopped("clicks", Rejected)
		sent := n.queue.group["default.clicks"]
		time.Sleep(12 * time.Hour)
		if again := n.queue.group["default.clicks"]; again > sent {
			w.Errorf("%d messages were sent again", again-sent)
		}
		n.queue.during(nil)
		if err := n.shipper.Resume(w.Context(), "clicks"); err != nil {
			w.Error(err)
		}
		n.within(time.Minute, "drained", n.drained)
		if note() != nil {
			w.Error("the note is still there")
		}
		w.check("clicks")
	})
}

// A rejection that came after a time-out: once resumed, the events are cut by age again, though no new ones come.
func TestRejectedAfterATimeout(t *testing.T) {
	bubble(t, func(w *world) {
		n := committedOnce(w)
		defer n.close()
		id := n.reg.Ident("clicks")
		n.queue.during(lose)
		n.mustAppend("clicks", some(3)...)
		n.within(5*time.Minute, "stalled", func() bool { return n.shipper.Status("clicks").Tracks[0].Stalled > 0 })
		n.queue.during(func(int) ([]time.Duration, error) { return []time.Duration{20 * time.Second}, nil })
		n.within(10*time.Minute, "sent again", func() bool { return n.shipper.Status("clicks").Tracks[0].Stalled > 1 })
		if _, err := w.foreign().RemoveProperties(w.Context(), id, commitlib.PropProtocol); err != nil {
			w.Fatal(err)
		}
		time.Sleep(30 * time.Second)
		if _, err := w.foreign().SetProperties(w.Context(), id, map[string]string{commitlib.PropProtocol: "1"}); err != nil {
			w.Fatal(err)
		}
		n.queue.during(nil)
		n.within(10*time.Minute, "stopped by the committer's note", func() bool {
			s := n.stopOf("clicks")
			return s != nil && s.Reason == Rejected
		})
		if err := n.shipper.Resume(w.Context(), "clicks"); err != nil {
			w.Error(err)
		}
		n.within(time.Minute, "drained", n.drained)
		w.check("clicks")
	})
}

// The table's count goes back below what was read back, with no trace left: nothing is sent.
func TestWatermarkBack(t *testing.T) {
	bubble(t, func(w *world) {
		n := committedOnce(w)
		defer n.close()
		id := n.reg.Ident("clicks")
		ct, err := w.cat.Load(w.Context(), id)
		if err != nil {
			w.Fatal(err)
		}
		// Restore the metadata of before the second commit, as an operator who copies an old version over does.
		first := ct.Metadata.Snapshots[0]
		old := ct.Metadata.Properties[commitlib.PropWatermarks]
		lower := strings.Replace(old, "[6,", "[3,", 1)
		if lower == old {
			w.Fatalf("watermarks %s", old)
		}
		if _, err := w.cat.SwapMetadata(w.Context(), ct, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			m, err := m.WithMain(first.ID, ct.MetadataLocation, time.Now())
			if err != nil {
				return nil, err
			}
			if m, err = m.WithoutSnapshots([]int64{ct.Metadata.CurrentSnapshotID}, ct.MetadataLocation, time.Now()); err != nil {
				return nil, err
			}
			return m.WithProperties(map[string]string{commitlib.PropWatermarks: lower}, nil, ct.MetadataLocation, time.Now())
		}); err != nil {
			w.Fatal(err)
		}
		sent := n.queue.group["default.clicks"]
		n.mustAppend("clicks", some(3)...)
		n.waitStopped("clicks", WatermarkBack)
		time.Sleep(time.Hour + time.Minute) // between two looks at the stop: one beside Resume would have found it mended
		if n.queue.group["default.clicks"] != sent {
			w.Error("a request was sent")
		}
		if _, err := w.foreign().SetProperties(w.Context(), id, map[string]string{commitlib.PropWatermarks: old}); err != nil {
			w.Fatal(err)
		}
		if err := n.shipper.Resume(w.Context(), "clicks"); err != nil {
			w.Error(err)
		}
		n.within(time.Minute, "drained", n.drained)
		if c := w.read("clicks").count; c != 6 { // what the operator rolled back stays out
			w.Errorf("%d rows", c)
		}
	})
}

// A copy of the directory is started beside the original: the common log drains once, whoever is first and however each
// cuts it, and each run's new events are its own.
func TestCopyBesideTheOriginal(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, func(w *world) {
			rng := rand.New(rand.NewPCG(seed, 7))
			n := committedOnce(w)
			n.queue.during(lose)
			for range 10 {
				n.mustAppend("clicks", some(1+rng.IntN(4))...)
				time.Sleep(time.Duration(rng.IntN(9000)) * time.Millisecond)
			}
			n.close()
			copied := n.kv.Copy()
			w.cfg.MaxSegmentBytes = 1 + int64(rng.IntN(200))
			a := w.start(n.kv)
			w.cfg.MaxSegmentBytes = 1 + int64(rng.IntN(200))
			b := w.start(copied)
			for range 10 {
				for _, n := range []*node{a, b} {
					n.mustAppend("clicks", some(1+rng.IntN(4))...)
					time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
				}
			}
			a.mustDrain(time.Hour)
			b.mustDrain(time.Hour)
			a.close()
			b.close()
			w.check("clicks")
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// The watermark comes to lie inside a segment, since a copy of the directory cut the same
// events otherwise: the rest is cut anew.
func TestWatermarkInsideASegment(t *testing.T) {
	bubble(t, func(w *world) {
		n := w.start(kv.NewMem())
		for range 10 {
			n.mustAppend("clicks", some(2)...)
		}
		n.close()
		copied := n.kv.Copy()
		b := w.start(copied)
		defer b.close()
		b.queue.during(lose)
		b.within(time.Minute, "one segment is in flight", func() bool { return b.queue.count() == 1 })
		w.cfg.MaxSegmentBytes = 1
		a := w.start(n.kv)
		a.queue.during(func(i int) ([]time.Duration, error) { return make([]time.Duration, max(0, min(1, 4-i))), nil })
		a.within(time.Minute, "six events are committed", func() bool { return w.read("clicks").count == 6 })
		a.close()
		b.queue.during(nil)
		b.within(time.Minute, "drained", b.drained)
		if st := b.shipper.Stats(); st.SegmentsRecut != 1 || st.SegmentsCut != 2 {
			w.Errorf("%+v", st)
		}
		w.check("clicks")
	})
}

// An older copy of the directory finds that the table counts more of a log than it holds: that is reported, new events
// are committed, and an operator's word lets the old log go.
func TestOlderCopy(t *testing.T) {
	bubble(t, func(w *world) {
		n := w.start(kv.NewMem())
		n.mustAppend("clicks", some(1)...)
		short := n.kv.Copy()
		n.mustAppend("clicks", some(5)...)
		n.mustDrain(time.Minute)
		n.close()

		m := w.start(short)
		defer m.close()
		m.mustAppend("other", some(1)...)
		stop := m.waitStopped("clicks", WatermarkAhead)
		if !strings.Contains(strings.Join(stop.Choices, " "), "older copy") {
			w.Errorf("choices %q", stop.Choices)
		}
		m.mustAppend("clicks", some(4)...)
		m.within(time.Minute, "new events are committed", func() bool { return m.shipper.Status("clicks").Backlog == 1 })
		if err := m.shipper.Resume(w.Context(), "clicks"); err != nil {
			w.Error(err)
		}
		m.within(time.Minute, "drained", m.drained)
		w.check("clicks")
	})
}

// Staged half a day ago: the files are verified before the request is sent again, with a new staging time, or staged
// again under new names where they are gone.
func TestOldStagedFilesAreVerified(t *testing.T) {
	for _, remove := range []bool{false, true} {
		bubble(t, func(w *world) {
			n := committedOnce(w)
			defer n.close()
			n.queue.during(lose)
			n.mustAppend("clicks", some(3)...)
			n.within(time.Minute, "staged", func() bool { return n.shipper.Status("clicks").Tracks[0].InFlight == 1 })
			names := w.dataFiles("clicks")
			time.Sleep(20 * time.Hour)
			if st := n.shipper.Stats(); st.Verified == 0 || st.Renamed != 0 {
				w.Errorf("%+v", st)
			}
			if remove {
				if err := w.store.Delete(w.Context(), names[len(names)-1]); err != nil {
					w.Fatal(err)
				}
			}
			time.Sleep(20 * time.Hour) // 40 hours after staging the committer would drop the first request
			n.queue.during(nil)
			n.within(10*time.Minute, "drained", n.drained)
			// Also what is there still was staged again after a day: others remove unreferenced files by their age.
			if st, files := n.shipper.Stats(), w.dataFiles("clicks"); st.Renamed != 1 || remove != (len(files) == len(names)) {
				w.Errorf("%+v, %q", st, files)
			}
			w.check("clicks")
		})
	}
}

// A file is at the name already: with the same bytes it is taken, with others the segment takes new names.
func TestNamesAreNeverOverwritten(t *testing.T) {
	bubble(t, func(w *world) {
		n := w.start(kv.NewMem())
		defer n.close()
		tried := make(chan string, 1)
		first := true
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			if first && c.Op == objstore.OpPut && strings.Contains(c.Key, "/data/") {
				first = false
				tried <- c.Key
				return objstore.Fault{Err: errors.New("connection reset")}
			}
			return objstore.Fault{}
		})
		n.mustAppend("clicks", some(3)...)
		taken := <-tried
		// Another encoder's file, of the same events.
		if _, err := w.store.Put(w.Context(), taken, []byte("PAR1 other bytes"), objstore.Condition{Absent: true}); err != nil {
			w.Fatal(err)
		}
		n.within(time.Minute, "drained", n.drained)
		if st := n.shipper.Stats(); st.Renamed != 1 {
			w.Errorf("%+v", st)
		}
		if body, _, err := w.store.Get(w.Context(), taken); err != nil || string(body) != "PAR1 other bytes" {
			w.Errorf("the file was overwritten: %q %v", body, err)
		}
		w.check("clicks")
	})
}

// A file that an earlier run left there has the same bytes, but is more than a day old: whoever removes
// unreferenced files by age may be about to.
func TestOldFilesAreNotTakenUp(t *testing.T) {
	bubble(t, func(w *world) {
		n := w.start(kv.NewMem())
		var left atomic.Value // the key, a string
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			if c.Op == objstore.OpPut && strings.Contains(c.Key, "/data/") {
				left.Store(c.Key)
				return objstore.Fault{Applied: true, Err: errors.New("connection reset")}
			}
			return objstore.Fault{}
		})
		n.mustAppend("clicks", some(3)...)
		n.within(time.Minute, "uploaded, as far as the store knows", func() bool { return left.Load() != nil })
		dir := n.crash(rand.New(rand.NewPCG(1, 1)))
		w.store.SetFault(nil)
		time.Sleep(30 * time.Hour)
		n = w.start(dir)
		defer n.close()
		n.within(time.Minute, "drained", n.drained)
		if st := n.shipper.Stats(); st.Renamed != 1 {
			w.Errorf("%+v", st)
		}
		if err := w.store.Delete(w.Context(), left.Load().(string)); err != nil {
			w.Fatal(err)
		}
		w.check("clicks")
	})
}

// The store is gone for an hour: waits grow, nothing spins, readiness says why, and it drains afterwards.
func TestStoreUnreachable(t *testing.T) {
	bubble(t, func(w *world) {
		n := committedOnce(w)
		defer n.close()
		w.store.SetFault(func(objstore.Call) objstore.Fault { return objstore.Fault{Err: errors.New("no route to store")} })
		w.store.ResetCounts()
		n.mustAppend("clicks", some(3)...)
		time.Sleep(30 * time.Second)
		if ready := n.shipper.Ready(); len(ready) != 1 || !strings.Contains(ready[0], "no route to store") {
			w.Errorf("ready %q", ready)
		}
		time.Sleep(time.Hour)
		if calls := w.store.Counts().Calls(); calls < 100 || calls > 1000 {
			w.Errorf("%d calls in an hour", calls)
		}
		if st := n.shipper.Status("clicks").Tracks[0]; !strings.Contains(st.LastError, "no route to store") || st.Stop != nil {
			w.Errorf("%+v", st)
		}
		w.store.SetFault(nil)
		n.within(time.Minute, "drained", n.drained)
		if ready := n.shipper.Ready(); len(ready) != 0 {
			w.Errorf("ready %q", ready)
		}
		w.check("clicks")
	})
}

func TestDrainNamesWhatIsStuck(t *testing.T) {
	bubble(t, func(w *world) {
		n := committedOnce(w)
		defer n.close()
		if _, err := w.foreign().RemoveProperties(w.Context(), n.reg.Ident("clicks"), commitlib.PropProtocol); err != nil {
			w.Fatal(err)
		}
		n.mustAppend("clicks", some(3)...)
		n.mustAppend("other", some(3)...)
		err := n.shipper.Drain(w.Context())
		if err == nil || !strings.Contains(err.Error(), "3 events of table clicks") || strings.Contains(err.Error(), "table other") {
			w.Errorf("got %v", err)
		}
		w.check("other")
	})
}

func TestBadConfiguration(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Logger = slog.New(slog.DiscardHandler)
	cfg.Window, cfg.VerifyAfter, cfg.ResendMax = 0, 30*time.Hour, time.Second
	_, err := New(Deps{}, cfg)
	for _, word := range []string{"Window", "VerifyAfter", "ResendMax"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s is not named: %v", word, err)
		}
	}
	if _, err := New(Deps{}, DefaultConfig()); err == nil {
		t.Error("no parts were taken")
	}
}
