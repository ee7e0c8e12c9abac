package fifo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Attributes are what the queue says about itself.
type Attributes struct {
	MaxBytes   int           // of a message and of a batch
	Visibility time.Duration // how long a received message is hidden
	Retention  time.Duration // how long a message is kept

	// DeadLetterARN is where SQS itself moves a message that was received MaxReceives times; empty and 0 without one.
	DeadLetterARN string
	MaxReceives   int

	// PerGroup tells that groups are throttled each on its own (high throughput): without it the queue takes 300 calls a
	// second in all.
	PerGroup bool

	Depth Depth
}

// Depth is how many messages the queue holds, approximately, as SQS counts them.
type Depth struct {
	Visible  int // waiting to be received
	InFlight int // received, neither deleted nor visible again
}

// Attributes asks the queue. An error of kind Misconfigured says what to do about a queue that cannot be used.
func (q *Queue) Attributes(ctx context.Context) (Attributes, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(q.url), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return Attributes{}, q.failed("read attributes of", "sqs:GetQueueAttributes", err)
	}
	a, err := parseAttributes(out.Attributes)
	if err != nil {
		return Attributes{}, &Error{Kind: Misconfigured, Err: fmt.Errorf("queue %s: %w", q.url, err)}
	}
	q.attrs.Store(&a)
	return a, nil
}

// Depth asks how many messages wait.
func (q *Queue) Depth(ctx context.Context) (Depth, error) {
	a, err := q.Attributes(ctx)
	return a.Depth, err
}

func parseAttributes(m map[string]string) (Attributes, error) {
	if m["FifoQueue"] != "true" {
		return Attributes{}, errors.New("it is not FIFO: create one whose name ends in .fifo (a standard queue cannot be changed into one)")
	}
	var errs []error
	number := func(name string, absent int) int {
		text, ok := m[name]
		if !ok {
			return absent
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			errs = append(errs, fmt.Errorf("attribute %s is %q, want a number", name, text))
		}
		return n
	}
	a := Attributes{
		MaxBytes:   number("MaximumMessageSize", defaultMaxBytes),
		Visibility: time.Duration(number("VisibilityTimeout", 30)) * time.Second,
		Retention:  time.Duration(number("MessageRetentionPeriod", 4*24*3600)) * time.Second,
		PerGroup:   m["FifoThroughputLimit"] == "perMessageGroupId",
		Depth: Depth{
			Visible:  number("ApproximateNumberOfMessages", 0),
			InFlight: number("ApproximateNumberOfMessagesNotVisible", 0),
		},
	}
	if text := m["RedrivePolicy"]; text != "" {
		var policy struct {
			ARN string      `json:"deadLetterTargetArn"`
			Max json.Number `json:"maxReceiveCount"` // a number, or one in quotes
		}
		if err := json.Unmarshal([]byte(text), &policy); err != nil {
			errs = append(errs, fmt.Errorf("attribute RedrivePolicy %q: %w", text, err))
		}
		n, _ := strconv.Atoi(policy.Max.String())
		a.DeadLetterARN, a.MaxReceives = policy.ARN, n
	}
	return a, errors.Join(errs...)
}
