package main

import (
	"encoding/json"
	"fmt"
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

// TestRequestsOfManyTables counts at the server what shipping and committing many tables asks of S3: a few requests for
// each segment, of which five write (a data file, a manifest, a manifest list, the metadata and the hint), and no more of
// them when there are more tables.
func TestRequestsOfManyTables(t *testing.T) {
	tier.Need(t, tier.CI)
	const tables, rounds = 20, 4
	s3 := peer.S3(t)
	proxy := peer.Proxy(t, s3.Endpoint)
	n := start(t, t.TempDir(), s3.At(proxy).Env(), "-warehouse", s3.Root()+"/many", "-cut-interval", "1s")
	round := func() {
		for i := range tables {
			n.post(fmt.Sprintf("t%d", i), 5)
		}
		n.within(30*time.Second, "all is committed", func() bool { return n.metric("firn_backlog_events") == 0 })
	}
	round() // makes the tables
	proxy.ResetCounts()
	cut := n.metric("firn_segments_cut_total")
	for range rounds {
		round()
	}
	segments := int(n.metric("firn_segments_cut_total") - cut)
	writes, reads := 0, 0
	counts := proxy.Counts()
	for operation, c := range counts {
		t.Logf("%s: %d", operation, c.Requests)
		if operation == "PutObject" {
			writes += c.Requests
		} else {
			reads += c.Requests
		}
	}
	t.Logf("%d segments of %d tables: %.2f writes and %.2f reads for each", segments, tables, float64(writes)/float64(segments), float64(reads)/float64(segments))
	if segments < tables*rounds || writes > 5*segments || reads > 6*segments {
		t.Errorf("%d writes and %d reads for %d segments", writes, reads, segments)
	}
}

// metric is a number of /metrics without labels.
func (n *node) metric(name string) float64 {
	n.t.Helper()
	_, text := n.do("GET", "/metrics", "")
	for line := range strings.SplitSeq(text, "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				n.t.Fatal(err)
			}
			return v
		}
	}
	n.t.Fatalf("there is no metric %s", name)
	return 0
}
