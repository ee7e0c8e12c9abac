package eventlog

import (
	"fmt"
	"time"

	"firn/commitlib/safeguard"
	"firn/ingestd/kv"
)

// sweepEvery is how often files are dropped although nothing was trimmed: a file that was still in memory, or in level
// 0, the time before has moved on since. Seconds do; the cost is one look at the list of files for each dead stretch.
const sweepEvery = 30 * time.Second

const (
	// maxTrimBlocks is how many blocks of a track one change trims; it bounds the memory of a trim after a long outage.
	maxTrimBlocks = 4096
	// When the zones with live blocks take this share of the disk bound, hot retention yields: it is a convenience for
	// readers, and must not refuse a producer.
	pressureNum, pressureDen = 3, 4
)

// Trim lets go of what the log need not keep, in this order, each step safe to be cut off by a crash:
//
//  1. Of each track, the blocks that are committed and older than the table's hot retention leave the
//     index: one synced batch, in which the low watermark rises. THE COMMIT POINT. The committed watermark
//     was synced before, by SetCommitted.
//  2. Tracks of older logs that hold nothing and owe nothing are forgotten. The greatest log id of the directory stays.
//  3. Idempotency keys whose window has passed are forgotten.
//  4. Files that hold nothing but dead positions are dropped. A crash before leaves garbage that the next Trim drops.
//  5. Where live blocks of a slow table pin files that are mostly dead, they are moved to the head.
//
// hot gives a table's hot retention; nil means none. Trim runs every few seconds; calls wait for each other.
func (l *Log) Trim(now time.Time, hot func(Table) time.Duration) error {
	l.trimming.Lock()
	defer l.trimming.Unlock()
	if l.cfg.Phase != nil {
		l.cfg.Phase("trim", true)
		defer l.cfg.Phase("trim", false)
	}
	l.hasRoom()
	trimmed := false
	for _, t := range l.allTracks() {
		keep := time.Duration(0)
		if hot != nil && !l.pressed() {
			keep = hot(t.table)
		}
		any, err := l.trimTrack(t, now.Add(-keep).UnixMicro())
		if err != nil {
			return fmt.Errorf("trim track %d: %w", t.id, err)
		}
		trimmed = trimmed || any
		if err := l.forgetTrack(t); err != nil {
			return fmt.Errorf("forget track %d: %w", t.id, err)
		}
	}
	if err := l.forgetKeys(now); err != nil {
		return err
	}
	if trimmed || now.Sub(l.swept) >= sweepEvery || now.Before(l.swept) {
		if err := l.dropFiles(); err != nil {
			return err
		}
		l.swept = now
	}
	return l.relocate()
}

func (l *Log) allTracks() []*track {
	l.mu.RLock()
	defer l.mu.RUnlock()
	list := make([]*track, 0, len(l.tracks))
	for _, t := range l.tracks {
		list = append(list, t)
	}
	return list
}

func (l *Log) pressed() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.space.pinned > l.cfg.MaxBytes/pressureDen*pressureNum
}

// trimTrack is step 1 for one track.
func (l *Log) trimTrack(t *track, before int64) (trimmed bool, err error) {
	for {
		s := l.durable(t)
		if s.low > s.committed {
			return trimmed, nil
		}
		var gone []indexEntry
		freed := int64(0)
		err := l.entries(t.id, s.low, func(e indexEntry) error {
			if e.last() > s.committed || e.ingest > before || len(gone) == maxTrimBlocks {
				return kv.ErrStop
			}
			gone = append(gone, e)
			freed += int64(e.length)
			return nil
		})
		if err != nil || len(gone) == 0 {
			return trimmed, err
		}
		low := gone[len(gone)-1].last() + 1
		err = l.do(&change{
			apply: func(w *writer) error {
				n := w.touch(t)
				n.low, n.bytes = low, n.bytes-freed
				// One by one: RocksDB's iterators look at every range deletion since the buffer was last written out,
				// which took 1 ms after 4,000 of them; single ones cost 6 µs, however many.
				for _, e := range gone {
					w.key = indexKey(w.key[:0], t.id, e.first)
					w.batch.Delete(kv.Index, w.key)
				}
				committed := n.committed
				if safeguard.Off(safeguard.ReadBackKept) {
					committed = 0
				}
				w.batch.Put(kv.Meta, trackKey(metaState, t.id), appendState(nil, committed, low))
				return nil
			},
			publish: func() {
				pinned := l.space.pinned
				for _, e := range gone {
					l.space.remove(e.position, int64(e.length))
				}
				if l.space.pinned < pinned {
					l.bound.drained()
				}
				t.share.bytes -= freed
				t.share.bound.drained()
				l.count.trimmed(len(gone))
			},
		})
		if err != nil {
			return trimmed, err
		}
		trimmed = true
	}
}

// forgetTrack is step 2 for one track.
func (l *Log) forgetTrack(t *track) error {
	l.mu.RLock()
	s := t.state
	done := t.log != l.current && s.low == s.high+1 && s.committed == s.high
	l.mu.RUnlock()
	if !done || safeguard.Off(safeguard.LogPerRun) {
		return nil
	}
	t.calls.Lock()
	defer t.calls.Unlock()
	return l.do(&change{
		apply: func(w *writer) error {
			w.batch.Delete(kv.Meta, trackKey(metaTrack, t.id))
			w.batch.Delete(kv.Meta, trackKey(metaState, t.id))
			return nil
		},
		publish: func() {
			delete(l.tracks, t.id)
			delete(l.byTable, trackID{t.log, t.table.UUID})
		},
	})
}

// forgetKeys is step 3.
func (l *Log) forgetKeys(now time.Time) error {
	for more := true; more; {
		err := l.do(&change{apply: func(w *writer) (err error) {
			more, err = w.forget(now.UnixMilli())
			return err
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// dropFiles is step 4.
func (l *Log) dropFiles() error {
	l.mu.RLock()
	gaps := l.space.dead()
	l.mu.RUnlock()
	for _, g := range gaps {
		if err := l.store.DropFiles(kv.Blocks, positionKey(nil, g[0]), positionKey(nil, g[1])); err != nil {
			return fmt.Errorf("trim: %w", err)
		}
	}
	return nil
}
