package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"firn/commitlib"
)

// committer is commitlib.Committer as the handler sees it.
type committer interface {
	// Handle commits the messages and returns the ids of those to deliver again, some time before ctx's deadline.
	Handle(ctx context.Context, msgs []commitlib.Message) []string
}

// handler turns one SQS batch into commits. It keeps no state between invocations.
type handler struct {
	committer committer
	log       *slog.Logger
}

// handle answers with the messages that the queue is to deliver again; every other message is done with. It returns no
// error: an error would deliver the whole batch again, the committed part included.
func (h *handler) handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	began := time.Now()
	msgs := make([]commitlib.Message, len(batch.Records))
	for i, r := range batch.Records {
		msgs[i] = commitlib.Message{ID: r.MessageId, Group: r.Attributes["MessageGroupId"], Body: []byte(r.Body)}
	}
	failed := h.committer.Handle(ctx, msgs)

	// A nil slice would be sent as null, which event sources read as a broken answer: all of the batch is retried then.
	again := make([]events.SQSBatchItemFailure, 0, len(failed))
	for _, id := range failed {
		again = append(again, events.SQSBatchItemFailure{ItemIdentifier: id})
	}
	h.log.LogAttrs(ctx, slog.LevelInfo, "batch handled",
		slog.Int("messages", len(msgs)), slog.Int("again", len(again)), slog.Duration("took", time.Since(began)))
	return events.SQSEventResponse{BatchItemFailures: again}, nil
}
