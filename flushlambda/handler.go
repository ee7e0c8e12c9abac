package main

import (
	"context"
	"fmt"
	"log/slog"
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

// handler turns batches of messages into commits. It keeps nothing between them that must survive.
type handler struct {
	committer committer
	meter     *meter
	log       *slog.Logger
}

// invoke is the Lambda function. It answers with the messages that the queue is to deliver again; every other one is
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
		request = lc.AwsRequestID
	}
	failed := h.handle(ctx, msgs, request)

	// A nil slice would be sent as null, which event sources read as a broken answer: all of the batch is retried then.
	again := make([]events.SQSBatchItemFailure, 0, len(failed))
	for _, id := range failed {
		again = append(again, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	return events.SQSEventResponse{BatchItemFailures: again}, nil
}

// handle commits the messages, writes their metrics, and returns the ids of those to deliver again. request names the
// invocation, where there is one.
func (h *handler) handle(ctx context.Context, msgs []commitlib.Message, request string) (again []string) {
	began := time.Now()
	again = h.committer.Handle(ctx, msgs)
	if len(again) > 0 {
		h.log.LogAttrs(ctx, slog.LevelWarn, "messages are to be delivered again",
			slog.Int("again", len(again)), slog.Int("messages", len(msgs)), slog.Duration("took", time.Since(began)), slog.String("requestId", request))
	}
	h.meter.batch(began, len(msgs), len(again), request)
	return again
}
