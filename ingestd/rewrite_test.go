package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/live"
)

// liveFiles lists a table's live data files.
func liveFiles(t *testing.T, cfg Config, n *node, table string) (files []*live.File) {
	t.Helper()
	lake, _, err := openWarehouse(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	state, err := lake.Catalog.Load(t.Context(), catalog.Ident{Namespace: cfg.Namespace, Name: table})
	if err != nil {
		t.Fatal(err)
	}
	list, err := live.List(t.Context(), lake.Store, state)
	if err == nil {
		err = live.Each(t.Context(), lake.Store, list, nil, func(f *live.File) error { files = append(files, f); return nil })
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, n.logs)
	}
	return files
}

// In the background small files are joined, and what is older than a table's retention leaves it.
func TestRewritesInTheBackground(t *testing.T) {
	cfg, err := configure(t, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaintainInterval = 100 * time.Millisecond
	n := launchAs(t, cfg).serving()
	n.ok("PUT", "/tables/events", `{"table_retention":"3d","partition_by":["none"],"time_window_back":"30d"}`, nil)
	req, err := http.NewRequest("POST", n.url+"/tables/events", strings.NewReader("old"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Timestamp-Ms", strconv.FormatInt(time.Now().Add(-4*24*time.Hour).UnixMilli(), 10))
	resp, err := http.DefaultClient.Do(req)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	resp.Body.Close()
	n.ok("POST", "/tables/events/commit", "", nil)
	n.within(30*time.Second, "the old event has left", func() bool { return len(liveFiles(t, cfg, n, "events")) == 0 })
	n.within(30*time.Second, "a line says so", func() bool { return len(n.logs.at(-8, "retention of a table")) > 0 })
	const posts, each = 12, 5
	for range posts {
		n.post("events", each)
		n.ok("POST", "/tables/events/commit", "", nil)
	}
	n.within(60*time.Second, "small files are joined", func() bool { return len(liveFiles(t, cfg, n, "events")) < posts })
	var rows int64
	for _, f := range liveFiles(t, cfg, n, "events") {
		rows += f.RecordCount
	}
	if rows != posts*each {
		t.Errorf("the table has %d rows, want %d", rows, posts*each)
	}
	n.within(30*time.Second, "a line says so", func() bool { return len(n.logs.at(-8, "compaction of a table")) > 0 })
}

// With -compact=false files stay as they are, and by hand nothing but the sweep and retention runs.
func TestRewritesTurnedOff(t *testing.T) {
	cfg, err := configure(t, t.TempDir(), nil, "-compact=false", "-maintain-interval", "0")
	if err != nil {
		t.Fatal(err)
	}
	n := launchAs(t, cfg).serving()
	n.post("events", 1)
	n.ok("POST", "/tables/events/commit", "", nil)
	var reply struct{ Tasks []struct{ Task string } }
	n.ok("POST", "/tables/events/maintain", "", &reply)
	if len(reply.Tasks) != 2 || reply.Tasks[0].Task != "sweep" || reply.Tasks[1].Task != "retention" {
		t.Errorf("tasks: %+v", reply.Tasks)
	}
}

// Rewriting waits while commits lag, and gives up in the end; without lag it rests in proportion to its work.
func TestPace(t *testing.T) {
	lag := time.Duration(0)
	looks := 0
	var full time.Time
	p := &pace{full: func() time.Time { return full }, lag: func() time.Duration {
		if looks++; looks == 3 {
			lag = 0
		}
		return lag
	}}
	p.last = time.Now().Add(-10 * time.Millisecond)
	began := time.Now()
	if err := p.rest(t.Context()); err != nil || time.Since(began) < rewriteShare*10*time.Millisecond {
		t.Errorf("it rested %v (%v)", time.Since(began), err)
	}
	lag = busyLag + time.Second
	began = time.Now()
	if err := p.rest(t.Context()); err != nil || time.Since(began) < time.Second {
		t.Errorf("while commits lagged it waited %v (%v)", time.Since(began), err)
	}
	full = time.Now()
	if err := p.rest(t.Context()); !errors.Is(err, errBusy) {
		t.Errorf("at the log's bound: %v", err)
	}
	full = full.Add(-fullFor)
	if err := p.rest(t.Context()); err != nil {
		t.Errorf("later: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.rest(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("told to end: %v", err)
	}
}
