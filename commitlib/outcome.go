package commitlib

// Outcome is what became of one request.
type Outcome int

// The outcomes. Only Undecided leaves the message in the queue.
const (
	// Undecided: conflicts used up the attempts, or the outcome of a swap is unknown. Deliver it again.
	Undecided Outcome = iota
	// Applied: the request's events are in the snapshot that this commit made current.
	Applied
	// Skipped: the watermark covered the request already.
	Skipped
	// Dropped: a gap, an overlap, or too old; its sender re-sends from the watermark.
	Dropped
	// Rejected: it can never succeed on this table; the operator has to look.
	Rejected
)

func (o Outcome) String() string {
	if o < Undecided || o > Rejected {
		return "outcome out of range"
	}
	return [...]string{"undecided", "applied", "skipped", "dropped", "rejected"}[o]
}

// Result is one request's outcome and what its sender may want to know with it.
type Result struct {
	Outcome Outcome
	// SnapshotID is the snapshot that holds the range; 0 where there is none, or where it is no longer retained.
	SnapshotID int64
	// Watermark is the log's committed watermark in the state that decided.
	Watermark Seq
	// Reason says why for Dropped, Rejected and Undecided. Advice is what the operator may do about Rejected.
	Reason, Advice string
}
