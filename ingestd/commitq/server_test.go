package commitq

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"firn/commitlib/awsenv"
	"firn/commitlib/fifo"
	"firn/commitlib/objstore"
	"firn/perf/peer"
	"firn/perf/tier"
)

func openFIFO(t *testing.T, a *peer.AWSServer, endpoint, url string) *fifo.Queue {
	t.Helper()
	q, err := fifo.Open(t.Context(), fifo.Config{
		AWS: aws.Config{HTTPClient: awsenv.Client(), Region: a.Region, Credentials: credentials.NewStaticCredentialsProvider(a.AccessKey, a.SecretKey, "")},
		URL: url, Endpoint: endpoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// drain takes everything out of the queue: ids by group, from the bodies, in order of delivery.
func drain(t *testing.T, q *fifo.Queue) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	for {
		msgs, err := q.Receive(t.Context(), fifo.MaxBatch, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(msgs) == 0 {
			return got
		}
		for _, m := range msgs {
			got[m.Group] = append(got[m.Group], string(m.Body))
		}
		if err := q.Delete(t.Context(), msgs); err != nil {
			t.Fatal(err)
		}
	}
}

// faults are what a network and a service in trouble do to calls that send: the first is throttled, which the SDK does not
// try again by itself, and of the others a third meets something.
func faults(seed uint64) func(*peer.Request) peer.Fault {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 1))
	first := true
	throttled := &peer.Answer{Status: 400, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
		Body: `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"The request was denied due to request throttling."}`}
	return func(r *peer.Request) peer.Fault {
		if r.Operation != "SendMessageBatch" {
			return peer.Fault{}
		}
		mu.Lock()
		defer mu.Unlock()
		if first {
			first = false
			return peer.Fault{Answer: throttled}
		}
		switch rng.IntN(18) {
		case 0:
			return peer.Fault{Reset: true}
		case 1:
			return peer.Fault{Lose: true} // it was sent, and nobody knows
		case 2:
			return peer.Fault{HalfSent: true}
		case 3:
			return peer.Fault{Instead: &peer.Answer{Status: 503, Body: "service unavailable"}}
		case 4:
			return peer.Fault{Answer: throttled}
		case 5:
			return peer.Fault{Delay: 200 * time.Millisecond}
		}
		return peer.Fault{}
	}
}

// Whatever happens to the calls, each message gets to SQS once, in its group's order: what is tried again has the id of
// the first try.
func TestOrderSurvivesATroubledNetwork(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	for range tier.Pick(1, 2, 20) {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) { orderSurvives(t, a, seed) })
	}
}

func orderSurvives(t *testing.T, a *peer.AWSServer, seed uint64) {
	proxy := peer.Proxy(t, a.Endpoint)
	url, _ := a.NewFIFO(t)
	cfg := DefaultSQSConfig()
	cfg.Seed, cfg.MinBackoff, cfg.MaxBackoff = seed|1, 5*time.Millisecond, 50*time.Millisecond
	q, err := NewSQS(openFIFO(t, a, proxy.URL, url), objstore.NewMem("mem://wh"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Hook(faults(seed))

	const groups, each = 8, 60
	var producers sync.WaitGroup
	for g := range groups {
		producers.Go(func() {
			name := fmt.Sprintf("default.t%d", g)
			for i := range each {
				m := Message{ID: fmt.Sprintf("%s-%d", name, i), Group: name, Body: fmt.Appendf(nil, "%d", i)}
				if err := q.Send(context.Background(), []Message{m}); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	producers.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := q.Close(ctx); err != nil {
		t.Fatal(err)
	}
	s := q.Stats()
	t.Logf("%d messages in %d calls, %d of them troubled; the server saw %d", s.Handled, s.Calls, s.CallErrors, proxy.Requests("SendMessageBatch"))
	if s.CallErrors == 0 || s.Handled != groups*each || s.GivenUp != 0 {
		t.Errorf("stats %+v", s)
	}
	var want []string
	for i := range each {
		want = append(want, fmt.Sprint(i))
	}
	got := drain(t, openFIFO(t, a, a.Endpoint, url))
	for g := range groups {
		if name := fmt.Sprintf("default.t%d", g); !slices.Equal(got[name], want) {
			t.Errorf("group %s: %v", name, got[name])
		}
	}
}

// Each sending of one request has an id of its own, so that SQS delivers it again within its 5 minutes; the same id
// would be dropped.
func TestEachSendingIsDelivered(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	url, _ := a.NewFIFO(t)
	q, err := NewSQS(openFIFO(t, a, a.Endpoint, url), objstore.NewMem("mem://wh"), DefaultSQSConfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"1", "2", "2"} {
		mustSend(t, q, Message{ID: id, Group: "g", Body: []byte("request")})
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, openFIFO(t, a, a.Endpoint, url)); !slices.Equal(got["g"], []string{"request", "request"}) {
		t.Errorf("got %q", got)
	}
}

// Somebody lowers what the queue takes while ingestd runs: one request is dropped for it, and its next sending goes by way
// of the store.
func TestLoweredLimitIsNoticed(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	url, _ := a.NewFIFO(t)
	store := objstore.NewMem("mem://wh")
	q, err := NewSQS(openFIFO(t, a, a.Endpoint, url), store, DefaultSQSConfig())
	if err != nil {
		t.Fatal(err)
	}
	lower := map[string]any{"QueueUrl": url, "Attributes": map[string]string{"MaximumMessageSize": "4096"}}
	if err := a.Call("sqs", "AmazonSQS.SetQueueAttributes", lower, nil); err != nil {
		t.Fatal(err)
	}
	settled := func(n uint64) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if s := q.Stats(); s.Handled+s.GivenUp == n {
				return
			} else if time.Now().After(end) {
				t.Fatalf("stats %+v", s)
			}
		}
	}
	body := largeRequest(store, someLog, 5, 5000)
	mustSend(t, q, Message{ID: "1", Group: "g", Body: body}, Message{ID: "2", Group: "h", Body: []byte("small")})
	settled(2)
	mustSend(t, q, Message{ID: "3", Group: "g", Body: body})
	settled(3)
	if s := q.Stats(); s.GivenUp != 1 || s.Claims != 1 || s.Handled != 2 {
		t.Errorf("stats %+v", s)
	}
	if got := drain(t, openFIFO(t, a, a.Endpoint, url)); len(got["g"]) != 1 || len(got["h"]) != 1 || len(got["g"][0]) > 400 {
		t.Errorf("got %q", got)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A queue that is deleted under us is told with what to do, and made anew it goes on by itself.
func TestDeletedQueueIsToldAndFoundAgain(t *testing.T) {
	tier.Need(t, tier.CI)
	a := peer.AWS(t)
	url, _ := a.NewFIFO(t)
	cfg := DefaultSQSConfig()
	cfg.RefuseAfter, cfg.MaxBackoff = 50*time.Millisecond, 200*time.Millisecond
	q, err := NewSQS(openFIFO(t, a, a.Endpoint, url), objstore.NewMem("mem://wh"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Call("sqs", "AmazonSQS.DeleteQueue", map[string]string{"QueueUrl": url}, nil); err != nil {
		t.Fatal(err)
	}
	mustSend(t, q, Message{ID: "1", Group: "g", Body: []byte("1")})
	for end := time.Now().Add(10 * time.Second); fifo.KindOf(q.Reachable(t.Context())) != fifo.Misconfigured; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("reachable: %v", q.Reachable(t.Context()))
		}
	}
	if err := q.Send(t.Context(), messages("g", 1, 2)); fifo.KindOf(err) != fifo.Misconfigured {
		t.Errorf("got %v", err)
	}
	name := url[strings.LastIndexByte(url, '/')+1:]
	if err := a.Call("sqs", "AmazonSQS.CreateQueue", map[string]any{"QueueName": name, "Attributes": map[string]string{"FifoQueue": "true"}}, nil); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, openFIFO(t, a, a.Endpoint, url)); !slices.Equal(got["g"], []string{"1"}) {
		t.Errorf("got %q", got)
	}
}
