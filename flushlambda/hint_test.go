package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/perf/peer"
	"firn/perf/peer/runtimeapi"
	"firn/perf/tier"
)

// What an instance remembers of a table is a hint. These scenes give it one that is out of date, in each way that could
// cost an event: the swap, and states loaded after the message came, must decide.
var scenes = []struct {
	name string
	run  func(t *testing.T, l *lake)
}{
	{"rivals", takeTurns},
	{"one log", shareALog},
	{"table made anew", makeAnew},
}

func TestCacheIsAHint(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) { s.run(t, dirLake(t)) })
	}
}

func TestCacheIsAHintOnS3(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) { s.run(t, s3Lake(t, peer.S3(t))) })
	}
}

// done invokes with one message, which must be done with.
func done(t *testing.T, f *runtimeapi.Function, body string) {
	t.Helper()
	if got := invoke(t, f, batch(t, tableID.String(), map[string]string{"m": body}, "m")); got.Failed || string(got.Body) != nothingAgain {
		t.Errorf("answered %s (error: %v)", got.Body, got.Failed)
	}
}

// shareALog has two instances commit one log's requests in turn. What the one remembers makes each request that it gets a
// gap: taken for one it would be acknowledged and dropped, and the log would stand still.
func shareALog(t *testing.T, l *lake) {
	t.Helper()
	instances := []*runtimeapi.Function{l.start(), l.start()}
	for i := range commitlib.Seq(8) {
		done(t, instances[i%2], l.request(i*5+1, i*5+5))
		if mark, _ := l.state(); mark != i*5+5 {
			t.Fatalf("after request %d the watermark is %d: it was not applied", i, mark)
		}
	}
	if _, rows := l.state(); rows != "40" {
		t.Errorf("%s rows, want 40", rows)
	}
	for _, f := range instances {
		if m := metricsOf(t, f); m["Dropped"] != 0 || m["Applied"] != 4 {
			t.Errorf("metrics %v", m)
		}
	}
}

// makeAnew drops the table and makes it anew while an instance remembers the old one. A request for the new table is for
// a foreign UUID by what it remembers: rejected for that, its sender would stop for good. One for the old table is
// rejected, and does not get into the new one.
func makeAnew(t *testing.T, l *lake) {
	t.Helper()
	f := l.start()
	done(t, f, l.request(1, 5))
	old := l.request(6, 9)

	var keys []string
	if err := l.store.List(context.Background(), "default/clicks/", func(i objstore.Info) error {
		keys = append(keys, i.Key)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := l.store.Delete(context.Background(), keys...); err != nil {
		t.Fatal(err)
	}
	made, err := l.open().Catalog.Create(context.Background(), tableID, catalog.Spec{
		Schema: l.table.Metadata.CurrentSchema(), Partition: iceberg.PartitionSpec{Fields: []iceberg.PartitionField{}}, Properties: commitlib.NewTableProperties(),
	})
	if err != nil {
		t.Fatal(err)
	}
	l.table = made
	done(t, f, l.request(1, 7))
	if mark, rows := l.state(); mark != 7 || rows != "7" {
		t.Errorf("watermark %d and %s rows in the new table, want 7 and 7", mark, rows)
	}
	done(t, f, old)
	if mark, rows := l.state(); mark != 7 || rows != "7" {
		t.Errorf("after a request for the old table: watermark %d and %s rows, want 7 and 7", mark, rows)
	}
	if m := metricsOf(t, f); m["Rejected"] != 1 {
		t.Errorf("metrics %v, want one rejected request", m)
	}
}

// takeTurns runs two instances on one table: each commits its own log, and gets what the other has committed again.
func takeTurns(t *testing.T, l *lake) {
	t.Helper()
	const rounds = 6
	instances := []*runtimeapi.Function{l.start(), l.start()}
	logs := []uuid.UUID{l.log, uuid.Must(uuid.NewV7())}
	var all [2][]string
	for round := range rounds {
		first := commitlib.Seq(round*5 + 1)
		for i, p := range instances {
			body := l.requestOf(logs[i], first, first+4)
			all[i] = append(all[i], body)
			bodies, order := map[string]string{"own": body}, []string{"own"}
			if other := all[1-i]; len(other) > 0 {
				// The newest of the other instance's, which this one's parent does not know of, and behind it one that
				// is known: both are in.
				bodies["other"], bodies["older"] = other[len(other)-1], other[0]
				order = []string{"other", "own", "older"}
			}
			if got := invoke(t, p, batch(t, tableID.String(), bodies, order...)); got.Failed || string(got.Body) != nothingAgain {
				t.Fatalf("round %d, instance %d: answered %s (error: %v)", round, i, got.Body, got.Failed)
			}
		}
	}
	for i, log := range logs {
		if mark, rows := l.stateOf(log); mark != rounds*5 || rows != "60" {
			t.Errorf("log %d: watermark %d and %s rows in the table, want 30 and 60", i, mark, rows)
		}
	}
	for i, p := range instances {
		m := metricsOf(t, p)
		if m["Commits"] != rounds || m["Events"] != rounds*5 || m["ColdStarts"] != 1 {
			t.Errorf("instance %d wrote metrics %v", i, m)
		}
		if m["Conflicts"]+m["Loads"] < rounds {
			t.Errorf("instance %d: metrics %v: its parent was never out of date: the test does not show what it claims", i, m)
		}
	}
}

// metricsOf sums the metrics in the function's log by their names.
func metricsOf(t testing.TB, f *runtimeapi.Function) map[string]float64 {
	t.Helper()
	sums := map[string]float64{}
	addMetrics(sums, f.Log(1<<20))
	return sums
}

// addMetrics adds what the metric lines of a log hold.
func addMetrics(sums map[string]float64, log string) {
	for line := range strings.SplitSeq(log, "\n") {
		var members map[string]any
		if json.Unmarshal([]byte(line), &members) != nil || members["_aws"] == nil {
			continue
		}
		for name, v := range members {
			switch v := v.(type) {
			case float64:
				sums[name] += v
			case []any:
				for _, x := range v {
					sums[name] += x.(float64)
				}
			}
		}
	}
}
