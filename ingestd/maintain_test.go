package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// leftClaim leaves a claim behind whose log's watermark has passed it: what a sweep removes at once. It returns its path.
func leftClaim(t *testing.T, n *node, table string) string {
	t.Helper()
	n.post(table, 3)
	n.ok("POST", "/tables/"+table+"/commit", "", nil)
	files, err := filepath.Glob(filepath.Join(n.data, "warehouse", "default", table, "data", "*", "*-1-3-0.parquet"))
	if err != nil || len(files) != 1 {
		t.Fatalf("data files: %q, %v", files, err)
	}
	const uuidLength = 36
	log := filepath.Base(files[0])[:uuidLength]
	path := filepath.Join(n.data, "warehouse", "default", table, "_firn", "claims", log, "1-3-0a1b2c3d.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// The background task finds by itself what is left over, tells of it in a line and in the metrics, and ends with the
// daemon.
func TestMaintenanceInTheBackground(t *testing.T) {
	cfg, err := configure(t, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaintainInterval = 100 * time.Millisecond
	n := launchAs(t, cfg).serving()
	path := leftClaim(t, n, "events")
	n.within(20*time.Second, "the claim is gone", func() bool { return !exists(path) })
	n.within(5*time.Second, "a line says so", func() bool {
		lines := n.logs.at(-8, "sweep of a table")
		return len(lines) > 0 && strings.Contains(lines[0], `"table":"default.events"`) && strings.Contains(lines[0], `"removed":1`)
	})
	if _, text := n.do("GET", "/metrics", ""); !strings.Contains(text, "\nfirn_maintenance_removed_objects_total 1\n") || strings.Contains(text, "\nfirn_maintenance_runs_total 0\n") {
		t.Error("the metrics do not show it")
	}
	began := time.Now()
	if err := n.close(); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("the daemon ended after %v: %v", time.Since(began), err)
	}
}

// By hand: a dry run changes nothing, and a run does what it said. The command works beside the daemon.
func TestMaintenanceByHand(t *testing.T) {
	n := start(t, t.TempDir(), nil, "-maintain-interval", "0")
	path := leftClaim(t, n, "events")
	other := leftClaim(t, n, "others")

	type reply struct {
		Table string
		Tasks []struct {
			Task   string
			Report struct {
				Removed map[string]struct{ Objects int }
				Error   string
			}
		}
	}
	would := func(r reply) int {
		if len(r.Tasks) == 0 || r.Tasks[0].Task != "sweep" || r.Tasks[0].Report.Error != "" {
			t.Fatalf("report: %+v", r)
		}
		return r.Tasks[0].Report.Removed["claim"].Objects
	}
	var dry, did reply
	n.ok("POST", "/tables/events/maintain?dry_run=true", "", &dry)
	if would(dry) != 1 || !exists(path) {
		t.Errorf("dry run: %+v; the claim is there: %v", dry, exists(path))
	}
	n.ok("POST", "/tables/events/maintain", "", &did)
	if would(did) != 1 || exists(path) || !exists(other) {
		t.Errorf("run: %+v; the claim is there: %v", did, exists(path))
	}

	command := func(args ...string) (replies []reply) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if status := command(append([]string{"-data", n.data, "-maintain"}, args...), nil, &stdout, &stderr); status != 0 {
			t.Fatalf("status %d\n%s", status, stderr.String())
		}
		for line := range strings.Lines(stdout.String()) {
			var r reply
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			replies = append(replies, r)
		}
		if len(replies) != 2 || replies[0].Table != "default.events" || replies[1].Table != "default.others" {
			t.Fatalf("printed %s", stdout.String())
		}
		return replies
	}
	if r := command("-dry-run"); would(r[0]) != 0 || would(r[1]) != 1 || !exists(other) {
		t.Errorf("dry run of the command: %+v", r)
	}
	if r := command(); would(r[1]) != 1 || exists(other) {
		t.Errorf("the command: %+v", r)
	}
	n.post("events", 3) // the daemon goes on
	n.ok("POST", "/tables/events/commit", "", nil)
	if got := n.backlog("events"); got != 0 {
		t.Errorf("a backlog of %d", got)
	}
}

// A warehouse that is not there ends the command with an error.
func TestMaintainWithoutAWarehouse(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := command([]string{"-data", filepath.Join(t.TempDir(), "none"), "-maintain"}, nil, &stdout, &stderr); status != 1 || !strings.Contains(stderr.String(), "warehouse") {
		t.Errorf("status %d: %s", status, stderr.String())
	}
	for _, args := range [][]string{{"-dry-run"}, {"-maintain", "-drain"}, {"-maintain-interval", "1s"}, {"-maintain-interval", fmt.Sprint(25 * time.Hour)}} {
		if _, err := configure(t, t.TempDir(), nil, args...); err == nil {
			t.Errorf("%v was accepted", args)
		}
	}
}

// The command says whether tables have all that they need, and tells by its status.
func TestVerify(t *testing.T) {
	n := start(t, t.TempDir(), nil, "-maintain-interval", "0")
	n.post("events", 3)
	n.ok("POST", "/tables/events/commit", "", nil)
	f := func(status int, want ...string) {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if got := command([]string{"-data", n.data, "-verify"}, nil, &stdout, &stderr); got != status {
			t.Errorf("status %d, want %d: %s", got, status, stderr.String())
		}
		for _, w := range want {
			if !strings.Contains(stdout.String(), w) {
				t.Errorf("printed %s, want %s in it", stdout.String(), w)
			}
		}
	}
	f(0, `"table":"default.events"`, `"task":"verify"`, `"missing":0`, `"damaged":0`)
	files, err := filepath.Glob(filepath.Join(n.data, "warehouse", "default", "events", "data", "*", "*.parquet"))
	if err != nil || len(files) != 1 {
		t.Fatalf("data files: %q, %v", files, err)
	}
	if err := os.Truncate(files[0], 10); err != nil {
		t.Fatal(err)
	}
	f(1, `"damaged":1`, filepath.Base(files[0]), "it has 10 bytes")
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	f(1, `"missing":1`, filepath.Base(files[0]))
}
