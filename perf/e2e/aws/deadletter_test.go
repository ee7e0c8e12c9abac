package aws

import (
	"strings"
	"testing"
	"time"

	"firn/perf/e2e"
	"firn/perf/tier"
)

// A message that was received too often without success lands in the dead-letter queue, and the table's later messages
// find a gap. Nobody does anything: the sender sends again, and all is committed. The dead letter, delivered by an
// operator afterwards, changes nothing.
func TestDeadLetterHeals(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	seed := e2e.Seed(t)
	p := newPipeline(t, objectStore)
	p.queue, p.dead = p.sqs.NewFIFOWith(t, map[string]string{"VisibilityTimeout": "0"}) // ten receives, then it is dead

	tables := []string{"clicks"}
	ledger := e2e.NewLedger()
	n := p.newNode(ledger, 1, 4, seed, tables, "-cut-interval", "300ms")
	n.producers.Pause = 40 * time.Millisecond
	n.start()
	var letters []message
	await(t, "a message is dead", time.Minute, func() bool {
		var ignored struct{}
		if err := p.sqs.Call("sqs", "AmazonSQS.ReceiveMessage", map[string]any{"QueueUrl": p.queue, "MaxNumberOfMessages": 10}, &ignored); err != nil {
			t.Fatal(err)
		}
		dead, err := receive(p.sqs, p.dead)
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, dead...)
		return len(letters) > 0
	})

	n.rest()
	p.deliver(manner{functions: 1, copies: 1, seed: seed})
	began := time.Now()
	n.committed(2*time.Minute, tables...)
	t.Logf("%d dead letters, healed within %v", len(letters), time.Since(began).Round(time.Second))
	p.delivery.again(letters)
	p.settle(ledger, []*node{n}, tables)
}

// What is no commit request goes to the dead-letter queue with the reason, once, and the messages around it are
// handled.
func TestForeignMessagesAreRejected(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	seed := e2e.Seed(t)
	p := newPipeline(t, objectStore)
	foreign := []string{`{"hello":"world"}`, `no JSON at all`, `{"version":99}`}
	for i, body := range foreign {
		in := map[string]any{"QueueUrl": p.queue, "MessageBody": body, "MessageGroupId": "default.clicks", "MessageDeduplicationId": string(rune('a' + i))}
		if err := p.sqs.Call("sqs", "AmazonSQS.SendMessage", in, nil); err != nil {
			t.Fatal(err)
		}
	}
	tables := []string{"clicks"}
	ledger := e2e.NewLedger()
	n := p.newNode(ledger, 1, 2, seed, tables, "-cut-interval", "300ms")
	n.start()
	p.deliver(manner{functions: 1, copies: 1, seed: seed})
	var letters []message
	await(t, "all foreign messages are dead letters", time.Minute, func() bool {
		dead, err := receive(p.sqs, p.dead)
		if err != nil {
			t.Fatal(err)
		}
		letters = append(letters, dead...)
		return len(letters) >= len(foreign)
	})
	p.settle(ledger, []*node{n}, tables)

	more, err := receive(p.sqs, p.dead)
	if err != nil {
		t.Fatal(err)
	}
	letters = append(letters, more...)
	for _, body := range foreign {
		found := 0
		for _, m := range letters {
			if m.Body != body {
				continue
			}
			found++
			if reason := reasonOf(m); len(reason) < 10 {
				t.Errorf("%s: the reason is %q", body, reason)
			}
		}
		if found != 1 {
			t.Errorf("%s is in the dead-letter queue %d times, want once", body, found)
		}
	}
	if len(letters) != len(foreign) {
		t.Errorf("%d dead letters, want %d", len(letters), len(foreign))
	}
}

// reasonOf is why a message was rejected: the attribute that a function sends along.
func reasonOf(m message) string {
	for name, v := range m.MessageAttributes {
		attribute, ok := v.(map[string]any)
		if text, isText := attribute["StringValue"].(string); ok && isText && strings.Contains(strings.ToLower(name), "reason") {
			return text
		}
	}
	return ""
}
