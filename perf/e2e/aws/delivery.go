package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"firn/perf/peer"
	"firn/perf/peer/runtimeapi"
)

const (
	// functionTime is the function's time-out: what each invocation is told of its deadline.
	functionTime = 30 * time.Second
	// firstMean is what an invocation is taken to last until some have been seen.
	firstMean = 50 * time.Millisecond
	// astray is the share of messages, and of batches, that are out of order. Each behind a missing one is dropped, and
	// its sender sends again after half a minute: with too many of them that is all there is to see.
	astray = 0.15
	// againAfter stands for a queue's visibility time-out: what a function wants again comes after it.
	againAfter = time.Second
	// quietTime bounds the wait for all that is held to be delivered.
	quietTime = 2 * time.Minute
)

// manner is how unkind a delivery is.
type manner struct {
	functions int // at the same time
	copies    int // a message is delivered 1 to so many times, besides what a function wants again
	// delay is how long a copy waits at most; the first one of most messages does not. Without it delivery is FIFO as
	// Lambda's event source is: a group's messages come in order, and in one invocation at a time; what a function
	// wants again stays in its place.
	delay  time.Duration
	strike float64 // share of invocations in whose midst the function is killed
	seed   uint64
}

// delivery takes messages from the queue for good, holds them, and invokes functions with them. Each message is handled
// well at least once; a function that dies, or that wants messages again, gets them again.
type delivery struct {
	manner
	t      testing.TB
	sqs    *peer.AWSServer
	queue  string
	binary string
	env    []string
	stop   context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex // what follows
	rng    *rand.Rand
	held   []heldCopy      // in the queue's order
	taken  int             // messages, to know that order
	groups map[string]bool // without delay: those of invocations under way
	busy   int             // invocations under way
	mercy  bool            // from spare on
	mean   time.Duration   // that an invocation lasts, of late
	count  deliveryCount
}

// heldCopy is one copy of a message on its way.
type heldCopy struct {
	message
	due   time.Time
	order int
}

// message is one of the queue's, as SQS gives it.
type message struct {
	MessageId         string
	ReceiptHandle     string
	Body              string
	Attributes        map[string]string
	MessageAttributes map[string]any
}

// deliveryCount is what a delivery has seen.
type deliveryCount struct {
	Messages    int // taken from the queue
	Invocations int
	Delivered   int // copies handed to functions
	Again       int // copies that a function wanted again
	Killed      int // invocations whose function was killed
	Starts      int // of functions
}

// newDelivery makes one that stands still.
func newDelivery(t testing.TB, how manner) *delivery {
	return &delivery{manner: how, t: t, rng: rand.New(rand.NewPCG(how.seed, 7)), groups: make(map[string]bool), mean: firstMean}
}

// add makes copies of new messages.
func (d *delivery) add(msgs []message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count.Messages += len(msgs)
	for _, m := range msgs {
		d.taken++
		for i := range 1 + d.rng.IntN(d.copies) {
			h := heldCopy{message: m, order: d.taken}
			if i > 0 || !d.mercy && d.rng.Float64() < astray {
				h.due = d.laterLocked()
			}
			d.holdLocked(h)
		}
	}
}

// holdLocked keeps a copy until it is due.
func (d *delivery) holdLocked(h heldCopy) {
	i, _ := slices.BinarySearchFunc(d.held, h, func(a, b heldCopy) int { return a.order - b.order })
	d.held = slices.Insert(d.held, i, h)
}

// laterLocked is when a copy that is to come late is due.
func (d *delivery) laterLocked() time.Time {
	u := d.rng.Float64()
	return time.Now().Add(time.Duration(u * u * u * u * float64(d.delay)))
}

// batch picks up to ten copies and says when to kill the function that gets them; 0: not at all.
func (d *delivery) batch() (batch []heldCopy, strike time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	held := d.held
	if d.delay > 0 && !d.mercy && d.rng.Float64() < astray {
		held = slices.Clone(held)
		d.rng.Shuffle(len(held), func(i, j int) { held[i], held[j] = held[j], held[i] })
	}
	var kept []heldCopy
	n := 1 + d.rng.IntN(10)
	blocked := maps.Clone(d.groups)
	for _, h := range held {
		// SQS does not hand out one message twice in a batch.
		if len(batch) < n && !h.due.After(now) && !blocked[h.group()] && index(batch, h.MessageId) < 0 {
			batch = append(batch, h)
			continue
		}
		kept = append(kept, h)
		if d.delay == 0 {
			blocked[h.group()] = true // the group's order
		}
	}
	slices.SortFunc(kept, func(a, b heldCopy) int { return a.order - b.order })
	d.held = kept
	if len(batch) == 0 {
		return nil, 0
	}
	d.busy++
	if d.delay == 0 {
		for _, h := range batch {
			d.groups[h.group()] = true
		}
	}
	if !d.mercy && d.rng.Float64() < d.strike {
		strike = 1 + time.Duration(d.rng.Int64N(int64(d.mean*3/2)))
	}
	return batch, strike
}

// settle holds again what was not handled well. It returns what no function may answer.
func (d *delivery) settle(batch []heldCopy, answer runtimeapi.Answer, err error, struck bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy--
	for _, h := range batch {
		delete(d.groups, h.group())
	}
	d.count.Invocations++
	d.count.Delivered += len(batch)
	if err != nil {
		for _, h := range batch {
			h.due = time.Now().Add(againAfter)
			d.holdLocked(h)
		}
		if struck && errors.Is(err, runtimeapi.ErrDied) {
			d.count.Killed++
			return nil
		}
		return err
	}
	var out struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(answer.Body, &out); err != nil || answer.Failed || out.Failures == nil {
		return fmt.Errorf("answered %.500s (%v)", answer.Body, err)
	}
	for _, f := range out.Failures {
		i := index(batch, f.ID)
		if i < 0 {
			return fmt.Errorf("answered with a message that it did not get: %.500s", answer.Body)
		}
		d.count.Again++
		batch[i].due = time.Now().Add(againAfter)
		d.holdLocked(batch[i])
	}
	return nil
}

// lasted notes how long an invocation took, so that strikes fall into the midst of them on any machine.
func (d *delivery) lasted(took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mean += (took - d.mean) / 8
}

// again delivers messages that were taken from elsewhere, behind all others.
func (d *delivery) again(msgs []message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range msgs {
		d.taken++
		d.holdLocked(heldCopy{message: m, order: d.taken})
	}
}

// spare ends the killing of functions and the disorder: each message that is sent again for it costs half a minute.
// Late copies still come.
func (d *delivery) spare() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mercy = true
}

// counts is what has been seen so far.
func (d *delivery) counts() deliveryCount {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

// group is a message's own.
func (m message) group() string { return m.Attributes["MessageGroupId"] }

// index is a message's place in a batch, or -1.
func index(batch []heldCopy, id string) int {
	return slices.IndexFunc(batch, func(h heldCopy) bool { return h.MessageId == id })
}
