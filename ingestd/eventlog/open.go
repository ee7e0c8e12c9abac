package eventlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"

	"firn/commitlib/column"
	"firn/commitlib/safeguard"
	"firn/ingestd/kv"
)

// formatVersion is of everything in FORMAT.md. A directory of a newer one is refused: an older
// ingestd would drop what it does not know.
const formatVersion = 1

// ErrDamaged says that what the store holds contradicts itself, so that acked events may be missing. Nothing was
// changed.
var ErrDamaged = errors.New("event log is damaged: its records contradict each other, acked events may be missing; " +
	"restore the data directory from a copy; or keep it aside and start with a new one, which gives up what is not committed")

// Open reads a directory's state and verifies it: each track's index is contiguous from its low to its high watermark,
// its committed watermark and its cuts lie within, its first and last blocks are there and decode. It takes about a
// second for a million blocks. The log of this run is minted by its first append.
func Open(store kv.Store, cfg Config) (*Log, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Log{
		store: store, cfg: cfg,
		appends: make(chan *request, callers), changes: make(chan *change), stop: make(chan struct{}), stopped: make(chan struct{}),
		fatal:  make(chan error, 1),
		tracks: map[Track]*track{}, byTable: map[trackID]*track{}, shares: map[uuid.UUID]*share{},
		space: newSpace(cfg.MaxBytes, cfg.zoneBytes), changed: make(chan struct{}),
		tail: tail{max: cfg.TailBytes, own: map[Track][]tailBlock{}},
		disk: openDisk(cfg),
	}
	w := &writer{l: l, nextTrack: 1}
	if err := l.recover(w); err != nil {
		return nil, fmt.Errorf("open event log: %w", err)
	}
	go w.run()
	return l, nil
}

func (l *Log) recover(w *writer) error {
	if err := l.checkFormat(); err != nil {
		return err
	}
	if v, ok, err := l.store.Get(kv.Meta, []byte(metaNewestLog), nil); err != nil {
		return err
	} else if ok && len(v) == len(w.newest) {
		w.newest = uuid.UUID(v)
	}
	if v, ok, err := l.store.Get(kv.Meta, []byte(metaNextTrack), nil); err != nil {
		return err
	} else if ok && len(v) == 4 {
		w.nextTrack = Track(binary.BigEndian.Uint32(v))
	}
	if v, ok, err := l.store.Get(kv.Meta, []byte(metaDedupBytes), nil); err != nil {
		return err
	} else if ok && len(v) == 8 {
		l.dedup = int64(binary.BigEndian.Uint64(v))
	}
	w.dedup = l.dedup
	if err := l.recoverTracks(w); err != nil {
		return err
	}
	head := l.space.head
	err := l.store.Iterate(kv.Blocks, nil, nil, true, func(k, v []byte) error { // dead or not: no position is used twice
		if pos, ok := keyPosition(k); ok {
			head = max(head, pos+int64(len(v)))
		}
		return kv.ErrStop
	})
	l.space.restored(head)
	w.head = head
	return err
}

// checkFormat reads the format's version, or writes it into a directory that holds nothing.
func (l *Log) checkFormat() error {
	v, ok, err := l.store.Get(kv.Meta, []byte(metaFormat), nil)
	if err != nil {
		return err
	}
	if ok {
		if len(v) != 4 || binary.BigEndian.Uint32(v) != formatVersion {
			return fmt.Errorf("the data directory has format %x, and this ingestd knows %d: start the version that wrote it", v, formatVersion)
		}
		return nil
	}
	for f := range kv.Families {
		err := l.store.Iterate(f, nil, nil, false, func(k, _ []byte) error {
			return fmt.Errorf("the data directory holds keys (%q) and yet no format version: it is not one of ingestd's", k)
		})
		if err != nil {
			return err
		}
	}
	var b kv.Batch
	b.Put(kv.Meta, []byte(metaFormat), binary.BigEndian.AppendUint32(nil, formatVersion))
	return l.store.Write(&b, true)
}

func (l *Log) recoverTracks(w *writer) error {
	var found []*track
	err := l.store.Iterate(kv.Meta, []byte(metaTrack), afterPrefix(metaTrack), false, func(k, v []byte) error {
		if len(k) != len(metaTrack)+4 {
			return fmt.Errorf("%w: track key of %d bytes", ErrDamaged, len(k))
		}
		log, table, err := decodeTrack(v)
		if err != nil {
			return fmt.Errorf("%w: %v", ErrDamaged, err)
		}
		found = append(found, &track{id: Track(binary.BigEndian.Uint32(k[len(metaTrack):])), log: log, table: table, known: true})
		return nil
	})
	if err != nil {
		return err
	}
	for _, t := range found {
		if compareIDs(t.log, w.newest) > 0 {
			w.newest = t.log
		}
		w.nextTrack = max(w.nextTrack, t.id+1)
		t.share = l.shareOf(t.table.UUID)
		if err := l.recoverTrack(t); err != nil {
			return fmt.Errorf("track %d (log %v, table %s): %w", t.id, t.log, t.table.Name, err)
		}
		l.tracks[t.id], l.byTable[trackID{t.log, t.table.UUID}] = t, t
	}
	return l.recoverKeyed()
}

// recoverKeyed finds the tables that have idempotency keys in the store, at the cost of a look for each.
func (l *Log) recoverKeyed() error {
	if l.dedup == 0 {
		return nil
	}
	for table, s := range l.shares {
		err := l.store.Iterate(kv.Dedup, dedupKey(nil, table, nil), nil, false, func(k, _ []byte) error {
			s.keyed = bytes.HasPrefix(k, table[:])
			return kv.ErrStop
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// recoverTrack rebuilds a track's state from its records, its cuts and its index, and verifies them against each other.
func (l *Log) recoverTrack(t *track) error {
	v, ok, err := l.store.Get(kv.Meta, trackKey(metaState, t.id), nil)
	if err != nil {
		return err
	}
	s := &t.state
	if s.committed, s.low, err = decodeState(v); !ok || err != nil {
		return fmt.Errorf("%w: no watermarks (%v)", ErrDamaged, err)
	}
	cuts, err := l.listCuts(t.id, false)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	if safeguard.Off(safeguard.ReadBackKept) {
		s.committed = max(s.committed, s.low-1)
	}
	s.cut = s.committed
	for _, c := range cuts {
		if c.Last <= s.committed {
			continue
		}
		if (c.First > s.cut+1 || c.Last <= s.cut) && !safeguard.Off(safeguard.ReadBackKept) {
			return fmt.Errorf("%w: segment [%d, %d] does not follow %d", ErrDamaged, c.First, c.Last, s.cut)
		}
		s.cut = c.Last
	}
	ends, err := l.recoverIndex(t)
	if err != nil {
		return err
	}
	if s.low == 0 || s.low > s.committed+1 || s.cut > s.high {
		return fmt.Errorf("%w: low %d, committed %d, cut %d, high %d: events up to the highest of them were there once",
			ErrDamaged, s.low, s.committed, s.cut, s.high)
	}
	t.next = *s
	t.share.bytes += s.bytes
	tmp, dst := newBatch(l.cfg.Schema), newBatch(l.cfg.Schema)
	for _, e := range ends {
		if err := l.verifyBlock(t, e, dst, tmp); err != nil {
			return fmt.Errorf("%w: block [%d, %d] at position %d: %v", ErrDamaged, e.first, e.last(), e.position, err)
		}
	}
	return nil
}

// recoverIndex walks a track's index, sets what follows from it, and returns its first and its last entry.
func (l *Log) recoverIndex(t *track) (ends []indexEntry, err error) {
	s := &t.state
	s.high = s.low - 1
	err = l.store.Iterate(kv.Index, indexKey(nil, t.id, 0), indexKey(nil, t.id, math.MaxUint64), false, func(k, v []byte) error {
		_, e, err := decodeIndex(k, v)
		if err != nil {
			return fmt.Errorf("%w: %v", ErrDamaged, err)
		}
		if e.first != s.high+1 {
			return fmt.Errorf("%w: the index goes from event %d to event %d", ErrDamaged, s.high, e.first)
		}
		s.high = e.last()
		s.bytes += int64(e.length)
		l.space.restore(e.position, int64(e.length))
		if e.last() > s.cut {
			s.pending += rawShare(e, max(e.first, s.cut+1), e.last())
			if s.oldestPending == 0 {
				s.oldestPending = e.ingest
			}
		}
		if e.last() > s.committed && s.oldestUncommitted == 0 {
			s.oldestUncommitted = e.ingest
		}
		if len(ends) < 2 {
			ends = append(ends, e)
		} else {
			ends[1] = e
		}
		return nil
	})
	return ends, err
}

func (l *Log) verifyBlock(t *track, e indexEntry, dst, tmp *column.Batch) error {
	v, ok, err := l.store.Get(kv.Blocks, positionKey(nil, e.position), nil)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("it is missing")
	}
	h, err := decodeBlock(v, dst, tmp)
	if err != nil {
		return err
	}
	if h.track != t.id || h.first != e.first || h.count != int(e.count) || len(v) != int(e.length) {
		return fmt.Errorf("it is another one: %d events from %d of track %d", h.count, h.first, h.track)
	}
	return nil
}
