package main

import (
	"encoding/json"
	"strings"
	"testing"

	"firn/commitlib/emf"
)

// TestMetricsEMF wants the last line of a short run to say what came in and what became of it, once, and nothing of it
// without the flag.
func TestMetricsEMF(t *testing.T) {
	data := t.TempDir()
	n := start(t, data, nil, "-metrics-emf", "-cut-interval", "100ms")
	n.post("clicks", 10)
	n.ok("POST", "/tables/clicks/commit", "", nil)
	n.post("clicks", 3)
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
	out := strings.TrimSpace(n.metrics.String())
	var line struct {
		AWS struct {
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name string }
			}
		} `json:"_aws"`
		Warehouse, Host                                        string
		IngestedEvents, Backlog, Lag, Commits, Events, Unready *float64
	}
	if err := json.Unmarshal([]byte(out), &line); err != nil || strings.Contains(out, "\n") {
		t.Fatalf("%q: %v", out, err)
	}
	is := func(name string, v *float64, want float64) {
		t.Helper()
		if v == nil || *v != want {
			t.Errorf("%s is not %v in %s", name, want, out)
		}
	}
	is("IngestedEvents", line.IngestedEvents, 13)
	is("Unready", line.Unready, 1) // it is stopping
	if line.Backlog == nil || *line.Backlog > 3 || line.Lag == nil || line.Commits == nil || line.Events == nil || *line.Events < 10 {
		t.Errorf("the line is %s", out)
	}
	if d := line.AWS.CloudWatchMetrics[0]; d.Namespace != emf.Namespace || len(d.Dimensions) != 1 || len(d.Dimensions[0]) != 1 || d.Dimensions[0][0] != emf.DimensionWarehouse {
		t.Errorf("the line is %s", out)
	}
	known := map[string]bool{}
	for _, m := range append(emf.Ingest, emf.Committer...) {
		known[m.Name] = true
	}
	for _, m := range line.AWS.CloudWatchMetrics[0].Metrics {
		if !known[m.Name] {
			t.Errorf("%s is in neither list of names", m.Name)
		}
	}
	if !strings.HasSuffix(line.Warehouse, "/warehouse") || line.Host == "" {
		t.Errorf("warehouse %q, host %q", line.Warehouse, line.Host)
	}

	n = start(t, data, nil)
	n.post("clicks", 1)
	if err := n.close(); err != nil || n.metrics.String() != "" {
		t.Errorf("without the flag (%v): %q", err, n.metrics)
	}
}
