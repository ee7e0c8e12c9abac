package commitq

import (
	"errors"
	"time"

	"firn/commitlib/fifo"
)

// batch is what one call carries: from each of its lanes the first messages, in order. The lanes are not ready until it
// is settled.
type batch struct {
	msgs  []Message
	lanes []*lane
	took  []int // messages from each lane
	began time.Time
}

// dispatchLocked begins the calls that there is reason for.
func (q *SQS) dispatchLocked() {
	if q.ctx.Err() != nil {
		q.forgetLocked()
	}
	for q.pause == nil && q.waiting > 0 && q.calls < q.allowedLocked() {
		q.calls++
		go q.call(q.takeLocked())
	}
	q.signalIdleLocked()
}

// allowedLocked is how many calls may be under way now: one, until that cannot carry what waits; and one while SQS is in
// trouble.
func (q *SQS) allowedLocked() int {
	if q.fails == 0 && q.waiting >= MaxBatch {
		return q.cfg.Calls
	}
	return 1
}

// takeLocked fills a batch from the ready lanes in turn.
func (q *SQS) takeLocked() *batch {
	b := &batch{began: time.Now()}
	room := q.to.MaxBytes()
	for len(q.ready) > 0 && len(b.msgs) < MaxBatch {
		l, n := q.ready[0], 0
		for n < len(l.msgs) && len(b.msgs) < MaxBatch && (len(l.msgs[n].Body) <= room || len(b.msgs) == 0) {
			b.msgs = append(b.msgs, l.msgs[n])
			room -= len(l.msgs[n].Body)
			n++
		}
		if n == 0 {
			break
		}
		q.ready = q.ready[1:]
		q.waiting -= len(l.msgs)
		l.busy = true
		b.lanes, b.took = append(b.lanes, l), append(b.took, n)
	}
	return b
}

// call sends the batch and settles it.
func (q *SQS) call(b *batch) {
	failed := q.send(b.msgs)
	var bad []fifo.Failure
	for _, f := range failed {
		if fifo.KindOf(f.Err) == fifo.BadMessage {
			bad = append(bad, f)
		}
	}
	if len(bad) > 0 {
		// The shipper sends it again, and by then what the queue takes is known: somebody may have lowered it.
		_, err := q.to.Attributes(q.ctx)
		for _, f := range bad {
			q.cfg.Logger.Error("SQS does not take a commit request; it is dropped, and sent again after a while", "table", b.msgs[f.Index].Group,
				"bytes", len(b.msgs[f.Index].Body), "error", f.Err, "queue_looked_at", err == nil)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls--
	q.noteLocked(b, failed, len(bad))
	q.settleLocked(b, failed)
	q.dispatchLocked()
}

// send makes the call. One that SQS refuses as a whole, for what one of its messages may be, is made for each alone.
func (q *SQS) send(msgs []Message) []fifo.Failure {
	failed := failures(q.to.Send(q.ctx, msgs), len(msgs))
	if len(failed) < len(msgs) || len(msgs) == 1 || fifo.KindOf(failed[0].Err) != fifo.BadMessage {
		return failed
	}
	failed = nil
	for i := range msgs {
		for _, f := range failures(q.to.Send(q.ctx, msgs[i:i+1]), 1) {
			f.Index = i
			failed = append(failed, f)
		}
	}
	return failed
}

// failures are the messages that were not taken, of n.
func failures(err error, n int) []fifo.Failure {
	var some *fifo.SendError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &some):
		return some.Failed
	}
	all := make([]fifo.Failure, n)
	for i := range all {
		all[i] = fifo.Failure{Index: i, Err: err}
	}
	return all
}

// noteLocked takes up what a call says about the way to SQS, and backs off where it does not work.
func (q *SQS) noteLocked(b *batch, failed []fifo.Failure, bad int) {
	q.stats.Calls++
	taken := len(b.msgs) - len(failed)
	if len(failed) == bad {
		q.fails = 0
	} else {
		q.stats.CallErrors++
		q.fails++
		for _, f := range failed {
			if fifo.KindOf(f.Err) != fifo.BadMessage {
				q.why = f.Err
			}
		}
		if fifo.KindOf(q.why) == fifo.Throttled {
			q.stats.Throttled++
		}
		if q.pause == nil && q.ctx.Err() == nil {
			q.pause = time.AfterFunc(q.backoffLocked(), func() {
				q.mu.Lock()
				defer q.mu.Unlock()
				q.pause = nil
				q.dispatchLocked()
			})
		}
	}
	switch {
	case taken > 0 || bad > 0: // it answers
		if q.isTold {
			q.cfg.Logger.Info("commit requests are sent again", "after", time.Since(q.down).Round(time.Second), "waiting", q.messages-taken)
		}
		q.down, q.isTold = time.Time{}, false
	case q.down.IsZero():
		q.down = b.began
	}
	if !q.down.IsZero() && time.Since(q.down) >= q.cfg.RefuseAfter && !(q.isTold && q.told == fifo.KindOf(q.why)) && q.ctx.Err() == nil {
		q.told, q.isTold = fifo.KindOf(q.why), true
		q.cfg.Logger.Error("no commit request can be sent; events are acked and wait in the log, and it is tried again", "since", q.down.UTC().Format(time.RFC3339),
			"reason", q.told.String(), "error", q.why)
	}
}

// backoffLocked is the wait before the next call: full jitter, so that the daemons that an outage met together do not
// come back together.
func (q *SQS) backoffLocked() time.Duration {
	limit := min(q.cfg.MinBackoff<<min(q.fails-1, 20), q.cfg.MaxBackoff)
	return limit/10 + time.Duration(q.rng.Int64N(int64(limit-limit/10)+1))
}

// settleLocked removes what was sent, or never can be, from the lanes' heads; what was not sent stays there, in order.
func (q *SQS) settleLocked(b *batch, failed []fifo.Failure) {
	why := make(map[int]error, len(failed))
	for _, f := range failed {
		why[f.Index] = f.Err
	}
	i := 0
	for k, l := range b.lanes {
		var keep []Message
		for range b.took[k] {
			m, err := b.msgs[i], why[i]
			i++
			if err != nil && fifo.KindOf(err) != fifo.BadMessage {
				keep = append(keep, m)
				q.stats.Redelivered++
				continue
			}
			if err != nil {
				q.stats.GivenUp++
			} else {
				q.stats.Handled++
			}
			q.messages--
			q.bytes -= int64(len(m.Body))
		}
		if l.msgs = append(keep, l.msgs[b.took[k]:]...); len(l.msgs) == 0 {
			delete(q.lanes, l.name)
			continue
		}
		l.busy = false
		q.ready = append(q.ready, l)
		q.waiting += len(l.msgs)
	}
}

// forgetLocked abandons what is in ready lanes.
func (q *SQS) forgetLocked() {
	for _, l := range q.ready {
		for _, m := range l.msgs {
			q.messages--
			q.bytes -= int64(len(m.Body))
		}
		delete(q.lanes, l.name)
	}
	q.ready, q.waiting = nil, 0
}
