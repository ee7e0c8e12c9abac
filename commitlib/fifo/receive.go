package fifo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"

	"firn/commitlib"
)

// MaxWait is the longest that SQS lets a Receive wait for a message.
const MaxWait = 20 * time.Second

// maxVisibility is SQS's bound, counted from the delivery.
const maxVisibility = 12 * time.Hour

// Received is one delivery of a message. Message.ID is SQS's message id, the same in each delivery of one message.
type Received struct {
	commitlib.Message
	Receipt  string    // names this delivery
	Receives int       // deliveries so far, this one included
	Sent     time.Time // by SQS's clock
}

// Receive returns up to max messages (1 to MaxBatch), waiting for the first; none is no error. They are hidden from
// others for the queue's visibility timeout, and until then or until they are deleted so is all that follows them in
// their groups.
func (q *Queue) Receive(ctx context.Context, max int, wait time.Duration) ([]Received, error) {
	wait = min(wait, MaxWait).Truncate(time.Second)
	ctx, cancel := context.WithTimeout(ctx, wait+callTimeout)
	defer cancel()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl: aws.String(q.url), MaxNumberOfMessages: int32(min(max, MaxBatch)), WaitTimeSeconds: int32(wait / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameMessageGroupId,
			types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameSentTimestamp,
		},
		// The same in the client's own retries: a lost answer's messages come again at once, instead of after the
		// visibility timeout.
		ReceiveRequestAttemptId: aws.String(uuid.NewString()),
	})
	if err != nil {
		return nil, q.failed("receive from", "sqs:ReceiveMessage", err)
	}
	msgs := make([]Received, 0, len(out.Messages))
	for _, m := range out.Messages {
		r := Received{
			Message: commitlib.Message{ID: aws.ToString(m.MessageId), Group: m.Attributes["MessageGroupId"], Body: []byte(aws.ToString(m.Body))},
			Receipt: aws.ToString(m.ReceiptHandle),
		}
		r.Receives, _ = strconv.Atoi(m.Attributes["ApproximateReceiveCount"]) // both inform, and decide nothing
		if ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64); err == nil {
			r.Sent = time.UnixMilli(ms)
		}
		msgs = append(msgs, r)
	}
	return msgs, nil
}

// Delete removes messages that are done with. One whose delivery has ended (its visibility timeout passed) stays and
// comes again, which costs a skip: the error names it.
func (q *Queue) Delete(ctx context.Context, msgs []Received) error {
	return inBatches(msgs, func(batch []Received) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		entries := make([]types.DeleteMessageBatchRequestEntry, len(batch))
		for i := range batch {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(batch[i].Receipt)}
		}
		out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: aws.String(q.url), Entries: entries})
		if err != nil {
			return q.failed("delete from", "sqs:DeleteMessage", err)
		}
		return joined(batch, q.refusals("delete from", "sqs:DeleteMessage", out.Failed))
	})
}

// Extend hides messages for d from now on: while they are being handled, or 0 to have them delivered again at once.
func (q *Queue) Extend(ctx context.Context, msgs []Received, d time.Duration) error {
	seconds := int32(min(max(d, 0), maxVisibility) / time.Second)
	return inBatches(msgs, func(batch []Received) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(batch))
		for i := range batch {
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(batch[i].Receipt), VisibilityTimeout: seconds,
			}
		}
		out, err := q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: aws.String(q.url), Entries: entries})
		if err != nil {
			return q.failed("extend visibility in", "sqs:ChangeMessageVisibility", err)
		}
		return joined(batch, q.refusals("extend visibility in", "sqs:ChangeMessageVisibility", out.Failed))
	})
}

// inBatches calls do for each MaxBatch messages, all of them even if some do not work.
func inBatches(msgs []Received, do func([]Received) error) error {
	var errs []error
	for len(msgs) > 0 {
		n := min(len(msgs), MaxBatch)
		if err := do(msgs[:n]); err != nil {
			errs = append(errs, err)
		}
		msgs = msgs[n:]
	}
	return errors.Join(errs...)
}

func joined(batch []Received, refused map[int]error) error {
	var errs []error
	for i := range batch {
		if err := refused[i]; err != nil {
			errs = append(errs, fmt.Errorf("message %s: %w", batch[i].ID, err))
		}
	}
	return errors.Join(errs...)
}
