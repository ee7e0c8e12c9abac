package fifo

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"firn/commitlib"
	"firn/commitlib/awsenv"
	"firn/perf/peer"
	"firn/perf/tier"
)

// open returns the queue of that URL on a server, by way of endpoint.
func open(t *testing.T, a *peer.AWSServer, endpoint, url string) *Queue {
	t.Helper()
	q, err := Open(t.Context(), awsConfig(a, endpoint, url))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func awsConfig(a *peer.AWSServer, endpoint, url string) Config {
	return Config{
		AWS: aws.Config{HTTPClient: awsenv.Client(), Region: a.Region, Credentials: credentials.NewStaticCredentialsProvider(a.AccessKey, a.SecretKey, "")},
		URL: url, Endpoint: endpoint,
	}
}

func message(group string, n int) commitlib.Message {
	return commitlib.Message{ID: fmt.Sprintf("%s-%d", group, n), Group: group, Body: fmt.Appendf(nil, "%s %d", group, n)}
}

// receive takes what the queue gives at once.
func receive(t *testing.T, q *Queue, max int) []Received {
	t.Helper()
	got, err := q.Receive(t.Context(), max, 0)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func bodies(msgs []Received) (all []string) {
	for _, m := range msgs {
		all = append(all, string(m.Body))
	}
	return all
}

func TestMessagesComeInOrderAndOnce(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	proxy := peer.Proxy(t, a.Endpoint)
	url, _ := a.NewFIFO(t)
	q := open(t, a, proxy.URL, url)
	if at, err := q.Attributes(t.Context()); err != nil || at.Visibility != 30*time.Second || at.MaxReceives != 10 || !at.PerGroup || q.MaxBytes() != 1<<20 {
		t.Fatalf("attributes %+v, %v", at, err)
	}

	long := strings.Repeat("n", 100) + "." + strings.Repeat("t", 128)
	var sent []commitlib.Message
	for i := range 12 {
		sent = append(sent, message("default.a", i), message(long, i))
	}
	// The first answer is lost: the client's second try is the same message to the queue.
	var calls atomic.Int64
	proxy.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation == "SendMessageBatch" {
			calls.Add(1)
		}
		return peer.Fault{Lose: r.Operation == "SendMessageBatch" && r.N == 1}
	})
	if err := q.Send(t.Context(), sent); err != nil {
		t.Fatal(err)
	}
	if n := calls.Load(); n != 4 || q.Calls(sent) != 3 {
		t.Errorf("%d calls, want 3 and one more for the lost answer", n)
	}
	if d, err := q.Depth(t.Context()); err != nil || d.Visible != 24 {
		t.Errorf("depth %+v, %v, want 24 visible", d, err)
	}

	seen := map[string][]string{}
	for left := 24; left > 0; {
		got := receive(t, q, MaxBatch)
		if len(got) == 0 {
			t.Fatalf("%d messages are missing", left)
		}
		for _, m := range got {
			if m.Receives != 1 || m.Receipt == "" || m.ID == "" || time.Since(m.Sent).Abs() > time.Minute {
				t.Errorf("delivery %+v", m)
			}
			seen[m.Group] = append(seen[m.Group], string(m.Body))
		}
		if err := q.Delete(t.Context(), got); err != nil {
			t.Fatal(err)
		}
		left -= len(got)
	}
	for _, group := range []string{"default.a", long} {
		var want []string
		for i := range 12 {
			want = append(want, string(message(group, i).Body))
		}
		if !slices.Equal(seen[commitlib.QueueGroup(group)], want) {
			t.Errorf("group %s: %q", group, seen[commitlib.QueueGroup(group)])
		}
	}
}

func TestMessageIsHiddenAsLongAsItIsExtended(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	url, _ := a.NewFIFO(t)
	q := open(t, a, a.Endpoint, url)
	if err := q.Send(t.Context(), []commitlib.Message{message("g", 0), message("g", 1)}); err != nil {
		t.Fatal(err)
	}
	first := receive(t, q, 1)
	if got := receive(t, q, MaxBatch); len(got) != 0 {
		t.Errorf("a group with a hidden message gave %q", bodies(got))
	}
	if err := q.Extend(t.Context(), first, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := q.Extend(t.Context(), first, 0); err != nil { // not wanted: at once for others
		t.Fatal(err)
	}
	again := receive(t, q, MaxBatch)
	if got := bodies(again); !slices.Equal(got, []string{"g 0", "g 1"}) || again[0].Receives != 2 || again[0].ID != first[0].ID {
		t.Errorf("again %q, receives %d", got, again[0].Receives)
	}
}

// A queue takes the good ones of a batch, and the sender learns which were not.
func TestPartOfABatchIsRefused(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	url, _ := a.NewFIFOWith(t, map[string]string{"MaximumMessageSize": "2048"})
	q := open(t, a, a.Endpoint, url)
	msgs := []commitlib.Message{message("g", 0), message("g", 1), message("g", 2), message("g", 3)}
	msgs[1].Body = []byte("no \ufffe character")
	msgs[2].Body = bytes.Repeat([]byte("x"), 2049)
	err := q.Send(t.Context(), msgs)
	var refused *SendError
	if !errors.As(err, &refused) || len(refused.Failed) != 2 {
		t.Fatalf("got %v", err)
	}
	for i, f := range refused.Failed {
		if f.ID != msgs[f.Index].ID || KindOf(f.Err) != BadMessage {
			t.Errorf("failure %d: %+v (%v)", i, f, KindOf(f.Err))
		}
	}
	if got := bodies(receive(t, q, MaxBatch)); !slices.Equal(got, []string{"g 0", "g 3"}) {
		t.Errorf("the queue holds %q", got)
	}
}

func TestNothingIsSentPastACallWithoutAnswer(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	proxy := peer.Proxy(t, a.Endpoint)
	url, _ := a.NewFIFO(t)
	q := open(t, a, proxy.URL, url)
	var msgs []commitlib.Message
	for i := range 25 {
		msgs = append(msgs, message("g", i))
	}
	var calls atomic.Int64
	proxy.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation == "SendMessageBatch" {
			calls.Add(1)
		}
		return peer.Fault{Reset: r.Operation == "SendMessageBatch" && r.N > 1}
	})
	err := q.Send(t.Context(), msgs)
	var refused *SendError
	if !errors.As(err, &refused) || len(refused.Failed) != 15 || refused.Failed[0].Index != 10 || KindOf(err) != Unreachable {
		t.Fatalf("got %v", err)
	}
	if n := calls.Load(); n != 3 { // one, and one with its second try
		t.Errorf("%d calls", n)
	}
}

func TestDeadLetterSaysWhy(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	_, dead := a.NewFIFO(t)
	q, err := New(awsConfig(a, a.Endpoint, dead))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // its delivery is rejected twice
		if err := q.Reject(t.Context(), message("default.a", 7), "decode commit request: version 9\x00 is not 1"); err != nil {
			t.Fatal(err)
		}
	}
	var out struct {
		Messages []struct {
			Body              string
			MessageAttributes map[string]struct{ StringValue string }
		}
	}
	err = a.Call("sqs", "AmazonSQS.ReceiveMessage", map[string]any{
		"QueueUrl": dead, "MaxNumberOfMessages": 10, "MessageAttributeNames": []string{"All"},
	}, &out)
	if err != nil || len(out.Messages) != 1 || out.Messages[0].Body != "default.a 7" ||
		out.Messages[0].MessageAttributes[ReasonAttribute].StringValue != "decode commit request: version 9  is not 1" {
		t.Errorf("the dead-letter queue holds %+v, %v", out, err)
	}
}

func TestQueueThatCannotBeUsedIsTold(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	url, _ := a.NewFIFO(t)
	f := func(url, want string) {
		t.Helper()
		_, err := Open(t.Context(), awsConfig(a, a.Endpoint, url))
		if err == nil || KindOf(err) != Misconfigured || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v (%v), want %q", url, err, KindOf(err), want)
		}
	}
	f(strings.Replace(url, ".fifo", "-not.fifo", 1), "create it, or correct the URL")

	// Deleted under us.
	q := open(t, a, a.Endpoint, url)
	if err := a.Call("sqs", "AmazonSQS.DeleteQueue", map[string]string{"QueueUrl": url}, nil); err != nil {
		t.Fatal(err)
	}
	if err := q.Send(t.Context(), []commitlib.Message{message("g", 1)}); KindOf(err) != Misconfigured || !strings.Contains(err.Error(), "create it") {
		t.Errorf("a deleted queue: %v", err)
	}
	if _, err := q.Receive(t.Context(), 1, 0); KindOf(err) != Misconfigured {
		t.Errorf("a deleted queue: %v", err)
	}
}
