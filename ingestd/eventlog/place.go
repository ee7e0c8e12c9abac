package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/google/uuid"

	"firn/commitlib/safeguard"
	"firn/ingestd/kv"
)

// add gives one append its place in the order and puts it into the batch, or refuses it: step 2 of the protocol.
func (w *writer) add(r *request) {
	dropped, err := w.decide(r)
	if err == nil && r.result.Accepted > 0 {
		if err = r.room.Full(); err == nil {
			err = w.admit(r)
		}
	}
	if err == nil && r.result.Accepted > 0 {
		err = w.store(r, dropped)
	}
	if err != nil {
		r.result, r.err = Appended{}, err
	}
}

// admit checks the bounds, with what the group has taken so far.
func (w *writer) admit(r *request) error {
	l, n := w.l, int64(len(r.block)+8*((r.rows+63)/64))
	switch share := l.shares[r.table.UUID]; {
	case n > math.MaxUint32 || r.raw > math.MaxUint32:
		return &Refusal{Reason: ErrTooLarge}
	case !l.hasRoom():
		return &Refusal{ErrDiskFull, retryDisk}
	case l.space.pinned+w.grown+n > l.cfg.MaxBytes:
		return l.bound.refuse(ErrFull, l.cfg.Clock())
	case share != nil && share.bytes+share.group+n > l.cfg.MaxTableBytes:
		return share.bound.refuse(ErrTableFull, l.cfg.Clock())
	case share == nil && n > l.cfg.MaxTableBytes:
		return &Refusal{ErrTableFull, maxRetry}
	}
	return nil
}

// store assigns the sequences and writes the block, its index entry and its keys into the batch.
func (w *writer) store(r *request, dropped []uint64) error {
	t, err := w.trackOf(r.table)
	if err != nil {
		return err
	}
	first := t.next.high + 1
	last := first + Seq(r.result.Accepted) - 1
	r.block = place(r.block, t.id, first, dropped)
	r.track = t
	r.index = indexEntry{
		first: first, position: w.head, count: uint32(r.result.Accepted), raw: uint32(r.raw),
		ingest: r.ingest, length: uint32(len(r.block)),
	}
	if err := w.remember(r, t, first, dropped); err != nil {
		return err
	}
	w.putBlock(r.index, t.id, r.block)
	n := w.touch(t)
	n.high, n.bytes, n.pending = last, n.bytes+int64(len(r.block)), n.pending+int64(r.raw)
	if n.oldestPending == 0 {
		n.oldestPending = r.ingest
	}
	if n.oldestUncommitted == 0 {
		n.oldestUncommitted = r.ingest
	}
	t.share.group += int64(len(r.block))
	w.grown += int64(len(r.block))
	r.result.Log, r.result.Track, r.result.First, r.result.Last = t.log, t.id, first, last
	w.accepted = append(w.accepted, r)
	return nil
}

// putBlock adds a block at the head, and the entry that says so.
func (w *writer) putBlock(e indexEntry, t Track, block []byte) {
	w.key = positionKey(w.key[:0], e.position)
	w.batch.Put(kv.Blocks, w.key, block)
	w.key = indexKey(w.key[:0], t, e.first)
	w.value = e.append(w.value[:0])
	w.batch.Put(kv.Index, w.key, w.value)
	w.head += int64(len(block))
}

// trackOf returns the table's track in the open log. The first append of a run mints the log, the first of a table its
// track; both records go into the same batch as the append.
func (w *writer) trackOf(table Table) (*track, error) {
	if !w.open {
		if err := w.mint(); err != nil {
			return nil, err
		}
	}
	if !w.durable {
		w.batch.Put(kv.Meta, []byte(metaNewestLog), w.log[:])
	}
	id := trackID{w.log, table.UUID}
	t := w.l.byTable[id]
	for i := 0; t == nil && i < len(w.touched); i++ {
		if have := w.touched[i]; have.log == w.log && have.table.UUID == table.UUID {
			t = have
		}
	}
	if t != nil {
		return t, nil
	}
	if w.nextTrack == math.MaxUint32 {
		return nil, errors.New("append: all track numbers of this directory are used: start with a new one")
	}
	share := w.l.shareOf(table.UUID)
	t = &track{id: w.nextTrack, log: w.log, table: table, share: share}
	w.nextTrack++
	w.batch.Put(kv.Meta, trackKey(metaTrack, t.id), appendTrack(nil, t.log, t.table))
	w.batch.Put(kv.Meta, trackKey(metaState, t.id), appendState(nil, 0, 1))
	w.batch.Put(kv.Meta, []byte(metaNextTrack), binary.BigEndian.AppendUint32(nil, uint32(w.nextTrack)))
	w.touch(t).low = 1
	return t, nil
}

// shareOf finds or makes the count of a table's bytes. It is called by Open and by the writer.
func (l *Log) shareOf(table uuid.UUID) *share {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shares[table]
	if s == nil {
		s = &share{}
		l.shares[table] = s
	}
	return s
}

// mint starts this run's log. Its id is greater than all in the directory, whatever the clock says:
// two runs never share a log, so that a restored or copied directory cannot give a second event a
// sequence that the table already counts.
func (w *writer) mint() error {
	if safeguard.Off(safeguard.LogPerRun) && w.newest != uuid.Nil {
		w.log, w.open, w.durable = w.newest, true, true
		return nil
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("mint log id: %w", err)
	}
	ms := max(w.l.cfg.Clock().UnixMilli(), 0)
	if newest := idMillis(w.newest); newest >= ms && w.newest != uuid.Nil {
		ms = newest + 1
	}
	if bits.Len64(uint64(ms)) > 48 {
		return fmt.Errorf("mint log id: the newest log of this directory, %v, is the last possible: start with a new directory", w.newest)
	}
	var be [8]byte
	binary.BigEndian.PutUint64(be[:], uint64(ms))
	copy(id[:6], be[2:])
	id[6] = 0x70 | id[6]&0x0f // version 7; the variant is NewRandom's
	w.log, w.open = id, true
	return nil
}

// idMillis is the time in a UUIDv7.
func idMillis(id uuid.UUID) int64 {
	return int64(binary.BigEndian.Uint64(append([]byte{0, 0}, id[:6]...)))
}
