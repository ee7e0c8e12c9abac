package e2e

import "sync"

// fate is what a producer knows about an event.
type fate int

const (
	open    fate = iota // no answer: in the table once or not at all
	acked               // in the table once, under the sequence of the ack
	refused             // the daemon said that it stored nothing
)

// sent is one event and its fate.
type sent struct {
	Event
	table string
	fate  fate
	id    ID   // of an acked event
	again bool // sent again after the daemon's death, so that its place among the others is free
}

// Ledger is what all producers together know; payloads are unique, so that a row of a table is known by its payload.
// Safe for concurrent use while producers run; it is judged when they have ended.
type Ledger struct {
	mu     sync.Mutex // events, and their fates
	events []*sent
}

// NewLedger makes an empty one.
func NewLedger() *Ledger { return &Ledger{} }

func (l *Ledger) note(es ...*sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, es...)
}

// Acked is how many events have been acked so far.
func (l *Ledger) Acked() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.events {
		if s.fate == acked {
			n++
		}
	}
	return n
}

// Refused is how many events the daemons have refused so far.
func (l *Ledger) Refused() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.events {
		if s.fate == refused {
			n++
		}
	}
	return n
}
