package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/perf/peer"
	"firn/perf/peer/runtimeapi"
	"firn/perf/tier"
)

// s3Lake is a lake in a bucket of its own, reached through the proxy if there is one.
func s3Lake(t testing.TB, s *peer.S3Server) *lake {
	t.Helper()
	return newLake(t, append(s.Env(), "FIRN_WAREHOUSE="+s.Root()+"/lake")...)
}

// The built function against an S3 server: cold and warm commits, and rivals on one table.
func TestBootstrapOnS3(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	l := s3Lake(t, peer.S3(t))
	p := l.start()
	for i := range 5 {
		first := commitlib.Seq(i*10 + 1)
		got := invoke(t, p, batch(t, tableID.String(), map[string]string{"m": l.request(first, first+9)}, "m"))
		if got.Failed || string(got.Body) != nothingAgain {
			t.Fatalf("commit %d: answered %s (error: %v)", i, got.Body, got.Failed)
		}
	}
	if mark, rows := l.state(); mark != 50 || rows != "50" {
		t.Errorf("watermark %d and %s rows, want 50 and 50", mark, rows)
	}
	m := metricsOf(t, p)
	if m["Commits"] != 5 || m["Loads"] != 1 || m["ColdStarts"] != 1 || m["Files"] != 5 || m["DeadLettered"] != 0 || m["CommitMilliseconds"] <= 0 {
		t.Errorf("metrics %v", m)
	}
}

// The other catalogs that one bucket can have, each with a service of its own.
func TestBootstrapOnEachCatalog(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	f := func(t *testing.T, l *lake) {
		t.Helper()
		p := l.start()
		for i := range commitlib.Seq(3) {
			done(t, p, l.request(i*4+1, i*4+4))
		}
		if mark, rows := l.state(); mark != 12 || rows != "12" {
			t.Errorf("watermark %d and %s rows, want 12 and 12", mark, rows)
		}
		if m := metricsOf(t, p); m["Commits"] != 3 || m["Loads"] != 1 {
			t.Errorf("metrics %v", m)
		}
	}
	t.Run("glue", func(t *testing.T) {
		s, a := peer.S3(t), peer.AWS(t)
		f(t, newLake(t, append(append(a.Env(), s.Env()...), "FIRN_CATALOG=glue", "FIRN_WAREHOUSE="+s.Root()+"/lake")...))
	})
	t.Run("rest", func(t *testing.T) {
		r := peer.REST(t)
		f(t, newLake(t, append(r.S3.Env(), "FIRN_CATALOG=rest", "FIRN_CATALOG_URI="+r.URI, "FIRN_WAREHOUSE="+r.Warehouse)...))
	})
}

// A warm commit's requests, counted at the server: the cache saves the reading, never the writing.
func TestWarmInvocationReadsNothing(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s := peer.S3(t)
	proxy := peer.Proxy(t, s.Endpoint)
	l := s3Lake(t, s)
	p := runtimeapi.Start(t, bootstrap(t), append(s.At(proxy).Env(), "FIRN_WAREHOUSE="+s.Root()+"/lake")...)
	var bodies []string
	for i := range 6 {
		bodies = append(bodies, l.request(commitlib.Seq(i+1), commitlib.Seq(i+1)))
	}
	commit := func(i int) {
		if got := invoke(t, p, batch(t, tableID.String(), map[string]string{"m": bodies[i]}, "m")); string(got.Body) != nothingAgain {
			t.Fatalf("answered %s", got.Body)
		}
	}
	commit(0)
	proxy.ResetCounts()
	for i := 1; i < 6; i++ {
		commit(i)
	}
	// Manifest, list, metadata, hint.
	for operation, n := range proxy.Counts() {
		if operation != "PutObject" || n.Requests != 5*4 {
			t.Errorf("5 warm commits sent %d %s, want 20 PutObject alone", n.Requests, operation)
		}
	}
}

// A store that has become too slow to finish leaves the function time to say what is left: it answers before its
// deadline, with all that no snapshot holds. What the store did after all is skipped when it comes again.
func TestBootstrapAnswersBeforeItsDeadline(t *testing.T) {
	tier.Need(t, tier.CI) // not beside the others: what it measures is a second that the machine must not take
	s := peer.S3(t)
	proxy := peer.Proxy(t, s.Endpoint)
	l := s3Lake(t, s)
	p := runtimeapi.Start(t, bootstrap(t), append(s.At(proxy).Env(), "FIRN_WAREHOUSE="+s.Root()+"/lake")...)
	// f invokes under the fault with the time that a function has at most, and again without it.
	next := commitlib.Seq(1)
	f := func(name string, fault func(*peer.Request) peer.Fault) {
		t.Helper()
		bodies := map[string]string{"m1": l.request(next, next+4), "m2": l.request(next+5, next+9)}
		event := batch(t, tableID.String(), bodies, "m1", "m2")
		proxy.Hook(fault)
		const timeout = 2500 * time.Millisecond
		got, err := p.Invoke(context.Background(), event, timeout)
		if err != nil {
			t.Fatalf("%s: %v: it is killed, and nothing is known of its batch", name, err)
		}
		if want := `{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}`; got.Failed || string(got.Body) != want {
			t.Errorf("%s: answered %s (error: %v), want %s", name, got.Body, got.Failed, want)
		}
		proxy.Hook(nil)
		if got := invoke(t, p, event); got.Failed || string(got.Body) != nothingAgain {
			t.Errorf("%s: afterwards: answered %s (error: %v)", name, got.Body, got.Failed)
		}
		next += 10
		if mark, rows := l.state(); mark != next-1 || rows != fmt.Sprint(next-1) {
			t.Errorf("%s: watermark %d and %s rows, want %d of both", name, mark, rows, next-1)
		}
	}
	f("no answer to a read", func(r *peer.Request) peer.Fault {
		return peer.Fault{Hang: r.Operation == "GetObject" || r.Operation == "HeadObject"}
	})
	f("no answer to any write", func(r *peer.Request) peer.Fault { return peer.Fault{Hang: r.Operation == "PutObject"} })
	f("slow to write", func(r *peer.Request) peer.Fault {
		if r.Operation == "PutObject" {
			return peer.Fault{Delay: 10 * time.Second}
		}
		return peer.Fault{}
	})
	f("SlowDown to everything", func(*peer.Request) peer.Fault {
		return peer.Fault{Answer: &peer.Answer{Status: 503, Body: `<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`}}
	})
	// The swap was applied, and nobody told the function: the next delivery finds it in the table.
	f("the swap's answer is lost, and nothing more comes through", func(r *peer.Request) peer.Fault {
		swap := r.Operation == "PutObject" && strings.HasSuffix(r.Path, ".metadata.json")
		return peer.Fault{Lose: swap, Reset: !swap && r.Operation != "PutObject"}
	})
}

// Opening connections ahead delays no answer, and a store that is away at the start spoils nothing for later.
func TestWarmingDelaysNothing(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s := peer.S3(t)
	proxy := peer.Proxy(t, s.Endpoint)
	l := s3Lake(t, s)
	event := batch(t, tableID.String(), map[string]string{"m": l.request(1, 5)}, "m")
	proxy.Hook(func(*peer.Request) peer.Fault { return peer.Fault{Hang: true} })
	p := runtimeapi.Start(t, bootstrap(t), append(s.At(proxy).Env(), "FIRN_WAREHOUSE="+s.Root()+"/lake")...)
	got := invoke(t, p, []byte(`{"Records":[]}`))
	if took := got.At.Sub(p.Started); string(got.Body) != nothingAgain || took > warmTime/2 {
		t.Errorf("answered %s after %v: it waited for its connections", got.Body, took)
	}
	proxy.Hook(nil)
	if got := invoke(t, p, event); string(got.Body) != nothingAgain {
		t.Errorf("afterwards: answered %s", got.Body)
	}

	proxy.Down()
	p = runtimeapi.Start(t, bootstrap(t), append(s.At(proxy).Env(), "FIRN_WAREHOUSE="+s.Root()+"/lake")...)
	if err := p.Asked(t.Context()); err != nil {
		t.Fatalf("with its store away: %v", err)
	}
	proxy.Up()
	done(t, p, l.request(6, 9))
	if mark, rows := l.state(); mark != 9 || rows != "9" {
		t.Errorf("watermark %d and %s rows, want 9 and 9", mark, rows)
	}
}

// A lost answer to a swap that was applied: no duplicate, nothing deleted, in the same invocation.
func TestBootstrapLooksUpALostSwap(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s := peer.S3(t)
	proxy := peer.Proxy(t, s.Endpoint)
	l := s3Lake(t, s)
	p := runtimeapi.Start(t, bootstrap(t), append(s.At(proxy).Env(), "FIRN_WAREHOUSE="+s.Root()+"/lake")...)
	var lost atomic.Int32
	proxy.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation == "PutObject" && strings.HasSuffix(r.Path, ".metadata.json") && lost.Add(1) <= 3 {
			return peer.Fault{Lose: true}
		}
		return peer.Fault{}
	})
	for i := range 3 {
		first := commitlib.Seq(i*2 + 1)
		if got := invoke(t, p, batch(t, tableID.String(), map[string]string{"m": l.request(first, first+1)}, "m")); string(got.Body) != nothingAgain {
			t.Errorf("commit %d: answered %s", i, got.Body)
		}
	}
	if mark, rows := l.state(); mark != 6 || rows != "6" {
		t.Errorf("watermark %d and %s rows, want 6 and 6", mark, rows)
	}
	if n := proxy.Requests("DeleteObject") + proxy.Requests("DeleteObjects"); n != 0 || lost.Load() < 3 {
		t.Errorf("%d deletions after %d lost answers", n, lost.Load())
	}
	if m := metricsOf(t, p); m["Unknowns"] != 3 || m["Events"] != 6 {
		t.Errorf("metrics %v", m)
	}
}

// What can never succeed is in the dead-letter queue with its reason, and nothing else is.
func TestBootstrapRejectsToTheDeadLetterQueue(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s, a := peer.S3(t), peer.AWS(t)
	_, dead := a.NewFIFO(t)
	env := append(a.Env(), s.Env()...)
	l := newLake(t, append(env, "FIRN_WAREHOUSE="+s.Root()+"/lake", "FIRN_DEAD_LETTER_QUEUE="+dead)...)
	p := l.start()

	other := *l
	other.log = uuid.Must(uuid.NewV7())
	foreign := strings.Replace(other.request(1, 5), l.table.Metadata.TableUUID.String(), uuid.NewString(), 1)
	bodies := map[string]string{
		"m1": "no JSON", "m2": l.request(1, 10), "m3": `{"v":99}`, "m4": foreign, "m5": l.request(21, 30), // a gap
	}
	if got := invoke(t, p, batch(t, tableID.String(), bodies, "m1", "m2", "m3", "m4", "m5")); got.Failed || string(got.Body) != nothingAgain {
		t.Fatalf("answered %s (error: %v)", got.Body, got.Failed)
	}
	// A message for one table in another's group.
	if got := invoke(t, p, batch(t, "default.views", map[string]string{"m6": l.request(11, 12)}, "m6")); string(got.Body) != nothingAgain {
		t.Errorf("answered %s", got.Body)
	}
	if mark, rows := l.state(); mark != 10 || rows != "10" {
		t.Errorf("watermark %d and %s rows, want 10 and 10", mark, rows)
	}
	want := map[string]string{"no JSON": "invalid character", `{"v":99}`: "version 99", foreign: "table UUID", "m6": `group "default.views"`}
	for _, letter := range receiveAll(t, a, dead, len(want)) {
		key := letter.body
		if strings.Contains(letter.body, `"first":11,`) {
			key = "m6"
		}
		if reason, ok := want[key]; !ok || !strings.Contains(letter.reason, reason) {
			t.Errorf("a dead letter %.60q with the reason %q, want %q", letter.body, letter.reason, reason)
		}
		delete(want, key)
	}
	if len(want) > 0 {
		t.Errorf("not among the dead letters: %v", want)
	}
	if m := metricsOf(t, p); m["DeadLettered"] != 4 || m["Rejected"] != 1 || m["Dropped"] != 1 {
		t.Errorf("metrics %v", m)
	}
}

// A dead-letter queue that is away keeps the message, and what follows it, in the queue: nothing is dropped unseen.
func TestBootstrapKeepsWhatItCannotReject(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s, a := peer.S3(t), peer.AWS(t)
	_, dead := a.NewFIFO(t)
	proxy := peer.Proxy(t, a.Endpoint)
	l := s3Lake(t, s)
	p := runtimeapi.Start(t, bootstrap(t), append(l.env, "AWS_ENDPOINT_URL_SQS="+proxy.URL, "FIRN_DEAD_LETTER_QUEUE="+dead)...)
	event := batch(t, tableID.String(), map[string]string{"m1": l.request(1, 5), "m2": "no JSON", "m3": l.request(6, 9)}, "m1", "m2", "m3")
	proxy.Down()
	got := invoke(t, p, event)
	if want := `{"batchItemFailures":[{"itemIdentifier":"m2"},{"itemIdentifier":"m3"}]}`; string(got.Body) != want {
		t.Errorf("answered %s, want %s", got.Body, want)
	}
	proxy.Up()
	if got := invoke(t, p, event); string(got.Body) != nothingAgain {
		t.Errorf("afterwards: answered %s", got.Body)
	}
	if mark, rows := l.state(); mark != 9 || rows != "9" {
		t.Errorf("watermark %d and %s rows, want 9 and 9", mark, rows)
	}
	if letters := receiveAll(t, a, dead, 1); letters[0].body != "no JSON" {
		t.Errorf("dead letters %v", letters)
	}
}

// What is wrong with the store shows at each batch, names what to do, and loses nothing.
func TestBootstrapOnABucketThatIsNotThere(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s := peer.S3(t)
	l := s3Lake(t, s)
	body := l.request(1, 5)
	f := func(want string, env ...string) {
		t.Helper()
		p := runtimeapi.Start(t, bootstrap(t), env...)
		got, err := p.Invoke(context.Background(), batch(t, tableID.String(), map[string]string{"m1": body}, "m1"), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Body) != `{"batchItemFailures":[{"itemIdentifier":"m1"}]}` {
			t.Errorf("%s: answered %s", want, got.Body)
		}
		if log := p.Log(1 << 16); !strings.Contains(log, want) {
			t.Errorf("logged %s, want %q", log, want)
		}
	}
	f("bucket", append(s.Env(), "FIRN_WAREHOUSE=s3://firn-no-such-bucket/lake")...)
	wrongSecret := bytes.ReplaceAll([]byte(strings.Join(s.Env(), "\n")), []byte(s.SecretKey), []byte("not-the-secret"))
	f("AWS_SECRET_ACCESS_KEY", append(strings.Split(string(wrongSecret), "\n"), "FIRN_WAREHOUSE="+s.Root()+"/lake")...)
	if mark, _ := l.state(); mark != 0 {
		t.Errorf("watermark %d", mark)
	}
}

// letter is a message in a dead-letter queue.
type letter struct{ body, reason string }

// receiveAll takes n messages out of a queue, and sees that there are no more.
func receiveAll(t testing.TB, a *peer.AWSServer, url string, n int) (letters []letter) {
	t.Helper()
	for {
		var out struct {
			Messages []struct {
				Body              string
				ReceiptHandle     string
				MessageAttributes map[string]struct{ StringValue string }
			}
		}
		in := map[string]any{"QueueUrl": url, "MaxNumberOfMessages": 10, "MessageAttributeNames": []string{"All"}}
		if err := a.Call("sqs", "AmazonSQS.ReceiveMessage", in, &out); err != nil {
			t.Fatal(err)
		}
		for _, m := range out.Messages {
			letters = append(letters, letter{m.Body, m.MessageAttributes["firn.reason"].StringValue})
			if err := a.Call("sqs", "AmazonSQS.DeleteMessage", map[string]string{"QueueUrl": url, "ReceiptHandle": m.ReceiptHandle}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if len(out.Messages) == 0 {
			break
		}
	}
	if len(letters) != n {
		text, _ := json.Marshal(letters)
		t.Fatalf("%d messages in %s, want %d: %.1000s", len(letters), url, n, text)
	}
	return letters
}
