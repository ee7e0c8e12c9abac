package main

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"firn/commitlib"
	"firn/commitlib/fifo"
)

const (
	// pollParallel bounds the batches under way: each is for tables of its own, since a queue hands out a message group
	// to one batch at a time. Four keep commits' round trips overlapped; a batch of the largest requests takes 200 MB, any
	// usual one a few.
	pollParallel = 4

	// pollWait is how long one call waits for messages. SQS takes 20 s; but a call that is broken off may take its
	// messages with it, hidden from everyone for the visibility timeout, so that stopping waits for the call instead.
	pollWait = 10 * time.Second

	// batchTime bounds one batch, as a function's time-out does.
	batchTime = time.Minute

	// stopTime is what batches under way get to finish after a signal. With pollWait it fits the 30 s that most
	// supervisors give.
	stopTime = 10 * time.Second

	// pollRest is the least between two calls of which the first brought nothing: a server that knows no long poll answers
	// at once, and each call costs.
	pollRest = time.Second

	// pollBackoff bounds the wait before the queue is asked again after it did not answer.
	pollBackoff = 30 * time.Second
)

// queue is fifo.Queue as the poller sees it.
type queue interface {
	Receive(ctx context.Context, max int, wait time.Duration) ([]fifo.Received, error)
	Delete(ctx context.Context, msgs []fifo.Received) error
	Extend(ctx context.Context, msgs []fifo.Received, d time.Duration) error
}

// poller does for the handler what Lambda's event source does:
//
//  1. Receive up to ten messages. The queue hides them, and all that follows them in their groups, until they are
//     deleted or the visibility timeout passes: groups keep their order, whoever else polls.
//  2. While they are handled, hide them anew each time half of the timeout has passed.
//  3. Delete what is done with.
//  4. Have the rest delivered again: after a while that doubles with the number of deliveries, or at once when this
//     process stops.
//
// A crash after any step leaves messages that are delivered again when the visibility timeout has passed; what was
// committed is skipped then.
type poller struct {
	queue      queue
	visibility time.Duration // the queue's timeout
	handle     func(ctx context.Context, msgs []commitlib.Message) (again []string)
	log        *slog.Logger
}

// run polls until ctx ends, and returns when the batches under way are done with or stopTime has passed.
func (p *poller) run(ctx context.Context) {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopTime, cancel) })()

	var batches sync.WaitGroup
	defer batches.Wait()
	slots := make(chan struct{}, pollParallel)
	for failed := 0; ; {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return
		}
		asked := time.Now()
		msgs, err := p.queue.Receive(context.WithoutCancel(ctx), fifo.MaxBatch, pollWait)
		if err != nil {
			<-slots
			failed++
			p.waitFor(ctx, failed, err)
			continue
		}
		if failed > 0 {
			p.log.Info("the queue answers again", "errors", failed)
			failed = 0
		}
		if len(msgs) == 0 {
			<-slots
			select {
			case <-time.After(pollRest - time.Since(asked)):
			case <-ctx.Done():
			}
			continue
		}
		batches.Go(func() {
			defer func() { <-slots }()
			p.batch(ctx, hard, msgs)
		})
	}
}

// waitFor waits after the failed-th error in a row, with full jitter in the upper half, so that many pollers do not come
// back together. It logs the first error of a row, and then one in a hundred: at most one line in half an hour.
func (p *poller) waitFor(ctx context.Context, failed int, err error) {
	if failed%100 == 1 {
		p.log.Error("the queue does not answer: it is asked again, up to each 30 s", "errors", failed, "kind", fifo.KindOf(err).String(), "error", err.Error())
	}
	limit := min(time.Second<<min(failed-1, 10), pollBackoff)
	select {
	case <-time.After(limit/2 + rand.N(limit/2)):
	case <-ctx.Done():
	}
}

// batch is steps 2 to 4. stopping ends when the process is to stop, hard when it must.
func (p *poller) batch(stopping, hard context.Context, msgs []fifo.Received) {
	if stopping.Err() != nil { // a call that was under way brought them
		p.handBack(stopping, hard, msgs)
		return
	}
	ctx, cancel := context.WithTimeout(hard, batchTime)
	defer cancel()
	kept := make(chan struct{})
	handled, done := context.WithCancel(ctx)
	go func() {
		defer close(kept)
		p.keepHidden(handled, msgs)
	}()
	batch := make([]commitlib.Message, len(msgs))
	for i := range msgs {
		batch[i] = msgs[i].Message
	}
	again := p.handle(ctx, batch)
	done()
	<-kept // an extension that comes after step 4's would undo it

	undecided := make(map[string]bool, len(again))
	for _, id := range again {
		undecided[id] = true
	}
	var finished, rest []fifo.Received
	for _, m := range msgs {
		if undecided[m.ID] {
			rest = append(rest, m)
		} else {
			finished = append(finished, m)
		}
	}
	if len(finished) > 0 {
		if err := p.queue.Delete(context.WithoutCancel(hard), finished); err != nil {
			p.log.Warn("messages that are done with were not deleted: they come again, and are skipped", "error", err.Error())
		}
	}
	if len(rest) > 0 {
		p.handBack(stopping, hard, rest)
	}
}

// handBack is step 4. Package fifo bounds its calls, so that they need not end with hard.
func (p *poller) handBack(stopping, hard context.Context, msgs []fifo.Received) {
	receives := 0
	for _, m := range msgs {
		receives = max(receives, m.Receives)
	}
	wait := min(time.Second<<min(receives, 10), p.visibility)
	if stopping.Err() != nil {
		wait = 0
	}
	if err := p.queue.Extend(context.WithoutCancel(hard), msgs, wait); err != nil {
		p.log.Warn("messages come again when their visibility timeout has passed", "error", err.Error())
	}
}

// keepHidden is step 2, until ctx ends.
func (p *poller) keepHidden(ctx context.Context, msgs []fifo.Received) {
	tick := time.NewTicker(max(p.visibility/2, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := p.queue.Extend(ctx, msgs, p.visibility); err != nil && ctx.Err() == nil {
			p.log.Warn("messages may be delivered to others while they are handled here, and are skipped by one of the two", "error", err.Error())
		}
	}
}
