package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

// committer is one process that takes messages from the queue and commits them, again and again.
type committer struct {
	*process
	id     int
	inner  *commitlib.Committer
	inHand []*delivery
	done   chan struct{}
}

// budget is a function's time-out.
const budget = 30 * time.Second

func newCommitter(w *world, id int) *committer {
	c := &committer{process: newProcess(w), id: id, done: make(chan struct{})}
	c.inner = c.commitlib()
	go c.loop()
	synctest.Wait() // until it waits for messages: those who wait are served in the order in which they came
	return c
}

// commitlib makes a process's own committer.
func (p *process) commitlib() *commitlib.Committer {
	cat, store := p.client()
	rng := rand.New(rand.NewPCG(p.w.fate.Uint64(), 3))
	return commitlib.New(cat, store, commitlib.Config{
		Parallel: 1, Rand: rng.Uint64, Log: quiet, MaxAttempts: 6,
		SpillBeyond: p.w.spillAfter, SpillQuiet: p.w.spillQuiet, KeepSnapshots: p.w.keepSnapshots, MergeManifests: p.w.mergeAt,
	})
}

func (c *committer) loop() {
	defer close(c.done)
	for c.alive() { // asked first: where both are ready, select would draw
		select {
		case <-c.w.queue.ready:
		case <-c.ctx.Done():
			return
		}
		if c.inHand = c.w.queue.take(); c.inHand != nil {
			c.handle()
		}
	}
}

// handle is one invocation.
func (c *committer) handle() {
	w := c.w
	defer w.turn()()
	ctx, cancel := c.ctx, context.CancelFunc(func() {})
	if w.deadlines {
		ctx, cancel = context.WithTimeout(ctx, budget)
	}
	defer cancel()
	failed := c.invoke(ctx, fmt.Sprintf("committer %d", c.id), c.inner, c.inHand)
	if !c.alive() {
		return // killed: whatever it was about to say, nobody heard
	}
	w.queue.give(c.inHand, func(id string) bool { return slices.Contains(failed, id) })
	if w.notify {
		w.poke(w.tableOf(c.inHand[0].msg.Group).id)
	}
	c.inHand = nil
}

// invoke has a committer handle a batch, and checks what it did.
func (p *process) invoke(ctx context.Context, name string, inner *commitlib.Committer, batch []*delivery) []string {
	w := p.w
	began := time.Since(w.began)
	t := w.tableOf(batch[0].msg.Group)
	next := w.nextOnes(t, batch)
	msgs := make([]commitlib.Message, len(batch))
	for i, d := range batch {
		msgs[i] = d.msg
	}
	before := inner.Counters()
	failed := inner.Handle(ctx, msgs)
	if !p.alive() {
		return failed
	}
	after := inner.Counters()
	w.count("snapshots expired", after.Expired-before.Expired)
	w.count("manifests merged", after.Merged-before.Merged)
	if w.trace != nil {
		w.step("%s took %s of %s since %s: applied %d skipped %d gaps %d overlaps %d too old %d rejected %d, failed %v",
			name, names(w, batch), t.id.Name, began, after.Applied-before.Applied, after.Skipped-before.Skipped,
			after.Gaps-before.Gaps, after.Overlaps-before.Overlaps, after.TooOld-before.TooOld, after.Rejected-before.Rejected, failed)
	}
	w.checkNotDropped(t, next, func(id string) bool { return slices.Contains(failed, id) })
	return failed
}

func names(w *world, batch []*delivery) string {
	var b strings.Builder
	for _, d := range batch {
		fmt.Fprintf(&b, "%s(%s [%d, %d]) ", d.msg.ID, w.label("L", d.req.Log), d.req.First, d.req.Last)
	}
	return strings.TrimSpace(b.String())
}

// kill ends the process at this instant; what it had in hand comes again when its visibility time-out has passed.
func (c *committer) kill() {
	c.w.step("committer %d killed, restarted", c.id)
	c.halt()
	c.w.committers[c.id] = newCommitter(c.w, c.id)
}

// halt is a kill that nothing follows.
func (c *committer) halt() {
	c.stop()
	for _, d := range c.inHand {
		c.w.queue.post(d, c.w.fateful(time.Second, 3*time.Minute))
	}
	c.inHand = nil
}

func (c *committer) stop() {
	c.cancel()
	<-c.done
}

// nextOne is a delivery that was the next of its log on a table, as it was then.
type nextOne struct {
	d  *delivery
	ct *catalog.Table
}

// nextOnes finds them in a batch that arrives now. Looking costs, so it looks now and then.
func (w *world) nextOnes(t *table, batch []*delivery) (next []nextOne) {
	if w.catalog != onREST && w.fate.IntN(4) > 0 { // REST's metadata need not be parsed
		return nil
	}
	ct := w.peek(t)
	if ct == nil {
		return nil
	}
	for _, d := range batch {
		if !w.claimGone(d, ct.LoadedAt) && w.watermark(ct, d.req) == d.req.First-1 && d.req.TableUUID == ct.Metadata.TableUUID && time.Since(d.req.StagedAt) < commitlib.MaxStagedAge-time.Hour {
			next = append(next, nextOne{d, ct})
		}
	}
	return next
}

// watermark is the table's count for a request's log; an impossible one where the table would refuse it.
func (w *world) watermark(ct *catalog.Table, r *commitlib.Request) (mark commitlib.Seq) {
	w.inCalm(func() {
		var err error
		if mark, err = commitlib.ReadWatermark(context.Background(), w.store, ct, r.Log); err != nil {
			mark = r.Last + 1
		}
	})
	return mark
}

// claimGone reports whether a message stands for a request that is not there, or was away since: then it is dropped, next
// or not.
func (w *world) claimGone(d *delivery, since time.Time) (gone bool) {
	if d.claim == "" {
		return false
	}
	w.inCalm(func() {
		_, err := w.store.Head(context.Background(), d.claim)
		lost, ok := w.queue.lost[d.claim]
		gone = errors.Is(err, objstore.ErrNotExist) || ok && !lost.Before(since)
	})
	return gone
}

// checkNotDropped: what was next when it arrived, and is next still, may have failed; it must not have been
// acknowledged.
func (w *world) checkNotDropped(t *table, next []nextOne, failed func(id string) bool) {
	if len(next) == 0 {
		return
	}
	ct := w.peek(t)
	for _, n := range next {
		r := n.d.req
		if ct != nil && !failed(n.d.msg.ID) && ct.Metadata.TableUUID == r.TableUUID && w.watermark(ct, r) == r.First-1 && !t.tampered(n.ct.LoadedAt) && !w.claimGone(n.d, n.ct.LoadedAt) {
			w.bad("request [%d, %d] of %s was next on %s, and was acknowledged without being applied", r.First, r.Last, w.label("L", r.Log), t.id.Name)
		}
	}
}
