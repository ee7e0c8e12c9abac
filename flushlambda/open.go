package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"firn/commitlib"
	"firn/commitlib/awsenv"
	"firn/commitlib/fifo"
	"firn/commitlib/maintain"
	"firn/commitlib/warehouse"
)

// service is what outlives an invocation.
type service struct {
	settings  settings
	warehouse *warehouse.Warehouse
	queue     *fifo.Queue // to poll; nil in Lambda
	handler   *handler
	rounds    *maintain.Rounds
	log       *slog.Logger
}

// open builds the clients, the committer and its caches from settings that are valid. It sends nothing, so that its
// errors are about this host and the settings, and are the same at every start.
func open(s settings, metrics io.Writer, log *slog.Logger) (*service, error) {
	m, err := newMeter(metrics, s.Function, log)
	if err != nil {
		return nil, err
	}
	svc := &service{settings: s, log: log}
	deadLetters, err := svc.connect()
	if err != nil {
		return nil, err
	}
	cfg := commitlib.Config{Log: log, Committed: m.tellCommitted}
	if deadLetters != nil {
		cfg.DeadLetter = deadLetters.Reject
	} else {
		log.Warn("FIRN_DEAD_LETTER_QUEUE is not set: messages that can never succeed are logged and dropped")
	}
	c := commitlib.New(svc.warehouse.Catalog, svc.warehouse.Store, cfg)
	m.counters = c.Counters
	svc.handler = &handler{committer: c, meter: m, log: log}
	svc.rounds = newRounds(svc.warehouse, s, svc)
	return svc, nil
}

// connect opens the warehouse, the queue to poll and the dead-letter queue, which is nil where there is none.
func (svc *service) connect() (deadLetters *fifo.Queue, err error) {
	s := svc.settings
	lake := s.Settings
	lake.Logger = svc.log
	if svc.warehouse, err = warehouse.Open(context.Background(), lake); err != nil {
		return nil, err
	}
	endpoint := awsenv.Endpoint(s.Getenv, "sqs")
	if s.Poll {
		if svc.queue, err = fifo.New(fifo.Config{AWS: *s.AWS, URL: s.Queue, Endpoint: endpoint}); err != nil {
			return nil, fmt.Errorf("FIRN_QUEUE: %w", err)
		}
	}
	if s.DeadLetterQueue != "" {
		if deadLetters, err = fifo.New(fifo.Config{AWS: *s.AWS, URL: s.DeadLetterQueue, Endpoint: endpoint}); err != nil {
			return nil, fmt.Errorf("FIRN_DEAD_LETTER_QUEUE: %w", err)
		}
	}
	return deadLetters, nil
}

// poll runs the service as an ordinary process until ctx ends. Its error is a queue that cannot be used; for one that
// does not answer it waits.
func (svc *service) poll(ctx context.Context) error {
	go svc.warm(ctx)
	if svc.settings.MaintainInterval > 0 {
		var rounds sync.WaitGroup
		defer rounds.Wait()
		maintaining, end := context.WithCancel(ctx)
		defer end() // also where the queue cannot be used
		rounds.Go(func() { svc.rounds.Run(maintaining) })
	}
	p := &poller{queue: svc.queue, log: svc.log}
	p.handle = func(ctx context.Context, msgs []commitlib.Message) []string { return svc.handler.handle(ctx, msgs, "") }
	for failed := 1; ; failed++ {
		attributes, err := svc.queue.Attributes(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			p.visibility = attributes.Visibility
			p.run(ctx)
			return nil
		case fifo.KindOf(err) == fifo.Misconfigured:
			return fmt.Errorf("FIRN_QUEUE: %w", err)
		}
		p.waitFor(ctx, failed, err)
	}
}
