package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// Append is one batch to be appended.
type Append struct {
	Table      Table
	Batch      *column.Batch // over Config.Schema: &b.Batch of an event.Batch; not kept once Append returned
	ReceivedAt time.Time     // becomes the events' ingest time
	Room       Room          // what Reserve gave, if it was asked
	Lender     Lender        // nil: whoever lent Batch waits until Append has returned
}

// Lender is told, within Append, that the batch has become a block of so many bytes and is not needed any more, so that
// what waits for a sync holds no more than its block.
type Lender interface {
	Encoded(blockBytes int)
}

// Appended is what an append did.
type Appended struct {
	Log         uuid.UUID
	Track       Track // 0 when nothing was stored
	First, Last Seq   // of the events accepted; when all were duplicates, what the first and the last of them got at first
	Accepted    int
	Duplicates  int // events whose key was known, or came before in the same batch
}

// request is an append on its way through the writer. The caller and the writer share nothing of it but done.
type request struct {
	table  Table
	room   Room
	block  []byte // nil: the room is full, so that it is stored in no case
	rows   int
	raw    int
	ingest int64
	keys   *column.Vector // a copy of the idempotency keys; nil: none

	result Appended
	err    error
	track  *track
	index  indexEntry
	grows  int64 // bytes that its new keys add to Dedup
	done   chan struct{}
}

// keyWeight is what a key takes of a group beside its bytes: its record in the batch, its claim,
// and its place in the set of one request.
const keyWeight = 160 // bytes

// weight is what the request takes of MaxGroupBytes. Keys count apart from the block, where they compress:
// the group holds each about three times.
func (r *request) weight() int {
	n := len(r.block)
	if r.keys != nil {
		n += 3*len(r.keys.Data) + keyWeight*r.rows
	}
	return n
}

// Append stores the batch's events behind all earlier ones of the table, all of them or none, and returns
// once they are durable. Events whose idempotency key is known are not stored again. A *Refusal says that
// nothing was stored, and why; when ctx ends while the append is with the writer the outcome is unknown, and
// a retry with idempotency keys finds out.
func (l *Log) Append(ctx context.Context, a Append) (Appended, error) {
	if err := l.enter(); err != nil {
		return Appended{}, err
	}
	defer l.inside.Done()
	keys := a.Batch.Col(iceberg.FieldIdempotencyKey)
	if keys != nil && keys.Nulls(a.Batch.Len) == a.Batch.Len {
		keys = nil
	}
	if err := l.refuseEarly(a, keys != nil); err != nil {
		l.count.refuse(err)
		return Appended{}, err
	}
	r := &request{table: a.Table, room: a.Room, rows: a.Batch.Len, ingest: a.ReceivedAt.UnixMicro(), done: make(chan struct{})}
	var err error
	if r.room.full == nil {
		if r.block, r.raw, err = encodeBlock(a.Batch, r.ingest); err != nil {
			return Appended{}, &Refusal{Reason: err}
		}
	}
	if keys != nil {
		if r.keys, err = copyKeys(keys, a.Batch.Len); err != nil {
			return Appended{}, err
		}
	}
	if a.Lender != nil {
		a.Lender.Encoded(len(r.block))
	}
	select {
	case l.appends <- r:
	case <-ctx.Done():
		return Appended{}, fmt.Errorf("append: nothing stored: %w", ctx.Err())
	}
	select {
	case <-r.done:
		return r.result, r.err
	case <-ctx.Done():
		return Appended{}, fmt.Errorf("append: outcome unknown: %w", ctx.Err())
	}
}

// copyKeys makes the writer independent of the caller's batch, which may be released when ctx ends.
func copyKeys(keys *column.Vector, n int) (*column.Vector, error) {
	c := &column.Vector{Kind: column.Bytes}
	if err := c.Append(keys, 0, n); err != nil {
		return nil, fmt.Errorf("append: copy idempotency keys: %w", err)
	}
	return c, nil
}

// enter admits a caller; every one that it admitted calls inside.Done.
func (l *Log) enter() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.broken != nil {
		return l.broken
	}
	if l.closed {
		return ErrClosed
	}
	l.inside.Add(1)
	return nil
}

// refuseEarly spares an append that the writer would refuse from being encoded. The writer decides again, exactly; an
// append with keys may be a retry that needs no room, so only the writer refuses it for want of that.
func (l *Log) refuseEarly(a Append, keyed bool) error {
	if !l.hasRoom() {
		return &Refusal{ErrDiskFull, retryDisk}
	}
	if keyed {
		return nil
	}
	if err := a.Room.Full(); err != nil || a.Room.bytes > 0 {
		return err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.space.pinned >= l.cfg.MaxBytes {
		return l.bound.refuse(ErrFull, l.cfg.Clock())
	}
	if s := l.shares[a.Table.UUID]; s != nil && s.bytes >= l.cfg.MaxTableBytes {
		return s.bound.refuse(ErrTableFull, l.cfg.Clock())
	}
	return nil
}
