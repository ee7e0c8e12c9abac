package e2e

import (
	"bytes"
	"maps"
	"sync"
)

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
	mu     sync.Mutex // events, their fates, count
	events []*sent
	count  [refused + 1]int // of events by their fate, the open ones left out
	causes map[string]int   // of refused requests, by what their answers say
}

// padding begins what makes a payload large.
const padding = `,"pad":"`

// NewLedger makes an empty one.
func NewLedger() *Ledger { return &Ledger{causes: map[string]int{}} }

func (l *Ledger) note(es ...*sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, es...)
}

// fateLocked settles an open event.
func (l *Ledger) fateLocked(s *sent, f fate) {
	s.fate = f
	l.count[f]++
	if f == refused {
		// An outage refuses gigabytes. Without its padding the event, should it be in a table, is one that nobody sent.
		if head, _, padded := bytes.Cut(s.Payload, []byte(padding)); padded {
			s.Payload = bytes.Clone(head)
		}
	}
}

// Acked is how many events have been acked so far.
func (l *Ledger) Acked() int { return l.counted(acked) }

// Refused is how many events the daemons have refused so far.
func (l *Ledger) Refused() int { return l.counted(refused) }

// Refusals is how many requests the daemons have refused so far, by the code in the answer.
func (l *Ledger) Refusals() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.causes)
}

func (l *Ledger) counted(f fate) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count[f]
}
