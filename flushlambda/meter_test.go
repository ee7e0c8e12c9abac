package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/emf"
	"firn/commitlib/maintain"
	"firn/commitlib/manifest"
)

// A line holds what happened since the line before, and no zeros.
func TestMeter(t *testing.T) {
	var out bytes.Buffer
	h := handlerOf(t, &fake{}, &out)
	m := h.meter
	counters := commitlib.Counters{}
	m.counters = func() commitlib.Counters { return counters }
	m.hits, m.parses = manifest.Hits.Load(), manifest.Parses.Load()

	// line writes a batch's line and returns its numbers and texts.
	line := func(messages, again int) (map[string]any, map[string]any) {
		t.Helper()
		out.Reset()
		m.batch(time.Now(), messages, again, "r-1")
		var members map[string]any
		if err := json.Unmarshal(out.Bytes(), &members); err != nil {
			t.Fatalf("%q: %v", &out, err)
		}
		delete(members, "_aws")
		texts := map[string]any{}
		for name, v := range members {
			if s, ok := v.(string); ok {
				texts[name] = s
				delete(members, name)
			}
		}
		return members, texts
	}
	equal := func(got, want map[string]any) {
		t.Helper()
		if !maps.EqualFunc(got, want, func(a, b any) bool {
			x, _ := json.Marshal(a)
			y, _ := json.Marshal(b)
			return bytes.Equal(x, y)
		}) {
			t.Errorf("wrote %v, want %v", got, want)
		}
	}
	counters = commitlib.Counters{
		Commits: 2, Applied: 3, Events: 30, Files: 4, Bytes: 5000, Conflicts: 1, Loads: 2, Skipped: 1,
		Gaps: 1, Overlaps: 2, TooOld: 3, Rejected: 1, Undecided: 1, DeadLettered: 1, Unknowns: 1,
	}
	clicks, views := catalog.Ident{Namespace: "default", Name: "clicks"}, catalog.Ident{Namespace: "default", Name: "views"}
	m.tellCommitted(commitlib.Committed{Table: views, Attempts: 2, Took: 40 * time.Millisecond, Lag: 3 * time.Second})
	m.tellCommitted(commitlib.Committed{Table: clicks, Attempts: 1, Took: 12500 * time.Microsecond, Lag: time.Second})
	manifest.Hits.Add(6)
	manifest.Parses.Add(1)
	numbers, texts := line(10, 2)
	equal(numbers, map[string]any{
		"Messages": 10, "MessagesAgain": 2, "Commits": 2, "Applied": 3, "Events": 30, "Files": 4, "DataBytes": 5000, "Conflicts": 1, "Unknowns": 1,
		"Loads": 2, "Skipped": 1, "Dropped": 6, "Rejected": 1, "Undecided": 1, "DeadLettered": 1, "ColdStarts": 1,
		"SchemaCacheHits": 6, "SchemaCacheMisses": 1,
		"CommitMilliseconds": []float64{40, 12.5}, "CommitLag": []float64{3, 1}, "CommitAttempts": []float64{2, 1},
	})
	equal(texts, map[string]any{"Function": "committer", "message": "batch handled", "requestId": "r-1", "tables": "default.clicks default.views"})

	counters.Commits, counters.Events = 3, 31
	numbers, texts = line(1, 0)
	equal(numbers, map[string]any{"Messages": 1, "Commits": 1, "Events": 1})
	equal(texts, map[string]any{"Function": "committer", "message": "batch handled", "requestId": "r-1"})
}

// Every metric that the committer can write is in the list that dashboards are checked against.
func TestMeterWritesListedMetrics(t *testing.T) {
	listed := map[string]bool{}
	for _, m := range emf.Committer {
		listed[m.Name] = true
	}
	m := handlerOf(t, &fake{}, new(bytes.Buffer)).meter
	m.counters = func() commitlib.Counters {
		return commitlib.Counters{
			Commits: 1, Applied: 1, Events: 1, Files: 1, Bytes: 1, Conflicts: 1, Unknowns: 1, Loads: 1, Skipped: 1, Gaps: 1,
			Rejected: 1, Undecided: 1, DeadLettered: 1,
		}
	}
	m.tellCommitted(commitlib.Committed{})
	manifest.Hits.Add(1)
	manifest.Parses.Add(1)
	samples, _ := m.take(1, 1)
	samples = append(samples, maintenance(maintain.Counters{}, maintain.Counters{Runs: 2, Errors: 1, Removed: 1, RemovedBytes: 1})...)
	for _, s := range samples {
		if !listed[s.Metric.Name] {
			t.Errorf("%s is not in emf.Committer", s.Metric.Name)
		}
		delete(listed, s.Metric.Name)
	}
	if len(listed) > 0 {
		t.Errorf("nothing writes %v", listed)
	}
}

type noReader struct{}

func (noReader) Write([]byte) (int, error) { return 0, errors.New("no reader") }

// Metrics that cannot be written do not cost the batch.
func TestMeterOutlivesItsOutput(t *testing.T) {
	h := handlerOf(t, &fake{fail: []string{"m2"}}, noReader{})
	var log bytes.Buffer
	h.meter.log = slog.New(slog.NewTextHandler(&log, nil))
	if again := h.handle(t.Context(), []commitlib.Message{{ID: "m1"}, {ID: "m2"}}, ""); len(again) != 1 {
		t.Errorf("again %v", again)
	}
	if !strings.Contains(log.String(), "no reader") {
		t.Errorf("logged %q", &log)
	}
}
