package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"firn/commitlib"
)

// committer is commitlib.Committer as the handler sees it.
type committer interface {
	// Handle commits the messages and returns the ids of those to deliver again, some time before ctx's deadline.
	Handle(ctx context.Context, msgs []commitlib.Message) []string
}

// leastTime is the least that a function's time-out should be: a cold load, a commit beside rivals and the second that
// commitlib keeps to answer in take 2 s in all, and each batch that does not finish is delivered again.
const leastTime = 5 * time.Second

// handler turns batches of messages into commits. It keeps nothing between them that must survive.
type handler struct {
	committer committer
	meter     *meter
	log       *slog.Logger

	lookedAtTime sync.Once
}

// invoke handles a batch of the queue. It answers with the messages that the queue is to deliver again; every other one is
// done with. It returns an error, which delivers the whole batch again and shows as the function's error, only where the
// event is none of a FIFO queue: then the function is wired wrongly, and nothing of the event may be acknowledged.
func (h *handler) invoke(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	msgs := make([]commitlib.Message, len(batch.Records))
	for i, r := range batch.Records {
		group := r.Attributes["MessageGroupId"]
		if r.EventSource != "aws:sqs" || group == "" {
			return events.SQSEventResponse{}, fmt.Errorf("record %d of the event comes from %q with message group %q: make an SQS FIFO queue the function's event source", i, r.EventSource, group)
		}
		msgs[i] = commitlib.Message{ID: r.MessageId, Group: group, Body: []byte(r.Body)}
	}
	request := ""
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		request = lc.AwsRequestID // as in Lambda's own lines
	}
	h.lookedAtTime.Do(func() { h.checkTime(ctx) })
	failed := h.handle(ctx, msgs, request)

	// A nil slice would be sent as null, which event sources read as a broken answer: all of the batch is retried then.
	again := make([]events.SQSBatchItemFailure, 0, len(failed))
	for _, id := range failed {
		again = append(again, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	return events.SQSEventResponse{BatchItemFailures: again}, nil
}

// checkTime tells of a time-out that is too short. It is seen by an invocation alone.
func (h *handler) checkTime(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < leastTime-time.Second {
		h.log.Error("the function's time-out is too short to commit beside others: set it to 30 s, and the queue's visibility timeout to 180 s",
			"left", time.Until(deadline).Round(time.Millisecond).String())
	}
}

// handle commits the messages, writes their metrics, and returns the ids of those to deliver again. request names the
// invocation, where there is one.
func (h *handler) handle(ctx context.Context, msgs []commitlib.Message, request string) (again []string) {
	began := time.Now()
	again = h.committer.Handle(ctx, msgs)
	if len(again) > 0 {
		h.log.LogAttrs(ctx, slog.LevelWarn, "messages are to be delivered again", slog.Int("again", len(again)), slog.Int("messages", len(msgs)),
			slog.String("took", time.Since(began).Round(time.Millisecond).String()), slog.String("requestId", request))
	}
	h.meter.batch(began, len(msgs), len(again), request)
	return again
}
