package eventlog

import (
	"bytes"
	"fmt"
	"time"

	"firn/commitlib/safeguard"
	"firn/ingestd/kv"
)

// Cut is a durable decision: the segment [First, Last] is written with that schema and that spec.
type Cut struct {
	First, Last      Seq
	SchemaID, SpecID int
	Attempt          int       // of its files' names: 0, then one more (-r1, -r2 …) each time that they had to take new ones
	StagedAt         time.Time // when its files were last known to be in the store, to the millisecond; zero: never
	Request          []byte    // the encoded commit request, once its files are staged
}

// Cut records the decision to cut the next segment: c.First is the cut watermark + 1, c.Last at most the high
// watermark.
func (l *Log) Cut(t Track, c Cut) error {
	tr, err := l.find(t)
	if err != nil {
		return fmt.Errorf("cut segment: %w", err)
	}
	tr.calls.Lock()
	defer tr.calls.Unlock()
	m, err := l.measure(tr, c.First, c.Last)
	if err != nil {
		return fmt.Errorf("cut segment: %w", err)
	}
	return l.do(&change{apply: func(w *writer) error {
		n := &tr.next
		if c.First != n.cut+1 || c.Last < c.First || c.Last > n.high {
			return fmt.Errorf("cut segment [%d, %d] of track %d, cut to %d of %d: %w", c.First, c.Last, t, n.cut, n.high, ErrCutConflict)
		}
		n = w.touch(tr)
		n.cut = c.Last
		n.pending -= m.raw
		n.oldestPending = m.after(c.Last, n.high, l.cfg.Clock)
		w.batch.Put(kv.Meta, cutKey(t, c.First), c.append(nil))
		return nil
	}})
}

// UpdateCut replaces what is known of a segment that is cut: First and Last stay.
func (l *Log) UpdateCut(t Track, c Cut) error {
	tr, err := l.find(t)
	if err != nil {
		return fmt.Errorf("update cut: %w", err)
	}
	tr.calls.Lock()
	defer tr.calls.Unlock()
	v, ok, err := l.store.Get(kv.Meta, cutKey(t, c.First), nil)
	if err != nil {
		return fmt.Errorf("update cut: %w", err)
	}
	if have, err := decodeCut(v); !ok || err != nil || have.First != c.First || have.Last != c.Last {
		return fmt.Errorf("update cut [%d, %d] of track %d: %w", c.First, c.Last, t, ErrCutConflict)
	}
	return l.do(&change{apply: func(w *writer) error {
		w.batch.Put(kv.Meta, cutKey(t, c.First), c.append(nil))
		return nil
	}})
}

// Cuts lists the segments that are cut and not known to be committed, ascending, with their requests.
func (l *Log) Cuts(t Track) ([]Cut, error) { return l.listCuts(t, true) }

// CutAt returns the segment that begins at first, with its request; false if none does.
func (l *Log) CutAt(t Track, first Seq) (Cut, bool, error) {
	v, ok, err := l.store.Get(kv.Meta, cutKey(t, first), nil)
	if err != nil || !ok {
		return Cut{}, false, err
	}
	c, err := decodeCut(v)
	if err != nil {
		return Cut{}, false, fmt.Errorf("read cut at %d of track %d: %w", first, t, err)
	}
	return c, true, nil
}

// listCuts leaves out the requests where nobody wants them: over thousands of files one is megabytes.
func (l *Log) listCuts(t Track, requests bool) ([]Cut, error) {
	var cuts []Cut
	err := l.store.Iterate(kv.Meta, cutKey(t, 0), afterCuts(t), false, func(_, v []byte) error {
		if !requests {
			v = v[:min(len(v), cutBytes)]
		}
		c, err := decodeCut(v)
		if err != nil {
			return err
		}
		cuts = append(cuts, c)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list cuts of track %d: %w", t, err)
	}
	return cuts, nil
}

func afterCuts(t Track) []byte {
	return append(trackKey(metaCut, t), bytes.Repeat([]byte{0xff}, 9)...)
}

// DropCuts forgets the segments that end at from or beyond it, so that what follows the others, or
// the committed watermark, is cut anew.
func (l *Log) DropCuts(t Track, from Seq) error {
	tr, err := l.find(t)
	if err != nil {
		return fmt.Errorf("drop cuts: %w", err)
	}
	tr.calls.Lock()
	defer tr.calls.Unlock()
	cuts, err := l.listCuts(t, false)
	if err != nil {
		return err
	}
	for len(cuts) > 0 && cuts[0].Last < from {
		cuts = cuts[1:]
	}
	if len(cuts) == 0 {
		return nil
	}
	s := l.durable(tr)
	to := max(cuts[0].First-1, s.committed)
	m, err := l.measure(tr, to+1, s.cut)
	if err != nil {
		return fmt.Errorf("drop cuts: %w", err)
	}
	return l.do(&change{apply: func(w *writer) error {
		n := w.touch(tr)
		n.cut = to
		n.pending += m.raw
		if n.high > to {
			n.oldestPending = m.first
		}
		for _, c := range cuts {
			w.batch.Delete(kv.Meta, cutKey(t, c.First))
		}
		return nil
	}})
}

// SetCommitted records a committed watermark that was read back from the table, durably, and forgets the segments that
// it covers. It never goes back: ErrWatermarkBack. Beyond the high watermark the table counts events that this
// directory does not hold: ErrWatermarkAhead. Nothing is recorded then.
func (l *Log) SetCommitted(t Track, mark Seq) error {
	tr, err := l.find(t)
	if err != nil {
		return fmt.Errorf("record committed watermark: %w", err)
	}
	tr.calls.Lock()
	defer tr.calls.Unlock()
	s := l.durable(tr)
	switch {
	case mark < s.committed && !safeguard.Off(safeguard.ReadBackKept):
		return fmt.Errorf("record watermark %d of track %d, at %d before: %w", mark, t, s.committed, ErrWatermarkBack)
	case mark > s.high:
		return fmt.Errorf("record watermark %d of track %d, whose last event is %d: %w", mark, t, s.high, ErrWatermarkAhead)
	case mark == s.committed:
		return nil
	}
	cuts, err := l.listCuts(t, false)
	if err != nil {
		return err
	}
	m, err := l.measure(tr, s.cut+1, mark) // what was never cut here: an earlier copy of this directory did
	if err != nil {
		return fmt.Errorf("record committed watermark: %w", err)
	}
	uncommitted, err := l.measure(tr, mark+1, mark+1)
	if err != nil {
		return fmt.Errorf("record committed watermark: %w", err)
	}
	return l.do(&change{apply: func(w *writer) error {
		n := w.touch(tr)
		n.committed = mark
		n.oldestUncommitted = uncommitted.at(mark, n.high, l.cfg.Clock)
		if n.cut < mark {
			n.cut = mark
			n.pending -= m.raw
			n.oldestPending = n.oldestUncommitted
		}
		for _, c := range cuts {
			if c.Last <= mark && !safeguard.Off(safeguard.ReadBackKept) { // else a restart would find a cut that follows nothing
				w.batch.Delete(kv.Meta, cutKey(t, c.First))
			}
		}
		if !safeguard.Off(safeguard.ReadBackKept) {
			w.batch.Put(kv.Meta, trackKey(metaState, t), appendState(nil, mark, n.low))
		}
		return nil
	}})
}

// durable is a copy of t's durable state.
func (l *Log) durable(t *track) state {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return t.state
}
