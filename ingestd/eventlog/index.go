package eventlog

import (
	"errors"
	"fmt"
	"time"

	"firn/ingestd/kv"
)

// measured is what the index says of a range of events.
type measured struct {
	raw   int64 // bytes before compression; of a block that is partly in the range its share
	first int64 // ingest time of the first event; 0: the range is empty
	next  int64 // ingest time of the event behind the range; 0: none yet
}

// after is the ingest time of the oldest event beyond mark. One that was appended since the
// range was measured is about as old as now.
func (m measured) after(mark, high Seq, clock func() time.Time) int64 {
	return oldest(m.next, mark, high, clock)
}

// at is the same where the range is that event alone.
func (m measured) at(mark, high Seq, clock func() time.Time) int64 {
	return oldest(m.first, mark, high, clock)
}

func oldest(ingest int64, mark, high Seq, clock func() time.Time) int64 {
	if high <= mark {
		return 0
	}
	if ingest == 0 {
		return clock().UnixMicro()
	}
	return ingest
}

// measure sums the index over [first, last], as far as it is durable.
func (l *Log) measure(t *track, first, last Seq) (measured, error) {
	var m measured
	high := l.durable(t).high
	if first > last || first > high {
		return m, nil
	}
	err := l.entries(t.id, first, func(e indexEntry) error {
		if e.first > high {
			return kv.ErrStop
		}
		if e.first > last {
			m.next = e.ingest
			return kv.ErrStop
		}
		lo, hi := max(e.first, first), min(e.last(), last)
		if m.first == 0 {
			m.first = e.ingest
		}
		m.raw += rawShare(e, lo, hi)
		if e.last() > last {
			m.next = e.ingest
			return kv.ErrStop
		}
		return nil
	})
	return m, err
}

// rawShare divides a block's raw bytes such that the shares of its parts add up to the whole.
func rawShare(e indexEntry, lo, hi Seq) int64 {
	upTo := func(n Seq) int64 { return int64(e.raw) * int64(n) / int64(e.count) }
	return upTo(hi+1-e.first) - upTo(lo-e.first)
}

// Span is a run of events that fits a segment's size.
type Span struct {
	First, Last Seq
	RawBytes    int64
	Oldest      time.Time // ingest time of First
}

// Span measures from first on, which is at least the low watermark: as many whole blocks as have at most maxRaw raw
// bytes together, at least one, none beyond the high watermark. A first beyond it gives the zero Span.
func (l *Log) Span(t Track, first Seq, maxRaw int64) (Span, error) {
	tr, err := l.find(t)
	if err != nil {
		return Span{}, fmt.Errorf("measure segment: %w", err)
	}
	s := l.durable(tr)
	if first < s.low {
		return Span{}, fmt.Errorf("measure segment from %d of track %d: %w", first, t, ErrTrimmed)
	}
	if first > s.high {
		return Span{}, nil
	}
	sp := Span{First: first}
	err = l.entries(t, first, func(e indexEntry) error {
		raw := rawShare(e, max(e.first, first), e.last())
		if e.first > s.high || sp.Last != 0 && sp.RawBytes+raw > maxRaw {
			return kv.ErrStop
		}
		if sp.Last == 0 {
			sp.Oldest = fromMicros(e.ingest)
		}
		sp.Last, sp.RawBytes = e.last(), sp.RawBytes+raw
		return nil
	})
	if err == nil && sp.Last == 0 {
		err = errors.New("the index has no block there")
	}
	if err != nil {
		return Span{}, fmt.Errorf("measure segment from %d of track %d: %w", first, t, err)
	}
	return sp, nil
}

// entries visits the index of a track from the block that holds first on. fn must not call the store.
func (l *Log) entries(t Track, first Seq, fn func(indexEntry) error) error {
	from := first
	err := l.store.Iterate(kv.Index, indexKey(nil, t, 0), indexKey(nil, t, first+1), true, func(k, v []byte) error {
		_, e, err := decodeIndex(k, v)
		if err == nil {
			from, err = e.first, kv.ErrStop
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("search index of track %d: %w", t, err)
	}
	err = l.store.Iterate(kv.Index, indexKey(nil, t, from), indexKey(nil, t, ^Seq(0)), false, func(k, v []byte) error {
		_, e, err := decodeIndex(k, v)
		if err != nil {
			return err
		}
		if e.last() < first {
			return nil
		}
		return fn(e)
	})
	if err != nil {
		return fmt.Errorf("read index of track %d: %w", t, err)
	}
	return nil
}
