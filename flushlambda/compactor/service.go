package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/compact"
	"firn/commitlib/maintain"
	"firn/commitlib/warehouse"
)

// service is what outlives an invocation.
type service struct {
	rounds *maintain.Rounds
	log    *slog.Logger
}

// event is what the function may be invoked with: what the committer's maintenance may be, so that one schedule's input
// does for both. Of its members only dry_run means something here.
type event struct{ order maintain.Options }

// UnmarshalJSON implements json.Unmarshaler.
func (e *event) UnmarshalJSON(data []byte) (err error) {
	e.order, err = maintain.ReadOrder(data)
	return err
}

// answer is what an invocation did.
type answer struct {
	DryRun  bool                         `json:"dry_run"`
	Tables  int                          `json:"tables"`
	Errors  int                          `json:"errors"`
	More    bool                         `json:"more"`    // time was up: the next invocation goes on, at another table
	Reports map[string][]maintain.Result `json:"reports"` // of tables that something was done to, or would be
}

const (
	// answerTime is what is left of an invocation to answer in.
	answerTime = 5 * time.Second

	// maxReports bounds the reports of one answer: Lambda takes 6 MB, and one has a few kB.
	maxReports = 100
)

// open builds the clients. It sends nothing, so that its errors are about this host and the settings.
func open(s settings, log *slog.Logger) (*service, error) {
	lake := s.Settings
	lake.Logger = log
	w, err := warehouse.Open(context.Background(), lake)
	if err != nil {
		return nil, err
	}
	cfg := compact.Default()
	cfg.Log, cfg.MemoryBytes, cfg.MaxTime = log, s.MemoryBytes/8*3, 15*time.Minute
	c, err := compact.New(compact.Deps{
		Catalog: w.Catalog, Store: w.Store, Committer: commitlib.New(w.Catalog, w.Store, commitlib.Config{Log: log}),
	}, cfg)
	if err != nil {
		return nil, err
	}
	tables := maintain.Shuffled(maintain.Tables(w.Catalog, s.Namespaces...))
	task := compact.NewTask(c, func(catalog.Ident) int64 { return 0 })
	return &service{rounds: maintain.NewRounds(tables, log, task), log: log}, nil
}

// invoke is the Lambda function. What goes wrong with a table is in its report and the log; the error is that the tables are
// not known.
func (svc *service) invoke(ctx context.Context, e event) (answer, error) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-answerTime))
		defer cancel()
	}
	done := answer{DryRun: e.order.DryRun, Reports: map[string][]maintain.Result{}}
	err := svc.rounds.Once(ctx, e.order, func(id catalog.Ident, results []maintain.Result) {
		done.Tables++
		for _, r := range results {
			if r.Err != nil {
				done.Errors++
			}
			if rep, ok := r.Outcome.(*compact.Report); ok && rep.More {
				done.More = true
			}
			if (e.order.DryRun || r.Outcome.Did()) && len(done.Reports) < maxReports {
				done.Reports[id.String()] = results
			}
		}
	})
	if errors.Is(err, context.DeadlineExceeded) {
		done.More, err = true, nil
	}
	return done, err
}
