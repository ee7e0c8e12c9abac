package commitlib

import (
	"context"
	"fmt"
	"time"

	"firn/commitlib/catalog"
)

// Commit applies requests, all for table id, in at most one snapshot, and returns one result for each, in their order.
// A non-nil error is why some are Undecided; the results hold beside it. Calls for one table may run side by side:
// their swaps decide. Requests are only read, and may be delivered again at any time, whatever was returned.
func (c *Committer) Commit(ctx context.Context, id catalog.Ident, reqs []*Request) ([]Result, error) {
	if len(reqs) == 0 {
		return nil, nil
	}
	r := &run{Committer: c, id: id, reqs: reqs, began: c.cfg.Clock()}
	if p := c.parents.take(id); p != nil && r.began.Sub(p.asOf) < MaxParentAge {
		// Beside rivals a cached parent is rarely current: ask first.
		r.parent, r.outdated, r.wary, r.plain = p, p.wary > 0, max(0, p.wary-1), max(0, p.plain-1)
	}
	err := r.commit(ctx)
	if err != nil {
		err = fmt.Errorf("commit to %s: %w", id, err)
	}
	if r.parent != nil {
		if r.parent.wary = r.wary; r.outdated {
			r.parent.wary = max(1, r.wary) // kept all the same: refreshing it costs less than a load from nothing
		}
		r.parent.plain = r.plain
		c.parents.put(id, r.parent)
	}
	results := r.results(err)
	c.count(r, results)
	return results, err
}

// run is one Commit under way; one goroutine owns it.
type run struct {
	*Committer
	id    catalog.Ident
	reqs  []*Request
	began time.Time

	parent   *parent
	outdated bool    // parent is known not to be current, or may not be: refresh it before planning on it
	wary     int     // of the parent that is put back
	plain    int     // likewise
	absent   refusal // why there is no parent after a load

	plan    *plan    // what was decided last; nil until something was
	failure error    // why the latest attempt did not succeed
	written *written // the manifests, for as long as the plan applies the same requests
	tries   []try    // swaps of unknown outcome
}

// try is a swap whose outcome is unknown: it may have been applied, or may be yet.
type try struct {
	snapshotID int64
	apply      []int
}

// commit is the protocol of one commit. The state is the table's metadata; the
// watermarks in it say which events are in.
//
//  1. Take the cached parent, or load the table. A cached one is a guess that step 6 puts to the test; where rivals were
//     met lately it is refreshed first, since a refused swap costs more.
//  2. Compare each request with its log's watermark (decide). What is covered is done. What has a gap or an overlap is
//     dropped, what can never succeed is rejected: both only on a state whose load began after the request arrived,
//     else load and repeat. What begins at watermark + 1 is applied by the steps that follow; if nothing does, stop.
//  3. Write the manifests of the applied files: they depend on no parent, so that every attempt uses the same.
//  4. Write the manifest list of this attempt: the parent's entries and ours. If logs are to leave the property, write
//     their watermarks, with all that were spilled before, to a new file.
//  5. Wait for steps 3 and 4, which run side by side: a snapshot never names an object that is not durable.
//  6. Swap: the snapshot becomes main's head, and the watermarks move, in one
//     conditional write. THIS IS THE COMMIT POINT.
//
// A crash before step 6 leaves the table as it was and objects that nothing names; orphan removal takes them after
// their grace period. A crash after it leaves requests in the queue that the watermark covers: step 2 skips them.
//
// Beside its requests an attempt may keep house (housekeeping.go): nothing of that can fail or hold up the requests.
//
// If the swap was refused because a rival's is current, wait a random while, reload, and go back to step 2:
// never to step 6, since the rival may have applied the same requests, or moved a watermark past them. If its
// outcome is unknown, do the same, and delete nothing: the snapshot may be current, or become so when the
// write that lingers arrives. It cannot land beside the next attempt, because both are conditional on the
// same parent (objectstore: on the same name).
func (r *run) commit(ctx context.Context) error {
	for failed := 0; ; failed++ {
		if err := r.load(ctx); err != nil { // step 1
			return err
		}
		if err := r.decide(ctx, failed); err != nil { // step 2
			return err
		}
		if len(r.plan.apply) == 0 {
			return nil
		}
		if failed == r.cfg.MaxAttempts {
			return fmt.Errorf("gave up after %d attempts: %w", failed, r.failure)
		}
		if r.failure = r.attempt(ctx, failed+1); r.failure == nil { // steps 3 to 6
			return nil
		}
		r.cfg.Log.Info("commit attempt did not succeed", "table", r.id.String(), "attempt", failed+1, "err", r.failure)
		if err := r.cfg.Sleep(ctx, r.cfg.backoff(failed)); err != nil {
			return fmt.Errorf("%w: %w", err, r.failure)
		}
	}
}
