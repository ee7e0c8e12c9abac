package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"firn/commitlib/catalog"
	"firn/commitlib/maintain"
	"firn/commitlib/warehouse"
)

// event is what the function may be invoked with: a batch of the queue, or an order to maintain all tables.
type event struct {
	Records []events.SQSMessage
	order   *maintain.Options // nil: it is a batch
}

// UnmarshalJSON reads a batch leniently, since the queue service may add to it, and everything else closely: a misplaced or
// misspelt dry_run must not remove anything.
func (e *event) UnmarshalJSON(data []byte) error {
	var batch struct {
		Records  *[]events.SQSMessage `json:"Records"`
		Maintain json.RawMessage      `json:"maintain"`
	}
	if err := json.Unmarshal(data, &batch); err != nil {
		return err
	}
	if batch.Records != nil && batch.Maintain == nil {
		e.Records = *batch.Records
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	if _, batch := members["Records"]; len(members) == 0 || batch && len(members) == 1 { // null: a batch of nothing
		return nil
	}
	order, err := maintain.ReadOrder(data)
	e.order = &order
	return err
}

// answerTime is what maintenance leaves of an invocation, to answer and to write its metrics.
const answerTime = 2 * time.Second

// maxReports bounds the reports of one answer: Lambda takes 6 MB, and one has a few kB.
const maxReports = 100

// invoke is the Lambda function.
func (svc *service) invoke(ctx context.Context, e event) (any, error) {
	if e.order == nil {
		return svc.handler.invoke(ctx, events.SQSEvent{Records: e.Records})
	}
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerTime))
		defer cancel()
	}
	return svc.maintain(ctx, *e.order)
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
func (svc *service) maintain(ctx context.Context, order maintain.Options) (maintained, error) {
	began, before := time.Now(), svc.rounds.Counters()
	answer := maintained{DryRun: order.DryRun, Reports: map[string][]maintain.Result{}}
	err := svc.rounds.Once(ctx, order, func(id catalog.Ident, results []maintain.Result) {
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

// newRounds makes what maintains the tables of the namespaces.
func newRounds(lake *warehouse.Warehouse, s settings, svc *service) *maintain.Rounds {
	tables := maintain.Shuffled(maintain.Tables(lake.Catalog, s.Namespaces...))
	r := maintain.NewRounds(tables, svc.log, maintain.NewSweeper(lake.Catalog, lake.Store, maintain.Config{Log: svc.log}))
	r.Every = s.MaintainInterval
	return r
}
