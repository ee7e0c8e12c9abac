package eventlog

import (
	"fmt"

	"firn/ingestd/kv"
)

// A table that is stuck keeps its blocks, and each of them the zone that it lies in, while the tables beside it come
// and go: a few bytes could pin the whole disk bound. So when more than a quarter of the bound is pinned by dead bytes,
// the live blocks of the sparsest zones are written again at the head, and their old zones become free. This costs
// writes only while something is stuck, and never more than the dead bytes that it frees.
const (
	garbageDen  = 4 // start above MaxBytes / 4 …
	restDen     = 8 // … and stop below MaxBytes / 8
	moveBytes   = 1 << 20
	moveAtOnce  = 256 // blocks
	movesPerRun = 64  // zones
)

// relocate is step 5 of Trim.
func (l *Log) relocate() error {
	for limit, n := l.cfg.MaxBytes/garbageDen, 0; n < movesPerRun; n++ {
		l.mu.RLock()
		garbage := l.space.pinned - l.space.live
		lo, hi, ok := l.space.sparsest()
		l.mu.RUnlock()
		if garbage <= limit || !ok {
			return nil
		}
		limit = l.cfg.MaxBytes / restDen
		if err := l.clear(lo, hi); err != nil {
			return fmt.Errorf("move blocks of a slow table: %w", err)
		}
		if err := l.dropFiles(); err != nil {
			return err
		}
	}
	return nil
}

// clear moves the live blocks at positions [lo, hi) to the head.
func (l *Log) clear(lo, hi int64) error {
	for lo < hi {
		var found []liveBlock
		next := hi
		err := l.store.Iterate(kv.Blocks, positionKey(nil, lo), positionKey(nil, hi), false, func(k, v []byte) error {
			pos, ok := keyPosition(k)
			if !ok {
				return fmt.Errorf("a block's key has %d bytes", len(k))
			}
			if len(found) == moveAtOnce {
				next = pos
				return kv.ErrStop
			}
			h, err := parseHeader(v)
			if err != nil {
				return nil // dead, or the index says otherwise and reading it reports it
			}
			found = append(found, liveBlock{track: h.track, entry: indexEntry{first: h.first, position: pos}})
			return nil
		})
		if err != nil {
			return err
		}
		if err := l.move(found); err != nil {
			return err
		}
		lo = next
	}
	return nil
}

type liveBlock struct {
	track Track
	entry indexEntry
	block []byte
}

// move writes those of the blocks that the index refers to again at the head, in batches of about moveBytes.
func (l *Log) move(found []liveBlock) error {
	var batch []liveBlock
	size := 0
	send := func() error {
		if len(batch) == 0 {
			return nil
		}
		moved := batch
		batch, size = nil, 0
		return l.do(&change{
			apply: func(w *writer) error {
				for _, b := range moved {
					e := b.entry
					e.position = w.head
					w.putBlock(e, b.track, b.block)
				}
				return nil
			},
			publish: func() {
				for _, b := range moved {
					l.space.remove(b.entry.position, int64(len(b.block)))
					l.space.add(int64(len(b.block)))
					l.count.relocated(len(b.block))
				}
			},
		})
	}
	for _, b := range found {
		v, ok, err := l.store.Get(kv.Index, indexKey(nil, b.track, b.entry.first), nil)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		_, e, err := decodeIndex(indexKey(nil, b.track, b.entry.first), v)
		if err != nil {
			return err
		}
		if e.position != b.entry.position {
			continue // an old place of a block that was moved before
		}
		block, ok, err := l.store.Get(kv.Blocks, positionKey(nil, e.position), nil)
		if err != nil {
			return err
		}
		if !ok || len(block) != int(e.length) {
			return fmt.Errorf("block at position %d of track %d is missing", e.position, b.track)
		}
		batch = append(batch, liveBlock{track: b.track, entry: e, block: block})
		if size += len(block); size >= moveBytes {
			if err := send(); err != nil {
				return err
			}
		}
	}
	return send()
}
