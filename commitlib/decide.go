package commitlib

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/safeguard"
)

// verdict is what one attempt decides about one request.
type verdict struct {
	Result
	cause cause
	// pending marks what comes true only if this attempt's swap does: Applied, and Skipped behind an Applied one.
	pending bool
}

// cause tells the drops apart, for the counters.
type cause int

const (
	gap cause = iota + 1
	overlap
	tooOld
)

// plan is what one attempt decides about all requests, on one parent.
type plan struct {
	verdicts []verdict          // in the order of the requests
	apply    []int              // indexes of the requests to apply, in the order of their logs' sequences
	moved    map[uuid.UUID]Mark // the watermarks after that
	ranges   Ranges             // what is applied, for the summary
}

// rejects reports whether p rejects a request.
func (p *plan) rejects() bool {
	return slices.ContainsFunc(p.verdicts, func(v verdict) bool { return v.Outcome == Rejected })
}

// needsFresh reports whether p holds a verdict that only a fresh state may give: on a stale parent a gap may be
// the next request, and a rejection may be about a table that is no longer so.
func (p *plan) needsFresh() bool {
	return slices.ContainsFunc(p.verdicts, func(v verdict) bool {
		return v.Outcome == Rejected || v.Outcome == Dropped && v.cause != tooOld
	})
}

// decide compares each request with its log's watermark in the parent. Requests of one log are taken in the order of
// their ranges, whatever their order in the batch, and chained: each applied one moves the watermark for the next. Of
// several with one first sequence the longest is tried first, then the one staged last. Its error is the store's.
func (c *Committer) decide(ctx context.Context, p *parent, id catalog.Ident, reqs []*Request, now time.Time) (*plan, error) {
	out := &plan{verdicts: make([]verdict, len(reqs)), moved: make(map[uuid.UUID]Mark), ranges: make(Ranges)}
	if p.stop != nil {
		for i := range reqs {
			out.verdicts[i] = reject(refusal{p.stop.Error(), Advice(p.stop)})
		}
		return out, nil
	}
	byLog := make(map[uuid.UUID][]int)
	var logs []uuid.UUID // in the order of the batch, so that a seeded run repeats
	for i, r := range reqs {
		if why := checkTable(p.table, id, r); why != nil {
			out.verdicts[i] = reject(*why)
			continue
		}
		if _, seen := byLog[r.Log]; !seen {
			logs = append(logs, r.Log)
		}
		byLog[r.Log] = append(byLog[r.Log], i)
	}
	for _, log := range logs {
		committed, err := c.watermark(ctx, p, log)
		if errors.Is(err, ErrWatermarksLost) {
			for _, i := range byLog[log] {
				out.verdicts[i] = reject(refusal{err.Error(), Advice(err)})
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		out.chain(p.table, reqs, byLog[log], committed, now)
	}
	return out, nil
}

// chain decides about the requests of one log, given by their indexes.
func (p *plan) chain(t *catalog.Table, reqs []*Request, indexes []int, committed Seq, now time.Time) {
	slices.SortStableFunc(indexes, func(a, b int) int {
		x, y := reqs[a], reqs[b]
		return cmp.Or(cmp.Compare(x.First, y.First), cmp.Compare(y.Last, x.Last), y.StagedAt.Compare(x.StagedAt))
	})
	next := committed
	for _, i := range indexes {
		r := reqs[i]
		v := &p.verdicts[i]
		switch {
		case r.Last <= committed:
			v.Outcome = Skipped
		case r.Last <= next:
			v.Outcome, v.pending = Skipped, true
		case now.Sub(r.StagedAt) > MaxStagedAge:
			v.drop(tooOld, fmt.Sprintf("staged %s ago, more than %s: its files may be gone", now.Sub(r.StagedAt).Round(time.Second), MaxStagedAge))
		case r.First > next+1 && !safeguard.Off(safeguard.FirstFollowsWatermark):
			v.drop(gap, fmt.Sprintf("gap: first is %d, the watermark %d", r.First, next))
		case r.First <= next && !safeguard.Off(safeguard.FirstFollowsWatermark):
			v.drop(overlap, fmt.Sprintf("overlap: the watermark %d lies inside [%d, %d]", next, r.First, r.Last))
		default:
			if why := checkFiles(t, r); why != nil {
				*v = reject(*why)
				break
			}
			v.Outcome, v.pending = Applied, true
			next = r.Last
			p.apply = append(p.apply, i)
			p.moved[r.Log] = Mark{Last: next, AtMs: now.UnixMilli()}
			p.ranges[r.Log] = append(p.ranges[r.Log], [2]Seq{r.First, r.Last})
		}
		v.Watermark = next
	}
}

func (v *verdict) drop(why cause, reason string) {
	v.Outcome, v.cause, v.Reason = Dropped, why, reason
}

func reject(why refusal) verdict {
	return verdict{Result: Result{Outcome: Rejected, Reason: why.reason, Advice: why.advice}}
}

// checkTable says whether the request is about this very table.
func checkTable(t *catalog.Table, id catalog.Ident, r *Request) *refusal {
	if r.Table != id {
		return &refusal{fmt.Sprintf("request is for table %s, not %s", r.Table, id), "report it: the request was routed wrongly"}
	}
	if r.TableUUID != t.Metadata.TableUUID && !safeguard.Off(safeguard.TableUUID) {
		return &refusal{
			fmt.Sprintf("request is for table UUID %s, the table of that name is %s now", r.TableUUID, t.Metadata.TableUUID),
			"the table was dropped and made anew: what was not committed to the old one can only be discarded, or re-sent by its producers",
		}
	}
	return nil
}
