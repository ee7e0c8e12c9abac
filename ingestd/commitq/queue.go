// Package commitq carries commit requests from ingestd to a committer: InProcess to one in this process, SQS to those
// behind an SQS FIFO queue.
//
// Invariants: a queue promises nothing. It may lose a message, or deliver it late, twice or out of order; the table's
// watermark tells the sender what arrived, and the sender sends again. A queue's memory is bounded: it refuses when it
// is full. Messages of one group (a table) are handled one batch at a time; groups do not wait for each other.
//
// ship sends; main wires a queue to a committer's Handle.
package commitq

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"firn/commitlib"
)

// Message is one commit request on its way: its id is new for each sending, its group is the table.
type Message = commitlib.Message

// Queue takes messages for delivery.
type Queue interface {
	// Send hands over all messages or, with an error, possibly only the first few of them; ErrFull and ErrClosed take
	// none. It keeps no reference to the slice, but does to the bodies.
	Send(ctx context.Context, msgs []Message) error
}

// Settler is a Queue that keeps something for a request until its table has it.
type Settler interface {
	// Settled says that the table's watermark for the log has reached last. group is the messages'.
	Settled(ctx context.Context, group string, log uuid.UUID, last commitlib.Seq)
}

// Stats count what happened since the queue was made; Messages and Bytes are what it holds now.
type Stats struct {
	Sent, Handled, Redelivered, GivenUp, Refused uint64
	Messages                                     int
	Bytes                                        int64

	// Of SQS alone: calls that sent, those of them that were not carried out in full, those throttled, and requests that
	// went by way of the store.
	Calls, CallErrors, Throttled, Claims uint64
}

// Handler commits a batch of at most MaxBatch messages of one group, in order, and returns the ids of those that are to
// be delivered again. A handler that fails one message of a group returns also all that follow it.
type Handler func(ctx context.Context, msgs []Message) (failed []string)

// MaxBatch is the most messages that a handler gets at once: what a FIFO queue hands a function.
const MaxBatch = 10

// The refusals of Send.
var (
	ErrFull   = errors.New("commit queue is full")
	ErrClosed = errors.New("commit queue is closed")
)
