package fifo

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"firn/commitlib"
)

// ReasonAttribute is the message attribute in which a dead letter says why it is one.
const ReasonAttribute = "firn.reason"

// maxReason bounds the reason in bytes: it counts into the message's size.
const maxReason = 1000

// Reject puts into q, a dead-letter queue, a message that can never succeed, with the reason. It is what
// commitlib.Config.DeadLetter wants. A message that is delivered and rejected again within 5 minutes is there once,
// since its id is the deduplication id.
func (q *Queue) Reject(ctx context.Context, m commitlib.Message, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := q.client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl: aws.String(q.url), MessageBody: aws.String(string(m.Body)),
		MessageGroupId: aws.String(commitlib.QueueGroup(m.Group)), MessageDeduplicationId: aws.String(m.ID),
		MessageAttributes: map[string]types.MessageAttributeValue{
			ReasonAttribute: {DataType: aws.String("String"), StringValue: aws.String(attribute(reason))},
		},
	})
	if err != nil {
		return q.failed("put a dead letter into", "sqs:SendMessage", err)
	}
	return nil
}

// attribute makes text one that SQS takes: not empty, of bounded length, without what XML has no place for.
func attribute(text string) string {
	text = strings.Map(func(r rune) rune {
		if !allowed(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxReason {
		text = text[:maxReason]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	if strings.TrimSpace(text) == "" {
		return "no reason was given"
	}
	return text
}

// allowed reports whether a message may hold the character: those of XML 1.0.
func allowed(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000
}
