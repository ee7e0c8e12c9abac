package ship

import "time"

// Tables that get little are cut by age alone, and a thousand of them with a cut each ten seconds are a hundred
// segments a second: as many commits, and small files for ever. So all of them together have trickleCuts a second. A table
// whose time has come takes the next slot; it waits at most until its oldest event is as old as the table's max lag. Where
// few tables trickle nobody waits, and a table that gets much, or that a producer waits for, never does.
const (
	trickleCuts  = 16       // a second, over all tables: 1,000 tables get a slot each within their 60 s
	trickleBurst = 16       // slots that an idle second leaves for tables that come due together
	trickleBytes = 64 << 10 // pending events of less are a trickle: a file of some 15 kB
)

const slotGap = time.Second / trickleCuts

// slots gives out times to cut at. Shipper.mu protects it.
type slots struct {
	next time.Time
}

func (s *slots) take(now time.Time) time.Time {
	s.next = later(s.next, now.Add(-trickleBurst*slotGap))
	slot := later(s.next, now)
	s.next = s.next.Add(slotGap)
	return slot
}

// giveBack makes room for another, where a slot that lies ahead is not needed.
func (s *slots) giveBack(slot, now time.Time) {
	if slot.After(now) {
		s.next = s.next.Add(-slotGap)
	}
}

// trickleDue is when a track that was due by age at due, and has little, is cut: at its slot, which it takes the first time
// that it is asked for, and at the latest at last.
func (s *Shipper) trickleDue(t *track, now, due, last time.Time) time.Time {
	if !last.After(due) {
		return due
	}
	if t.slot.IsZero() {
		t.slot = s.slots.take(now)
	}
	return earlier(t.slot, last)
}

// dropSlot gives up t's slot: it is cut, at it or before.
func (s *Shipper) dropSlot(t *track) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slots.giveBack(t.slot, time.Now())
	t.slot = time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
