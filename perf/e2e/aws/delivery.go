package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"firn/perf/peer"
	"firn/perf/peer/runtimeapi"
)

const (
	// functionTime is what a function is told of its time: AWS's default for this function.
	functionTime = 30 * time.Second
	// strikeWithin is when after an invocation began its function is killed: a commit takes tens of milliseconds here.
	strikeWithin = 150 * time.Millisecond
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
	held   []heldCopy      // without delay: in the queue's order
	taken  int             // messages, to know that order
	groups map[string]bool // without delay: those of invocations under way
	busy   int             // invocations under way
	mercy  bool
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
	return &delivery{manner: how, t: t, rng: rand.New(rand.NewPCG(how.seed, 7)), groups: make(map[string]bool)}
}

// start runs the delivery until the test's end.
func (d *delivery) start() {
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	d.done.Go(func() { d.take(ctx) })
	for i := range d.functions {
		log := filepath.Join(d.t.TempDir(), fmt.Sprintf("function-%d.log", i))
		d.done.Go(func() { d.serve(ctx, log) })
	}
	d.t.Cleanup(d.end)
}

// end stops the delivery, and may be called again.
func (d *delivery) end() {
	d.stop()
	d.done.Wait()
}

// take moves messages from the queue to what is held.
func (d *delivery) take(ctx context.Context) {
	for ctx.Err() == nil {
		msgs, err := receive(d.sqs, d.queue)
		if err != nil {
			d.t.Errorf("receive: %v", err)
			return
		}
		d.add(msgs)
	}
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
			if i > 0 || d.rng.Float64() < astray {
				h.due = d.later()
			}
			d.hold(h)
		}
	}
}

// hold keeps a copy until it is due. The caller has the mutex.
func (d *delivery) hold(h heldCopy) {
	i, _ := slices.BinarySearchFunc(d.held, h, func(a, b heldCopy) int { return a.order - b.order })
	d.held = slices.Insert(d.held, i, h)
}

// later is when a copy that is to come late is due. The caller has the mutex.
func (d *delivery) later() time.Time {
	u := d.rng.Float64()
	return time.Now().Add(time.Duration(u * u * u * u * float64(d.delay)))
}

// serve is one execution environment after the other.
func (d *delivery) serve(ctx context.Context, log string) {
	var f *runtimeapi.Function
	defer func() {
		if f != nil {
			f.Kill()
		}
		if d.t.Failed() && f != nil {
			d.t.Logf("the end of a function's log:\n%s", f.Log(2000))
		}
	}()
	for ctx.Err() == nil {
		batch, strike := d.batch()
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond): // as often as an event source polls, and oftener
			}
			continue
		}
		if f == nil {
			var err error
			if f, err = runtimeapi.Launch(d.binary, log, d.env...); err != nil {
				d.t.Errorf("start a function: %v", err)
				return
			}
			d.mu.Lock()
			d.count.Starts++
			d.mu.Unlock()
		}
		if strike > 0 {
			time.AfterFunc(strike, f.Kill)
		}
		answer, err := f.Invoke(ctx, event(batch), functionTime)
		failed := d.settle(batch, answer, err, strike > 0)
		if err != nil || strike > 0 {
			f.Kill() // if it is not dead, it is about to be
			f = nil
		}
		if failed != nil && ctx.Err() == nil {
			d.t.Errorf("invoke: %v", failed)
			return
		}
	}
}

// batch picks up to ten copies and says when to kill the function that gets them; 0: not at all.
func (d *delivery) batch() (batch []heldCopy, strike time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	held := d.held
	if d.delay > 0 && d.rng.Float64() < astray {
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
		strike = 1 + time.Duration(d.rng.Int64N(int64(strikeWithin)))
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
			d.hold(h)
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
		d.hold(batch[i])
	}
	return nil
}

// again delivers messages that were taken from elsewhere, behind all others.
func (d *delivery) again(msgs []message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range msgs {
		d.taken++
		d.hold(heldCopy{message: m, order: d.taken})
	}
}

// spare ends the killing of functions.
func (d *delivery) spare() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mercy = true
}

// quiet waits until all that is held has been delivered.
func (d *delivery) quiet() {
	d.t.Helper()
	for end := time.Now().Add(quietTime); ; time.Sleep(50 * time.Millisecond) {
		d.mu.Lock()
		n := len(d.held) + d.busy
		d.mu.Unlock()
		if n == 0 {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("%d messages are still on their way after %v", n, quietTime)
		}
	}
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
