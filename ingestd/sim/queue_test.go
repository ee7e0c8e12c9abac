package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/objstore"
	"firn/ingestd/commitq"
)

// queue keeps no promise but one: what it delivers was sent. It drops, doubles, delays and reorders.
type queue struct {
	w      *world
	wait   []*delivery // those that a committer may take
	flying map[*delivery]int
	ready  chan struct{}
	last   time.Time            // when the last delivery under way arrives
	lost   map[string]time.Time // claims, by their key, that somebody removed, and when
	closed bool
	n      int
}

// delivery is one copy of a message.
type delivery struct {
	msg   commitlib.Message
	req   *commitlib.Request
	claim string // the key where the request lies; empty: in the message
	tries int
}

// maxTries is how often a message is delivered until the queue gives it up.
const maxTries = 8

// senderQueue is the queue as a node sees it.
type senderQueue struct {
	q      *queue
	p      *process
	store  objstore.Store     // as the node has it: for requests that do not fit a message
	inner  *commitq.InProcess // takes the messages instead, where daemons commit for themselves
	claims []*commitlib.Claim
}

var errQueue = errors.New("queue is unreachable")

// Send implements commitq.Queue.
func (s *senderQueue) Send(_ context.Context, msgs []commitq.Message) error {
	if err := s.p.enter(); err != nil {
		return err
	}
	w := s.q.w
	for _, m := range msgs {
		req, err := commitlib.Decode(m.Body)
		if err != nil {
			w.bad("a node sent what is no request: %v", err)
			continue
		}
		s.q.n++
		m.ID = fmt.Sprintf("m%d", s.q.n)
		if s.inner != nil {
			w.step("handed over %s [%d, %d] of %s to %s", m.ID, req.First, req.Last, w.label("L", req.Log), m.Group)
			if err := s.inner.Send(context.Background(), []commitq.Message{m}); err != nil {
				return err
			}
			continue
		}
		d := &delivery{msg: m, req: req}
		if s.q.n%3 == 0 {
			if d.msg.Body, d.claim, err = s.claim(m); err != nil {
				return err
			}
		}
		copies, err := w.mail()
		for _, delay := range copies {
			s.q.post(d, delay)
		}
		w.step("sent %s [%d, %d] of %s to %s: arrives after %v %v", m.ID, req.First, req.Last, w.label("L", req.Log), m.Group, copies, orNil(err))
		if err != nil {
			return err
		}
	}
	return nil
}

// claim puts a request aside, as one that is too large for a message. Now and then somebody removes one that is still
// needed: whoever goes by age may find the wrong one.
func (s *senderQueue) claim(m commitq.Message) (body []byte, key string, err error) {
	w := s.q.w
	claim, err := commitlib.StoreClaim(context.Background(), s.store, m.Body)
	if err != nil {
		return nil, "", err
	}
	w.step("claimed %s", m.ID)
	s.claims = append(s.claims, claim)
	if s.q.n%4 == 0 && !w.over {
		w.step("a claim is gone")
		w.inCalm(func() { err = w.store.Delete(context.Background(), s.claims[0].Key) })
		s.q.lost[s.claims[0].Key] = time.Now()
		if err != nil {
			w.bad("remove a claim: %v", err)
		}
		s.claims = s.claims[1:]
	}
	return claim.Message, claim.Key, nil
}

// Settled implements commitq.Settler.
func (s *senderQueue) Settled(ctx context.Context, group string, log uuid.UUID, last commitlib.Seq) {
	for i := 0; i < len(s.claims); {
		if c := s.claims[i]; c.Log != log || c.Last > last {
			i++
			continue
		}
		_ = s.store.Delete(ctx, s.claims[i].Key) // one that stays harms nobody
		s.claims = slices.Delete(s.claims, i, i+1)
	}
}

func orNil(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// mail decides about one message: after which delays it arrives, and what its sender is told.
func (w *world) mail() (copies []time.Duration, err error) {
	defer w.turn()()
	if time.Now().Before(w.dark) && !w.over {
		return nil, nil
	}
	soon := func() time.Duration { return w.fateful(time.Millisecond, 80*time.Millisecond) }
	if w.over || !w.chance(w.lossy) {
		return []time.Duration{soon()}, nil
	}
	late := func() time.Duration {
		switch w.fate.IntN(6) {
		case 0:
			return w.fateful(time.Minute, 30*time.Minute)
		case 1:
			return w.fateful(time.Hour, 30*time.Hour)
		}
		return w.fateful(time.Second, time.Minute)
	}
	switch w.fate.IntN(6) {
	case 0:
		return nil, nil // lost
	case 1:
		return []time.Duration{soon(), soon()}, nil
	case 2:
		return []time.Duration{soon(), late()}, nil
	case 3:
		return nil, errQueue
	case 4:
		return []time.Duration{soon()}, errQueue // the answer is lost
	}
	return []time.Duration{late()}, nil
}

// post delivers d after a delay.
func (q *queue) post(d *delivery, delay time.Duration) {
	defer q.w.turn()()
	if at := time.Now().Add(delay); at.After(q.last) {
		q.last = at
	}
	q.flying[d]++
	time.AfterFunc(delay, func() {
		defer q.w.turn()()
		q.flying[d]--
		if q.closed {
			return
		}
		q.wait = append(q.wait, d)
		q.ready <- struct{}{}
	})
}

// everything lists the deliveries that wait, fly or are in a committer's hands.
func (q *queue) everything() []*delivery {
	defer q.w.turn()()
	all := slices.Clone(q.wait)
	for d, n := range q.flying {
		if n > 0 {
			all = append(all, d)
		}
	}
	for _, c := range q.w.committers {
		all = append(all, c.inHand...)
	}
	return all
}

// longest is the time until nothing is on its way any more.
func (q *queue) longest() time.Duration { return max(0, time.Until(q.last)) + time.Second }

// take hands out a batch of one group in any order, or nothing.
func (q *queue) take() []*delivery {
	defer q.w.turn()()
	if len(q.wait) == 0 {
		return nil
	}
	w := q.w
	i := w.fate.IntN(len(q.wait))
	group := q.wait[i].msg.Group
	size := commitq.MaxBatch
	if !w.over && w.fate.IntN(2) == 0 {
		size = 1 + w.fate.IntN(3)
	}
	batch := []*delivery{q.wait[i]}
	q.wait = slices.Delete(q.wait, i, i+1)
	for i = 0; i < len(q.wait) && len(batch) < size; {
		if q.wait[i].msg.Group != group {
			i++
			continue
		}
		batch = append(batch, q.wait[i])
		q.wait = slices.Delete(q.wait, i, i+1)
	}
	if w.lossy > 0 {
		w.fate.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	}
	return batch
}

// give takes back what a committer did with a batch: the failed ones come again, and now and then one that did not
// fail.
func (q *queue) give(batch []*delivery, failed func(id string) bool) {
	w := q.w
	defer w.turn()()
	for _, d := range batch {
		again := failed(d.msg.ID)
		if !again && (w.over || !w.chance(w.lossy/8)) {
			continue
		}
		d.tries++
		if d.tries >= maxTries {
			w.step("gave up message %s", d.msg.ID)
			continue
		}
		q.post(d, min(30*time.Second, 100*time.Millisecond<<d.tries)+w.fateful(1, time.Second))
	}
}
