package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"firn/commitlib/catalog"
	"firn/commitlib/maintain"
	"firn/commitlib/warehouse"
)

// event is what the function may be invoked with: a batch of the queue, or word from a schedule.
type event struct {
	Records []events.SQSMessage `json:"Records"`

	Source   string         `json:"source"`   // EventBridge's rules say aws.events or aws.scheduler
	Maintain *maintainOrder `json:"maintain"` // what a schedule of one's own, or a person, sends
}

// maintainOrder asks for maintenance of all tables.
type maintainOrder struct {
	DryRun bool           `json:"dry_run"`
	Scope  maintain.Scope `json:"scope"` // "metadata", "whole", or what is due
	Force  bool           `json:"force"`
}

// The sources of an event that a schedule sends without saying anything else.
const (
	ruleSource      = "aws.events"
	schedulerSource = "aws.scheduler"
)

// answerTime is what maintenance leaves of an invocation, to answer and to write its metrics.
const answerTime = 2 * time.Second

// maxReports bounds the reports of one answer: Lambda takes 6 MB, and one has a few kB.
const maxReports = 100

// invoke is the Lambda function.
func (svc *service) invoke(ctx context.Context, e event) (any, error) {
	if len(e.Records) > 0 || e.Maintain == nil && e.Source != ruleSource && e.Source != schedulerSource {
		return svc.handler.invoke(ctx, events.SQSEvent{Records: e.Records})
	}
	order := maintainOrder{}
	if e.Maintain != nil {
		order = *e.Maintain
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerTime))
		defer cancel()
	}
	return svc.maintain(ctx, order)
}

// maintained is the answer to an order.
type maintained struct {
	DryRun  bool                         `json:"dry_run"`
	Tables  int                          `json:"tables"`
	Errors  int                          `json:"errors"`
	More    bool                         `json:"more"`    // time was up: the next invocation goes on, at another table
	Reports map[string][]maintain.Result `json:"reports"` // of tables that something was done to, or would be
}

// maintain maintains all tables, as far as it gets before ctx ends. What goes wrong with a table is in its report, the
// log and the metrics; the error is that the tables are not known.
func (svc *service) maintain(ctx context.Context, order maintainOrder) (maintained, error) {
	switch order.Scope {
	case maintain.Due, maintain.Metadata, maintain.Whole:
	default:
		return maintained{}, fmt.Errorf("scope is %q: write metadata or whole, or leave it out", order.Scope)
	}
	began, before := time.Now(), svc.rounds.Counters()
	answer := maintained{DryRun: order.DryRun, Reports: map[string][]maintain.Result{}}
	err := svc.rounds.Once(ctx, maintain.Options{DryRun: order.DryRun, Scope: order.Scope, Force: order.Force}, func(id catalog.Ident, results []maintain.Result) {
		answer.Tables++
		worth := order.DryRun
		for _, r := range results {
			worth = worth || r.Outcome.Did()
			if r.Err != nil {
				answer.Errors++
			}
		}
		if worth && len(answer.Reports) < maxReports {
			answer.Reports[id.String()] = results
		}
	})
	request := ""
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		request = lc.AwsRequestID
	}
	svc.handler.meter.maintained(began, before, svc.rounds.Counters(), request)
	if errors.Is(err, context.DeadlineExceeded) {
		answer.More, err = true, nil
	}
	return answer, err
}

// newRounds makes what maintains the tables of the namespaces. They come in another order each time, so that each gets
// its turn where there is not time for all.
func newRounds(lake *warehouse.Warehouse, s settings, svc *service) *maintain.Rounds {
	tables := func(ctx context.Context) (ids []catalog.Ident, err error) {
		for _, namespace := range s.Namespaces {
			names, err := lake.Catalog.List(ctx, namespace)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				ids = append(ids, catalog.Ident{Namespace: namespace, Name: name})
			}
		}
		rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		return ids, nil
	}
	r := maintain.NewRounds(tables, svc.log, maintain.NewSweeper(lake.Catalog, lake.Store, maintain.Config{Log: svc.log}))
	r.Every = s.MaintainInterval
	return r
}

// The order's JSON is closed: a misspelt dry_run must not remove anything.
func (o *maintainOrder) UnmarshalJSON(data []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	for name, value := range members {
		var into any
		switch name {
		case "dry_run":
			into = &o.DryRun
		case "scope":
			into = &o.Scope
		case "force":
			into = &o.Force
		default:
			return fmt.Errorf("maintain has no member %q: give dry_run, scope or force", name)
		}
		if err := json.Unmarshal(value, into); err != nil {
			return fmt.Errorf("member %q of maintain: %w", name, err)
		}
	}
	return nil
}
