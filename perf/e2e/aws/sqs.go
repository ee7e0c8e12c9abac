package aws

import (
	"encoding/json"
	"strings"

	"firn/perf/peer"
)

// receive takes up to ten messages from a queue, and deletes them there. It waits up to a second for the first.
func receive(sqs *peer.AWSServer, queue string) ([]message, error) {
	in := map[string]any{
		"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1,
		"AttributeNames": []string{"All"}, "MessageAttributeNames": []string{"All"},
	}
	var out struct{ Messages []message }
	if err := sqs.Call("sqs", "AmazonSQS.ReceiveMessage", in, &out); err != nil {
		return nil, err
	}
	for _, m := range out.Messages {
		if err := sqs.Call("sqs", "AmazonSQS.DeleteMessage", map[string]any{"QueueUrl": queue, "ReceiptHandle": m.ReceiptHandle}, nil); err != nil {
			return nil, err
		}
	}
	return out.Messages, nil
}

// event is what Lambda's event source for SQS invokes a function with.
func event(batch []heldCopy) []byte {
	type record struct {
		MessageID         string            `json:"messageId"`
		ReceiptHandle     string            `json:"receiptHandle"`
		Body              string            `json:"body"`
		Attributes        map[string]string `json:"attributes"`
		MessageAttributes map[string]any    `json:"messageAttributes"`
		EventSource       string            `json:"eventSource"`
		EventSourceARN    string            `json:"eventSourceARN"`
		Region            string            `json:"awsRegion"`
	}
	records := make([]record, len(batch))
	for i, m := range batch {
		attributes := make(map[string]any, len(m.MessageAttributes))
		for name, v := range m.MessageAttributes {
			attributes[name] = lowered(v)
		}
		records[i] = record{
			m.MessageId, m.ReceiptHandle, m.Body, m.Attributes, attributes,
			"aws:sqs", "arn:aws:sqs:" + peer.Region + ":" + peer.AccessKey + ":requests.fifo", peer.Region,
		}
	}
	text, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		panic(err) // strings and maps of strings always marshal
	}
	return text
}

// lowered is a message attribute as events spell it: stringValue for StringValue.
func lowered(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[strings.ToLower(k[:1])+k[1:]] = v
	}
	return out
}
