package commitlib

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

// Message is a commit request as a queue delivers it.
type Message struct {
	ID    string // names the delivery; what Handle returns
	Group string // the table's "namespace.name": messages of one group come in order
	Body  []byte // an encoded Request, or the message of a Claim
}

// Handle commits a batch of messages and returns the ids of those to deliver again; the rest may be
// deleted from the queue. Messages of one group are for one table and become one snapshot; groups do not
// wait for one another beyond Config.Parallel.
//
// Within a group everything from the first message to deliver again on is returned, as FIFO queues demand, even what
// was applied: it is skipped when it comes again. Gaps and overlaps are acknowledged: their sender re-sends. A rejected
// message is acknowledged once its note is written and the dead-letter hook has it; one that is no request at all
// once the hook has it. Handle returns before ctx ends, with what it did not get to among the ids.
// The slice is never nil: some event sources take null for a failure.
func (c *Committer) Handle(ctx context.Context, msgs []Message) []string {
	if deadline, ok := ctx.Deadline(); ok {
		// In relation to the caller's clock, which need not be Config.Clock.
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-c.cfg.Reserve))
		defer cancel()
	}
	groups := make(map[string][]Message)
	var order []string
	for _, m := range msgs {
		if _, seen := groups[m.Group]; !seen {
			order = append(order, m.Group)
		}
		groups[m.Group] = append(groups[m.Group], m)
	}
	within := withinBudget(msgs)
	acked := make([]int, len(order))
	c.inParallel(len(order), func(i int) { acked[i] = c.handleGroup(ctx, groups[order[i]][:within[order[i]]]) })

	again := []string{}
	for i, name := range order {
		for _, m := range groups[name][acked[i]:] {
			again = append(again, m.ID)
		}
	}
	return again
}

// inParallel runs fn(0) to fn(n-1), at most Config.Parallel at a time; with 1 in this goroutine and in order.
func (c *Committer) inParallel(n int, fn func(i int)) {
	if c.cfg.Parallel == 1 || n == 1 {
		for i := range n {
			fn(i)
		}
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, c.cfg.Parallel)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			fn(i)
		})
	}
	wg.Wait()
}

// item is one message of a group on its way to being settled.
type item struct {
	Message
	req  *Request // nil: why or err says so
	why  string   // no request of this group, and never will be
	err  error    // not read: errClaimGone, or to be delivered again
	done *Result  // of req
}

// handleGroup returns how many messages from the front of msgs are done with.
func (c *Committer) handleGroup(ctx context.Context, msgs []Message) (acked int) {
	if ctx.Err() != nil || len(msgs) == 0 {
		return 0
	}
	items := make([]item, len(msgs))
	var claims []int
	for i, m := range msgs {
		items[i].Message = m
		if isClaim(m.Body) {
			claims = append(claims, i)
		} else {
			items[i].accept(m.Body, nil)
		}
	}
	c.inParallel(len(claims), func(k int) { c.redeem(ctx, &items[claims[k]]) })

	var id catalog.Ident
	var reqs []*Request
	var from []*item // of each request
	for i := range items {
		if r := items[i].req; r != nil {
			id = r.Table
			reqs, from = append(reqs, r), append(from, &items[i])
		}
	}
	done, err := c.Commit(ctx, id, reqs)
	for k := range done {
		from[k].done = &done[k]
	}
	if err != nil {
		c.cfg.Log.Warn("some requests will be delivered again", "table", msgs[0].Group, "err", err)
	}
	for i := range items {
		if !c.settle(ctx, &items[i]) {
			return i
		}
	}
	return len(msgs)
}

// accept takes the request's bytes, which came in the message itself or, where claim is not nil, through it.
func (it *item) accept(body []byte, claim *claimMessage) {
	r, err := Decode(body)
	switch {
	case err != nil:
		it.why = err.Error()
	case QueueGroup(r.Group()) != QueueGroup(it.Group):
		it.why = fmt.Sprintf("message of group %q holds a request for table %s", it.Group, r.Table)
	case claim != nil && !claim.of(r):
		it.why = fmt.Sprintf("claim at %s holds a request of log %s for the table at %s", claim.Location, r.Log, r.Location)
	default:
		it.req = r
	}
}

// redeem reads the request that a claim stands for.
func (c *Committer) redeem(ctx context.Context, it *item) {
	claim, err := decodeClaim(it.Body)
	if err != nil {
		it.why = err.Error()
		return
	}
	body, bad, err := claim.read(ctx, c.store)
	if bad != "" || err != nil {
		it.why, it.err = bad, err
		return
	}
	c.counters.claims.Add(1)
	it.accept(body, claim)
}

// settle does what is left to do about a message, and reports whether it may leave the queue.
func (c *Committer) settle(ctx context.Context, it *item) bool {
	m, r, res := it.Message, it.req, it.done
	switch {
	case errors.Is(it.err, errClaimGone):
		c.counters.claimsGone.Add(1)
		c.cfg.Log.Info("request dropped: its sender re-sends", "table", m.Group, "message", m.ID, "reason", it.err.Error())
		return true
	case it.err != nil:
		c.cfg.Log.Warn("claim could not be read; its message is delivered again", "table", m.Group, "message", m.ID, "err", it.err)
		return false
	case res == nil:
		return c.deadLetter(ctx, m, it.why)
	}
	switch res.Outcome {
	case Applied, Skipped:
		return true
	case Dropped:
		c.cfg.Log.Info("request dropped: its sender re-sends", "table", m.Group, "log", r.Log, "first", r.First, "last", r.Last, "reason", res.Reason)
		return true
	case Rejected:
		return c.noteRejection(ctx, r, res) && c.deadLetter(ctx, m, res.Reason)
	}
	return false
}

func (c *Committer) deadLetter(ctx context.Context, m Message, reason string) bool {
	c.cfg.Log.Error("message can never succeed", "table", m.Group, "message", m.ID, "reason", reason)
	if c.cfg.DeadLetter != nil {
		if err := c.cfg.DeadLetter(ctx, m, reason); err != nil {
			c.cfg.Log.Error("dead-letter hook did not take the message: it stays in its queue", "message", m.ID, "err", err)
			return false
		}
	}
	c.counters.deadLettered.Add(1)
	return true
}

// noteRejection leaves the note that stops the sender. Without it the sender would go on sending, so the message
// stays in the queue until it is written; only where the request's table lies in another store can nobody write it.
func (c *Committer) noteRejection(ctx context.Context, r *Request, res *Result) bool {
	prefix, ok := objstore.Key(c.store, r.Location)
	if !ok {
		return true
	}
	err := writeNote(ctx, c.store, prefix, &Rejection{
		Reason: res.Reason, Advice: res.Advice, TableUUID: r.TableUUID,
		Log: r.Log, First: r.First, Last: r.Last, At: c.cfg.Clock().UTC().Truncate(time.Millisecond),
	})
	if err != nil {
		c.cfg.Log.Error("rejection note not written: the message stays in its queue", "table", r.Table.String(), "log", r.Log, "err", err)
		return false
	}
	return true
}
