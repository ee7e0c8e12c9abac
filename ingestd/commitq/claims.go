package commitq

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"firn/commitlib"
)

const (
	// maxInline is the largest request that goes as a message, where the queue takes as much: ten of them, escaped once
	// more, fit the 6 MB that a function is handed.
	maxInline = 256 << 10

	// deadLetterRoom is left in each message for what is added when it becomes a dead letter: fifo's reason.
	deadLetterRoom = 2 << 10

	// maxClaims bounds the claims that are remembered for removal: 500 kB. What is forgotten goes by its age.
	maxClaims = 2048
)

// inline is how large a request may be to go as a message.
func (q *SQS) inline() int {
	most := q.to.MaxBytes()
	return min(maxInline, most-min(deadLetterRoom, most/8))
}

// noncharacters are the two characters that JSON takes as they are and SQS does not, with their escapes: in a valid request they
// can only stand within strings.
var noncharacters = [][2][]byte{{[]byte("\ufffe"), []byte(`\ufffe`)}, {[]byte("\uffff"), []byte(`\uffff`)}}

// fit returns the messages as SQS takes them: large requests are put into the store, and a small message goes in their
// place.
func (q *SQS) fit(ctx context.Context, msgs []Message) ([]Message, error) {
	fitted := make([]Message, len(msgs))
	for i, m := range msgs {
		for _, c := range noncharacters {
			if bytes.Contains(m.Body, c[0]) {
				m.Body = bytes.ReplaceAll(m.Body, c[0], c[1])
			}
		}
		if len(m.Body) > q.inline() {
			claim, err := commitlib.StoreClaim(ctx, q.store, m.Body)
			if err != nil {
				return nil, fmt.Errorf("request of %d bytes for table %s is too large for its queue: %w", len(m.Body), m.Group, err)
			}
			q.claims.add(m.Group, claim)
			m.Body = claim.Message
		}
		fitted[i] = m
	}
	return fitted, nil
}

// Settled says that the table's watermark for the log has reached last: what was kept for requests up to it is removed.
// It calls the store where there is something to remove, which is rare; an error costs an object that goes by its age.
func (q *SQS) Settled(ctx context.Context, group string, log uuid.UUID, last commitlib.Seq) {
	keys := q.claims.take(track{group, log}, last)
	if len(keys) == 0 {
		return
	}
	if err := q.store.Delete(ctx, keys...); err != nil {
		q.cfg.Logger.Info("claims of committed requests were not removed; they go by their age", "table", group, "claims", len(keys), "error", err)
	}
}

type track struct {
	group string
	log   uuid.UUID
}

// claims remembers what was put into the store, until the table has it.
type claims struct {
	mu    sync.Mutex // protects all that follows
	held  map[track][]heldClaim
	n     int
	total uint64 // stored so far
}

type heldClaim struct {
	key  string
	last commitlib.Seq
}

func (c *claims) add(group string, claim *commitlib.Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total++
	t := track{group, claim.Log}
	for _, h := range c.held[t] {
		if h.key == claim.Key { // sent again
			return
		}
	}
	if c.n == maxClaims {
		return
	}
	if c.held == nil {
		c.held = map[track][]heldClaim{}
	}
	c.n++
	c.held[t] = append(c.held[t], heldClaim{claim.Key, claim.Last})
}

// take forgets the track's claims up to last, and returns their keys.
func (c *claims) take(t track, last commitlib.Seq) (keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var keep []heldClaim
	for _, h := range c.held[t] {
		if h.last <= last {
			keys = append(keys, h.key)
		} else {
			keep = append(keep, h)
		}
	}
	c.n -= len(keys)
	if len(keep) == 0 {
		delete(c.held, t)
	} else {
		c.held[t] = keep
	}
	return keys
}

func (c *claims) count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}
