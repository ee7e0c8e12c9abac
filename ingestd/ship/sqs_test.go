package ship

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"firn/commitlib"
	"firn/commitlib/awsenv"
	"firn/commitlib/fifo"
	"firn/commitlib/objstore"
	"firn/ingestd/commitq"
	"firn/ingestd/kv"
	"firn/ingestd/registry"
	"firn/perf/peer"
	"firn/perf/tier"
)

// behindSQS is a world whose daemons and committer have an SQS server between them, in real time. Waits that are
// minutes in operation are seconds here.
type behindSQS struct {
	*world
	server *peer.AWSServer
	url    string // of the queue
	dead   string // of its dead-letter queue
	broken atomic.Bool
	polls  sync.WaitGroup
}

// onSQS makes the world, and polls the queue as the committer does until the test ends.
func onSQS(t *testing.T, attributes map[string]string) *behindSQS {
	t.Helper()
	tier.Need(t, tier.CI)
	b := &behindSQS{world: newWorld(t), server: peer.AWS(t)}
	b.url, b.dead = b.server.NewFIFOWith(t, attributes)
	b.cfg.ResendAfter, b.cfg.ResendMax = time.Second, 4*time.Second
	b.cfg.PollMin, b.cfg.PollMax = 50*time.Millisecond, 500*time.Millisecond
	b.cfg.RetryMin, b.cfg.RetryMax = 50*time.Millisecond, time.Second
	b.reg.Defaults.CutInterval = registry.Duration(100 * time.Millisecond)

	from := b.open(b.server.Endpoint, b.url)
	committer := commitlib.New(b.cat, b.store, b.ccfg)
	ctx, cancel := context.WithCancel(context.Background())
	b.polls.Go(func() { b.poll(ctx, from, committer) })
	t.Cleanup(func() { cancel(); b.polls.Wait() })
	return b
}

func (b *behindSQS) open(endpoint, url string) *fifo.Queue {
	b.Helper()
	q, err := fifo.Open(b.Context(), fifo.Config{
		AWS: aws.Config{HTTPClient: awsenv.Client(), Region: b.server.Region, Credentials: credentials.NewStaticCredentialsProvider(b.server.AccessKey, b.server.SecretKey, "")},
		URL: url, Endpoint: endpoint,
	})
	if err != nil {
		b.Fatal(err)
	}
	return q
}

// poll hands deliveries to the committer; what it does not take stays hidden until the visibility timeout has passed.
func (b *behindSQS) poll(ctx context.Context, from *fifo.Queue, committer *commitlib.Committer) {
	for ctx.Err() == nil {
		got, err := from.Receive(ctx, fifo.MaxBatch, time.Second)
		if err != nil || b.broken.Load() {
			continue
		}
		var msgs []commitlib.Message
		for _, r := range got {
			msgs = append(msgs, r.Message)
		}
		again := map[string]bool{}
		for _, id := range committer.Handle(ctx, msgs) {
			again[id] = true
		}
		var done []fifo.Received
		for _, r := range got {
			if !again[r.ID] {
				done = append(done, r)
			}
		}
		// One that took longer than it was hidden is delivered again, under another receipt.
		if err := from.Delete(ctx, done); err != nil && ctx.Err() == nil && fifo.KindOf(err) != fifo.BadMessage {
			b.Error(err)
		}
	}
}

// start runs a daemon that reaches SQS at endpoint.
func (b *behindSQS) start(endpoint string) (*node, *commitq.SQS) {
	b.Helper()
	n, err := b.world.open(kv.NewMem())
	if err != nil {
		b.Fatal(err)
	}
	cfg := commitq.DefaultSQSConfig()
	cfg.MinBackoff, cfg.MaxBackoff, cfg.RefuseAfter = 20*time.Millisecond, time.Second, 500*time.Millisecond
	q, err := commitq.NewSQS(b.open(endpoint, b.url), b.store, cfg)
	if err != nil {
		b.Fatal(err)
	}
	settling := &settlingNetwork{network: n.queue, Settler: q}
	n.queue.inner, n.shipper.Queue = q, settling
	n.run()
	b.Cleanup(func() {
		n.close()
		if err := q.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return n, q
}

// settlingNetwork is the node's counting queue, which passes on what is settled.
type settlingNetwork struct {
	*network
	commitq.Settler
}

// finish waits until everything is committed, and compares.
func (b *behindSQS) finish(n *node, tables ...string) {
	b.Helper()
	b.within(30*time.Second, "everything is committed", n.drained)
	for _, table := range tables {
		b.check(table)
	}
	for _, check := range b.later {
		check()
	}
}

// The committer is out of order until SQS has moved a request to the dead-letter queue, where nobody looks. Put right, it
// gets the request again from its sender, without a hand; moving the dead letter back later changes nothing.
func TestDeadLetterIsHealedByItsSender(t *testing.T) {
	b := onSQS(t, map[string]string{"VisibilityTimeout": "1", "RedrivePolicy": ""})
	dead := b.open(b.server.Endpoint, b.dead)
	arn := "arn:aws:sqs:" + b.server.Region + ":" + b.server.AccessKey + ":" + b.dead[strings.LastIndexByte(b.dead, '/')+1:]
	policy := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"2"}`, arn)
	if err := b.server.Call("sqs", "AmazonSQS.SetQueueAttributes", map[string]any{"QueueUrl": b.url, "Attributes": map[string]string{"RedrivePolicy": policy}}, nil); err != nil {
		t.Fatal(err)
	}
	n, _ := b.start(b.server.Endpoint)

	b.broken.Store(true)
	n.mustAppend("clicks", some(5)...)
	b.within(30*time.Second, "the request is a dead letter", func() bool {
		d, err := dead.Depth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return d.Visible > 0
	})
	n.mustAppend("clicks", some(5)...)
	b.broken.Store(false)
	b.within(30*time.Second, "everything is committed", n.drained)

	letters, err := dead.Receive(t.Context(), fifo.MaxBatch, 0)
	if err != nil || len(letters) == 0 {
		t.Fatalf("%d dead letters, %v", len(letters), err)
	}
	source := b.open(b.server.Endpoint, b.url)
	for i, l := range letters {
		l.Message.ID = fmt.Sprintf("moved-back-%d", i)
		if err := source.Send(t.Context(), []commitlib.Message{l.Message}); err != nil {
			t.Fatal(err)
		}
	}
	b.within(10*time.Second, "what was moved back is done with", func() bool {
		d, err := source.Depth(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return d == fifo.Depth{}
	})
	b.finish(n, "clicks")
	if s := n.shipper.Stats(); s.Resends == 0 || s.Stops != 0 {
		t.Errorf("stats %+v", s)
	}
}

// A queue takes little: every request goes by way of the store, and nothing of that is left.
func TestLargeRequestsAreClaimed(t *testing.T) {
	b := onSQS(t, map[string]string{"MaximumMessageSize": "1024"})
	n, q := b.start(b.server.Endpoint)
	for range 3 {
		n.mustAppend("clicks", some(50)...)
		n.mustAppend("views", some(50)...)
		b.within(30*time.Second, "everything is committed", n.drained)
	}
	b.finish(n, "clicks", "views")
	if s := q.Stats(); s.Claims < 6 || s.GivenUp != 0 {
		t.Errorf("stats %+v", s)
	}
	var left []string
	if err := b.store.List(t.Context(), "", func(i objstore.Info) error {
		if strings.Contains(i.Key, "/_firn/claims/") {
			left = append(left, i.Key)
		}
		return nil
	}); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
}

// The queue is gone for a while: events are taken, readiness says why they wait, and afterwards there is no storm.
func TestOutageOfTheQueueEndsWithoutAStorm(t *testing.T) {
	b := onSQS(t, nil)
	proxy := peer.Proxy(t, b.server.Endpoint)
	n, q := b.start(proxy.URL)
	const tables = 12
	var names []string
	for i := range tables {
		names = append(names, fmt.Sprintf("t%d", i))
	}
	write := func(until func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !until(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not within 30 s")
			}
			for _, name := range names {
				n.mustAppend(name, some(1)...)
			}
		}
	}
	write(func() bool { return q.Stats().Handled > 3*tables })

	proxy.Down()
	before, began := q.Stats(), time.Now()
	write(func() bool { return len(n.shipper.Ready()) > 0 })
	if why := n.shipper.Ready()[0]; !strings.Contains(why, "commit queue") || !strings.Contains(why, b.url) || q.Reachable(t.Context()) == nil {
		t.Errorf("ready says %q, reachable %v", why, q.Reachable(t.Context()))
	}
	write(func() bool { return time.Since(began) > 8*time.Second })
	during := q.Stats()
	if calls := during.Calls - before.Calls; calls > 40 || during.Messages > tables*b.cfg.Window || during.Handled-before.Handled > 10 {
		t.Errorf("in the outage %d calls, %d messages wait, %d were taken", calls, during.Messages, during.Handled-before.Handled)
	}

	// What goes out from here on is what waits, at most a window for each table, and for a table whose sender timed out its
	// window once more.
	var messages, calls atomic.Int64
	proxy.Hook(func(r *peer.Request) peer.Fault {
		var in struct{ Entries []json.RawMessage }
		if r.Operation == "SendMessageBatch" && json.Unmarshal(r.Body, &in) == nil {
			messages.Add(int64(len(in.Entries)))
			calls.Add(1)
		}
		return peer.Fault{}
	})
	segments := n.shipper.Stats().SegmentsCut
	proxy.Up()
	b.finish(n, names...)
	fresh := n.shipper.Stats().SegmentsCut - segments // what was cut after the return
	t.Logf("outage of %s: %d segments waited, %d were cut after; %d messages in %d calls", time.Since(began).Round(time.Second), during.Messages, fresh, messages.Load(), calls.Load())
	if most := int64(2*tables*b.cfg.Window) + int64(fresh); messages.Load() > most || calls.Load() > most/2 {
		t.Errorf("%d messages in %d calls after the outage, want at most %d", messages.Load(), calls.Load(), most)
	}
	if n.shipper.Ready() != nil || q.Reachable(t.Context()) != nil {
		t.Errorf("still not ready: %v", n.shipper.Ready())
	}
}
