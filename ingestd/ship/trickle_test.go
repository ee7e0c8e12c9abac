package ship

import (
	"context"
	"fmt"
	"testing"
	"time"

	"firn/ingestd/kv"
	"firn/ingestd/registry"
)

// Slots are trickleCuts a second, after a burst that an idle time leaves; what is given back is given out again.
func TestSlots(t *testing.T) {
	var s slots
	now := time.Unix(1_790_000_000, 0)
	for i := range trickleBurst + 1 {
		if slot := s.take(now); slot != now {
			t.Fatalf("slot %d of an idle second is %s later", i, slot.Sub(now))
		}
	}
	var last time.Time
	for i := range 3 * trickleCuts {
		last = s.take(now)
		if want := now.Add(time.Duration(i+1) * slotGap); last != want {
			t.Fatalf("slot %d is %s later, want %s", i, last.Sub(now), want.Sub(now))
		}
	}
	s.giveBack(last, now)
	if got := s.take(now); got != last {
		t.Errorf("a slot that was given back is %s later", got.Sub(last))
	}
	s.giveBack(now.Add(-time.Second), now) // one that was used
	if got := s.take(now); got != last.Add(slotGap) {
		t.Errorf("a used slot was given out again: %s later", got.Sub(last))
	}
	now = last.Add(time.Hour)
	if slot := s.take(now); slot != now {
		t.Errorf("after an idle hour a slot is %s later", slot.Sub(now))
	}
}

// Many tables that get little are cut at a bounded rate, none later than its max lag; a busy one among them does not
// wait, nor does anybody once they are quiet.
func TestManyTrickles(t *testing.T) {
	bubble(t, func(w *world) {
		const tables, seconds = 240, 60
		n := w.start(kv.NewMem())
		defer n.close()
		big := make([]byte, trickleBytes/8)
		for i := range big {
			big[i] = 'x'
		}
		if _, _, err := n.reg.Put(context.Background(), "t3", func(s *registry.Settings) error {
			s.MaxLag = s.CutInterval
			return nil
		}); err != nil {
			w.Fatal(err)
		}
		var oldest, busy, short time.Duration
		look := func() {
			for _, info := range n.log.Tracks() {
				if info.OldestPending.IsZero() {
					continue
				}
				age := time.Since(info.OldestPending)
				oldest = max(oldest, age)
				switch info.Table.Name {
				case "busy":
					busy = max(busy, age)
				case "t3":
					short = max(short, age)
				}
			}
		}
		for s := range seconds {
			for i := s % 5; i < tables; i += 5 {
				n.mustAppend(fmt.Sprintf("t%d", i), some(1)...)
			}
			n.mustAppend("busy", ev{at: time.Now(), payload: string(big) + fmt.Sprint(s)})
			look()
			time.Sleep(time.Second)
		}
		cuts := n.shipper.Stats().SegmentsCut
		w.Logf("%d cuts, the oldest event waited %s, the busy table's %s, that of a short max lag %s", cuts, oldest, busy, short)
		if most := uint64(trickleCuts*seconds + trickleBurst + seconds/10); cuts > most || cuts < most/2 {
			w.Errorf("%d cuts in %d seconds, want up to %d", cuts, seconds, most)
		}
		if oldest < 12*time.Second || oldest > 61*time.Second || busy > 11*time.Second || short > 11*time.Second {
			w.Error("want 12 to 61 s, and 10 for those that wait for no other")
		}
		time.Sleep(2 * time.Minute)
		n.mustAppend("t7", some(1)...)
		time.Sleep(11 * time.Second)
		if info := n.log.Tracks(); len(info) == 0 {
			w.Fatal("no tracks")
		}
		for _, info := range n.log.Tracks() {
			if info.High != info.Cut {
				w.Errorf("%s is not cut 11 s after its last event, though the others are quiet", info.Table.Name)
			}
		}
	})
}
