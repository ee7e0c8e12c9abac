package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/warehouse"
	"firn/perf/peer"
	"firn/perf/tier"
)

// rows is what main's snapshots of a table have added together, by the summaries that committers write.
func rows(t *testing.T, environ []string, root, table string) (total int) {
	t.Helper()
	m := load(t, environ, root, table).Metadata
	for _, s := range m.Snapshots {
		n, err := strconv.Atoi(s.Summary["added-records"])
		if err != nil {
			t.Fatalf("snapshot %d: %v", s.ID, err)
		}
		total += n
	}
	return total
}

// lakeOf opens a warehouse as a daemon with that environment does.
func lakeOf(t *testing.T, environ []string, root string) *warehouse.Warehouse {
	t.Helper()
	getenv := func(name string) string {
		for _, e := range environ {
			if k, v, _ := strings.Cut(e, "="); k == name {
				return v
			}
		}
		return ""
	}
	w, err := warehouse.Open(t.Context(), warehouse.Settings{Warehouse: root, Getenv: getenv})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func load(t *testing.T, environ []string, root, table string) *catalog.Table {
	t.Helper()
	ct, err := lakeOf(t, environ, root).Catalog.Load(t.Context(), catalog.Ident{Namespace: "default", Name: table})
	if err != nil {
		t.Fatal(err)
	}
	return ct
}

// TestS3 commits in the daemon's own process to tables on S3, with each level of acknowledgement, and drains.
func TestS3(t *testing.T) {
	tier.Need(t, tier.CI)
	s3 := peer.S3(t)
	root := s3.Root() + "/events"
	data := t.TempDir()
	n := start(t, data, s3.Env(), "-warehouse", root, "-cut-interval", "200ms")
	n.within(10*time.Second, "ready", func() bool { s, _ := n.do("GET", "/health/ready", ""); return s == 200 })
	var out struct {
		Snapshot *int64 `json:"snapshot_id"`
		Status   string `json:"status"`
	}
	n.ok("POST", "/tables/clicks", "one", nil)
	n.ok("POST", "/tables/clicks?ack=staged", "two", nil)
	n.ok("POST", "/tables/clicks?ack=committed", "three", &out)
	if out.Snapshot == nil || *out.Snapshot != load(t, s3.Env(), root, "clicks").Metadata.CurrentSnapshotID {
		t.Errorf("ack=committed names snapshot %v", out.Snapshot)
	}
	n.post("clicks", 1000)
	n.ok("POST", "/tables/clicks/commit", "", &out)
	if out.Status != "committed" || rows(t, s3.Env(), root, "clicks") != 1003 {
		t.Errorf("%+v, %d rows, want 1003", out, rows(t, s3.Env(), root, "clicks"))
	}
	n.post("clicks", 7)
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	drain := launch(t, data, s3.Env(), "-warehouse", root, "-drain")
	if err := <-drain.done; err != nil {
		t.Fatal(err)
	}
	drain.done <- nil
	if got := rows(t, s3.Env(), root, "clicks"); got != 1010 {
		t.Errorf("%d rows after the drain, want 1010", got)
	}
}

// TestSQS sends requests to a queue, from which this test takes them: a claim for a large one, and none while the queue
// is away.
func TestSQS(t *testing.T) {
	tier.Need(t, tier.CI)
	s3, aws := peer.S3(t), peer.AWS(t)
	url, _ := aws.NewFIFO(t)
	environ := append(aws.Env(), s3.Env()...)
	n := start(t, t.TempDir(), environ, "-warehouse", s3.Root(), "-queue", url, "-cut-interval", "200ms", "-reply-within", "1s")
	n.post("clicks", 10)
	var body string
	n.within(20*time.Second, "the request is in the queue", func() bool {
		var out struct{ Messages []struct{ Body string } }
		if err := aws.Call("sqs", "AmazonSQS.ReceiveMessage", map[string]any{"QueueUrl": url}, &out); err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return false
		}
		body = out.Messages[0].Body
		return true
	})
	var req struct{ First, Last int }
	if err := json.Unmarshal([]byte(body), &req); err != nil || req.First != 1 || req.Last != 10 {
		t.Errorf("request %s (%v)", body, err)
	}
	status, text := n.do("POST", "/tables/clicks/commit", "")
	if status != 202 || !strings.Contains(text, `"status":"pending"`) {
		t.Errorf("nobody commits: %d %s", status, text)
	}
	if got := rows(t, environ, s3.Root(), "clicks"); got != 0 {
		t.Errorf("%d rows: the daemon has committed by itself", got)
	}
}
