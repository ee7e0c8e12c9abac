package fifo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"firn/commitlib"
)

// MaxBatch is the most messages that one call sends, and that one Receive returns.
const MaxBatch = 10

// SendError tells which messages of a Send the queue did not take, or may not have taken; it took the others.
type SendError struct {
	Failed []Failure // in the order of the messages
}

// Failure is one message that was not taken.
type Failure struct {
	Index int    // into Send's slice
	ID    string // the message's
	Err   error  // see KindOf
}

func (e *SendError) Error() string {
	return fmt.Sprintf("%d messages were not sent: %v", len(e.Failed), e.Failed[0].Err)
}

// Unwrap gives the first message's error: those of one call are alike, and the kind of the first decides what to do.
func (e *SendError) Unwrap() error { return e.Failed[0].Err }

// Send puts the messages into the queue, in order, with as few calls as their number and size allow. The group of a
// message becomes its message group (shortened by commitlib.QueueGroup), its id the deduplication id: SQS drops one that
// it has seen within 5 minutes, so each sending needs a new one. A nil error means that all are stored. Otherwise it is
// a *SendError: after a call without an answer nothing more is sent, and what that call carried may be stored all the
// same.
func (q *Queue) Send(ctx context.Context, msgs []commitlib.Message) error {
	var failed []Failure
	for from := 0; from < len(msgs); {
		n := q.batch(msgs[from:])
		if n == 0 { // larger than the queue takes
			failed = append(failed, Failure{from, msgs[from].ID, q.tooLarge(&msgs[from])})
			from++
			continue
		}
		if err := q.sendBatch(ctx, msgs, from, from+n, &failed); err != nil {
			for i := from; i < len(msgs); i++ {
				failed = append(failed, Failure{i, msgs[i].ID, err})
			}
			break
		}
		from += n
	}
	if len(failed) > 0 {
		return &SendError{Failed: failed}
	}
	return nil
}

// Calls is how many calls Send makes for the messages, where nothing goes wrong.
func (q *Queue) Calls(msgs []commitlib.Message) (calls int) {
	for len(msgs) > 0 {
		n := q.batch(msgs)
		if n > 0 {
			calls++
		}
		msgs = msgs[max(n, 1):]
	}
	return calls
}

// batch is how many messages from the front fit one call: at most MaxBatch, and together no larger than one message
// may be, which SQS demands. 0: the first alone does not fit.
func (q *Queue) batch(msgs []commitlib.Message) (n int) {
	room := q.MaxBytes()
	for n < len(msgs) && n < MaxBatch && len(msgs[n].Body) <= room {
		room -= len(msgs[n].Body)
		n++
	}
	return n
}

func (q *Queue) tooLarge(m *commitlib.Message) error {
	return &Error{Kind: BadMessage, Err: fmt.Errorf("send to queue %s: message of %d bytes for group %s: the queue takes %d", q.url, len(m.Body), m.Group, q.MaxBytes())}
}

// sendBatch sends msgs[from:to] in one call and adds those that were refused alone; its error is the whole call's.
func (q *Queue) sendBatch(ctx context.Context, msgs []commitlib.Message, from, to int, failed *[]Failure) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	entries := make([]types.SendMessageBatchRequestEntry, 0, to-from)
	for i := from; i < to; i++ {
		entries = append(entries, types.SendMessageBatchRequestEntry{
			Id:                     aws.String(strconv.Itoa(i - from)),
			MessageBody:            aws.String(string(msgs[i].Body)),
			MessageGroupId:         aws.String(commitlib.QueueGroup(msgs[i].Group)),
			MessageDeduplicationId: aws.String(msgs[i].ID),
		})
	}
	out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: aws.String(q.url), Entries: entries})
	if err != nil {
		return q.failed("send to", "sqs:SendMessage", err)
	}
	refused := q.refusals("send to", "sqs:SendMessage", out.Failed)
	for i := from; i < to; i++ {
		if err := refused[i-from]; err != nil {
			*failed = append(*failed, Failure{i, msgs[i].ID, err})
		}
	}
	return nil
}

// refusals are the entries of a batch call that SQS refused, by their index.
func (q *Queue) refusals(doing, action string, entries []types.BatchResultErrorEntry) map[int]error {
	refused := make(map[int]error, len(entries))
	for _, e := range entries {
		i, err := strconv.Atoi(aws.ToString(e.Id))
		if err != nil {
			continue // none of ours
		}
		code, message := aws.ToString(e.Code), aws.ToString(e.Message)
		kind, advice := judge(code, message, action)
		if kind == Unreachable && e.SenderFault { // SQS looked at it: an unknown code alone says nothing of trying again
			kind = BadMessage
		}
		text := strings.TrimSuffix(fmt.Sprintf("%s queue %s: %s: %s: %s", doing, q.url, code, message, advice), ": ")
		refused[i] = &Error{Kind: kind, Code: code, Err: errors.New(text)}
	}
	return refused
}
