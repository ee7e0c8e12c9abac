package peer

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"firn/perf/tier"
)

// The conditional PUT that every commit rests on: of 16 that race one wins, and the others learn that they did not.
func exclusive(t *testing.T, s *S3Server) {
	t.Helper()
	for round := range 20 {
		path := "/" + s.Bucket + "/key-" + unique()
		var mu sync.Mutex
		won, lost := 0, 0
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				_, err := call(context.Background(), s.Endpoint, "s3", http.MethodPut, path, http.Header{"If-None-Match": {"*"}}, []byte("x"))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case strings.Contains(err.Error(), "412") || strings.Contains(err.Error(), "409"):
					lost++
				default:
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		wg.Wait()
		if won != 1 || lost != 15 {
			t.Fatalf("round %d: %d won and %d lost, want 1 and 15", round, won, lost)
		}
	}
}

func TestS3IsExclusive(t *testing.T) {
	tier.Need(t, tier.CI)
	s := S3(t)
	exclusive(t, s)
	if again := S3(t); again.Endpoint != s.Endpoint || again.Bucket == s.Bucket {
		t.Errorf("a second call got %v: want the same server and another bucket than %v", again, s)
	}
	own := OwnS3(t)
	if own.Endpoint == s.Endpoint {
		t.Error("a server of its own is the shared one")
	}
}

// A test's bucket goes with it, while the server stays.
func TestBucketGoesWithItsTest(t *testing.T) {
	tier.Need(t, tier.CI)
	var gone *S3Server
	t.Run("user", func(t *testing.T) {
		gone = S3(t)
		if _, err := call(context.Background(), gone.Endpoint, "s3", http.MethodPut, "/"+gone.Bucket+"/key", nil, []byte("x")); err != nil {
			t.Fatal(err)
		}
	})
	_, err := call(context.Background(), gone.Endpoint, "s3", http.MethodGet, "/"+gone.Bucket+"/key", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("an object of a test that has ended: %v, want 404", err)
	}
}

func TestMinIOIsExclusive(t *testing.T) { exclusive(t, MinIO(t)) }

// What the end-to-end tests rely on in the queue: order in a group, an id counts once, and a message that was received
// too often moves to the dead-letter queue.
func TestFIFO(t *testing.T) {
	tier.Need(t, tier.CI)
	a := AWS(t)
	url, dead := a.NewFIFOWith(t, map[string]string{"VisibilityTimeout": "0"})
	send := func(body, id string) {
		t.Helper()
		in := map[string]any{"QueueUrl": url, "MessageBody": body, "MessageGroupId": "g", "MessageDeduplicationId": id}
		if err := a.Call("sqs", "AmazonSQS.SendMessage", in, nil); err != nil {
			t.Fatal(err)
		}
	}
	receive := func(from string) (bodies []string) {
		t.Helper()
		var out struct{ Messages []struct{ Body string } }
		if err := a.Call("sqs", "AmazonSQS.ReceiveMessage", map[string]any{"QueueUrl": from, "MaxNumberOfMessages": 10}, &out); err != nil {
			t.Fatal(err)
		}
		for _, m := range out.Messages {
			bodies = append(bodies, m.Body)
		}
		return bodies
	}
	send("one", "1")
	send("two", "2")
	send("one again", "1")
	for i := range 10 {
		if got := strings.Join(receive(url), ","); got != "one,two" {
			t.Fatalf("receive %d: %q, want one,two", i+1, got)
		}
	}
	if got := receive(url); len(got) != 0 {
		t.Errorf("an eleventh receive gave %q", got)
	}
	if got := strings.Join(receive(dead), ","); got != "one,two" {
		t.Errorf("the dead-letter queue holds %q, want one,two", got)
	}
}
