package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/objstore"
	"firn/ingestd/commitq"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// TestTables makes, changes, lists and deletes tables.
func TestTables(t *testing.T) {
	s := newStack(t, options{})
	if a := s.ok(s.do("GET", "/tables", "")); string(a.body) != `{"tables":[]}`+"\n" {
		t.Fatalf("no tables are %s", a.body)
	}
	settings := `{"payload":"binary","partition_by":["day","partition"],"cut_interval":"1s","time_window_back":"3650d"}`
	created := s.do("PUT", "/tables/events", settings, asJSON)
	if created.status != 201 {
		t.Fatalf("%d: %s", created.status, created.body)
	}
	again := s.do("PUT", "/tables/events", settings, asJSON)
	if again.status != 200 || string(again.body) != string(created.body) {
		t.Fatalf("the same again gave %d: %s, first %s", again.status, again.body, created.body)
	}
	got := s.ok(s.do("GET", "/tables/events/settings", ""))
	if string(got.body) != string(created.body) {
		t.Fatalf("settings are %s, want %s", got.body, created.body)
	}
	var out struct {
		UUID, Location, Ingest string
		Declared               bool
		Settings               registry.Settings
	}
	if err := json.Unmarshal(got.body, &out); err != nil || uuid.Validate(out.UUID) != nil || out.Location == "" || out.Ingest != "open" || !out.Declared ||
		out.Settings.Payload != "binary" || out.Settings.CutInterval != registry.Duration(time.Second) || out.Settings.TargetFileBytes != registry.DefaultSettings().TargetFileBytes {
		t.Fatalf("settings are %s (%v)", got.body, err)
	}
	s.ok(s.do("PUT", "/tables/events", strings.Replace(settings, `"1s"`, `"2s"`, 1)))
	s.ok(s.do("POST", "/tables/events", "x"))

	if a := s.ok(s.do("DELETE", "/tables/events", "")); !strings.Contains(string(a.body), `"ingest":"stopped"`) {
		t.Fatalf("DELETE says %s", a.body)
	}
	s.ok(s.do("DELETE", "/tables/events", ""))
	s.want(s.do("POST", "/tables/events", "x"), 409, "ingest_stopped", -1, -1)
	if n := len(s.payloads("events", 10)); n != 1 {
		t.Fatalf("%d events are readable after DELETE, want 1", n)
	}
	s.ok(s.do("PUT", "/tables/events", settings))
	s.ok(s.do("POST", "/tables/events", "x"))
	s.ok(s.do("POST", "/tables/another", "x"))
	if a := s.ok(s.do("GET", "/tables", "")); strings.Index(string(a.body), `"another"`) > strings.Index(string(a.body), `"events"`) || strings.Contains(string(a.body), "settings") {
		t.Fatalf("the list is %s", a.body)
	}
}

// TestTooManyTables bounds what a client that invents names can make.
func TestTooManyTables(t *testing.T) {
	s := newStack(t, options{registry: func(c *registry.Config) { c.MaxTables = 2 }})
	s.ok(s.do("POST", "/tables/a", "x"))
	s.ok(s.do("POST", "/tables/b", "x"))
	s.want(s.do("POST", "/tables/c", "x"), 429, "too_many_tables", -1, -1)
	s.want(s.do("PUT", "/tables/d", "{}"), 429, "too_many_tables", -1, -1)
	s.ok(s.do("POST", "/tables/a", "x"))
}

func TestWatermark(t *testing.T) {
	s := newStack(t, options{})
	a := s.ok(s.do("POST", "/tables/events/bulk", "1\n2\n3\n", asNDJSON))
	track := s.log.Tracks()[0]
	if err := s.log.Cut(track.Track, eventlog.Cut{First: 1, Last: 2}); err != nil {
		t.Fatal(err)
	}
	if err := s.log.SetCommitted(track.Track, 2); err != nil {
		t.Fatal(err)
	}
	got := s.ok(s.do("GET", "/tables/events/watermark", ""))
	want := `{"table":"events","backlog_events":1,"lag_seconds":0,"logs":[{"log":"` + a.Log + `","table_uuid":"` + track.Table.UUID.String() + `","open":true,"low":1,"committed":2,"high":3,"backlog_events":1,"lag_seconds":0}]}` + "\n"
	if string(got.body) != want {
		t.Fatalf("the watermark is\n%s, want\n%s", got.body, want)
	}
}

// TestReady looks at each reason, and at checks that fail or hang.
func TestReady(t *testing.T) {
	log := &refusingLog{}
	var answer error
	hang := make(chan struct{})
	defer close(hang)
	hangs := false
	var started atomic.Int32
	now := time.Now()
	s := newStack(t, options{deps: func(d *Deps) {
		log.Log, d.Log = d.Log, log
		d.Now = func() time.Time { return now }
		d.Checks = []Check{
			{Name: "warehouse", Check: func(context.Context) error { return answer }},
			{Name: "other", Check: func(context.Context) error {
				if hangs {
					started.Add(1)
					<-hang
				}
				return nil
			}},
		}
	}})
	f := func(status int, parts ...string) {
		t.Helper()
		a := s.do("GET", "/health/ready", "")
		if a.status != status {
			t.Fatalf("ready says %d: %s", a.status, a.body)
		}
		for _, p := range parts {
			if !strings.Contains(string(a.body), p) {
				t.Fatalf("%q is not in %s", p, a.body)
			}
		}
		if live := s.do("GET", "/health/live", ""); live.status != 200 {
			t.Fatalf("live says %d", live.status)
		}
	}
	f(200, `{"status":"ready","reasons":[],"warnings":[]}`)
	answer = errors.New("the store is away")
	f(200) // as a moment ago: a store is not asked at the rate of probes
	now = now.Add(checksAge)
	f(503, `"unready"`, `"warehouse"`, "the store is away")
	answer = nil
	now = now.Add(checksAge)
	log.err = &eventlog.Refusal{Reason: eventlog.ErrFull}
	f(503, `"backlog_full"`)
	log.err = &eventlog.Refusal{Reason: eventlog.ErrDiskFull}
	f(503, `"disk_full"`)
	log.err = nil
	s.ship.ready = []string{"no table could be shipped"}
	f(503, `"shipping"`, "no table could be shipped")
	s.ship.ready = nil
	for range 100 {
		s.ship.warnings = append(s.ship.warnings, "table x is stopped")
	}
	f(200, `"degraded"`, "table x is stopped", "and more")
	s.ship.warnings = nil
	hangs = true
	before := runtime.NumGoroutine()
	for range 2 {
		now = now.Add(checksAge)
		f(503, `"other"`, "no answer within 2s")
	}
	if started.Load() != 1 || runtime.NumGoroutine() > before+5 {
		t.Fatalf("%d checks hang side by side, %d goroutines became %d", started.Load(), before, runtime.NumGoroutine())
	}
}

// TestDrain takes no events and no tables, and shows the rest.
func TestDrain(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.Drain = true }})
	s.want(s.do("POST", "/tables/events", "x"), 503, "shutting_down", -1, -1)
	s.want(s.do("PUT", "/tables/events", "{}"), 503, "shutting_down", -1, -1)
	s.ok(s.do("GET", "/tables", ""))
	if a := s.do("GET", "/health/ready", ""); a.status != 503 || !strings.Contains(string(a.body), `"draining"`) {
		t.Fatalf("ready says %d: %s", a.status, a.body)
	}
}

// TestCatalogAway has a first event come while the catalog cannot be reached: it is not acked, and known tables go on.
func TestCatalogAway(t *testing.T) {
	var away bool
	cat := &awayCatalog{Catalog: twin.New(twin.REST, objstore.NewMem("mem://warehouse")), away: &away}
	s := newStack(t, options{})
	rc := registry.DefaultConfig()
	rc.Logger = s.api.Logger
	reg, err := registry.Open(cat, s.log, rc)
	if err != nil {
		t.Fatal(err)
	}
	s.api.Registry = reg
	s.ok(s.do("POST", "/tables/known", "x"))
	away = true
	a := s.do("POST", "/tables/new", "x")
	s.want(a, 503, "catalog_unavailable", -1, -1)
	if a.header.Get("Retry-After") == "" {
		t.Fatal("Retry-After is missing")
	}
	s.ok(s.do("POST", "/tables/known", "x"))
	if s.stored() != 2 {
		t.Fatalf("%d events are stored, want 2", s.stored())
	}
}

type awayCatalog struct {
	catalog.Catalog
	away *bool
}

func (c *awayCatalog) Load(ctx context.Context, id catalog.Ident) (*catalog.Table, error) {
	if *c.away {
		return nil, errors.New("no route to host")
	}
	return c.Catalog.Load(ctx, id)
}

func TestVersion(t *testing.T) {
	s := newStack(t, options{})
	if a := s.ok(s.do("GET", "/version", "")); !strings.Contains(string(a.body), `"version":"v0"`) || !strings.Contains(string(a.body), runtime.Version()) {
		t.Fatalf("the version is %s", a.body)
	}
}

// scrape reads /metrics into a map of series.
func (s *stack) scrape() map[string]string {
	s.t.Helper()
	series := map[string]string{}
	pointer := regexp.MustCompile(`\b(them|those|these)\b`) // to the help of another metric
	help := map[string]bool{}
	lines := bufio.NewScanner(strings.NewReader(string(s.ok(s.do("GET", "/metrics", "")).body)))
	for lines.Scan() {
		line := lines.Text()
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, text, _ := strings.Cut(rest, " ")
			help[name] = text != ""
			if strings.HasPrefix(name, "firn_") && (pointer.MatchString(text) || len(strings.Fields(text)) < 3) {
				s.t.Errorf("the help of %s does not stand alone: %s", name, text)
			}
			continue
		}
		if i := strings.LastIndexByte(line, ' '); i > 0 && line[0] != '#' {
			series[line[:i]] = line[i+1:]
		}
	}
	name := regexp.MustCompile(`^firn_[a-z_]+`)
	suffix := regexp.MustCompile(`_(bucket|sum|count)$`)
	for k := range series {
		if n := name.FindString(k); n != "" && !help[n] && !help[suffix.ReplaceAllString(n, "")] {
			s.t.Fatalf("%s has no help text", k)
		}
	}
	return series
}

func TestMetrics(t *testing.T) {
	s := newStack(t, options{})
	s.api.Metrics.Collect(Sources{
		Log:     s.log.Stats,
		Ship:    func() ship.Stats { return ship.Stats{Resends: 3, Lag: 1500 * time.Millisecond} },
		Tables:  func() []ship.TableStatus { return []ship.TableStatus{{Table: "events", Backlog: 4}} },
		Commits: func() commitlib.Counters { return commitlib.Counters{Commits: 2, Applied: 5} },
		Queue:   func() commitq.Stats { return commitq.Stats{Messages: 6} },
	})
	s.ok(s.do("POST", "/tables/events/bulk", "1\n2\n", asNDJSON))
	s.ok(s.do("POST", "/tables/events", "x", "Idempotency-Key: k"))
	s.ok(s.do("POST", "/tables/events", "x", "Idempotency-Key: k"))
	s.want(s.do("POST", "/tables/events/bulk", "{", asJSON), 400, "truncated_json", -1, 1)
	for range 3 {
		s.do("GET", "/a/path/that/an/attacker/varies/"+uuid.NewString(), "")
		s.do("BREW", "/tables", "")
	}
	got := s.scrape()
	for series, want := range map[string]string{
		`firn_http_requests_total{code="200",route="/tables/{table}/bulk"}`: "1",
		`firn_http_requests_total{code="400",route="/tables/{table}/bulk"}`: "1",
		`firn_http_requests_total{code="200",route="/tables/{table}"}`:      "2",
		`firn_http_requests_total{code="404",route="other"}`:                "3",
		`firn_http_requests_total{code="405",route="/tables"}`:              "3",
		`firn_http_refusals_total{code="truncated_json"}`:                   "1",
		`firn_http_refusals_total{code="disk_full"}`:                        "0",
		`firn_events_accepted_total`:                                        "3",
		`firn_events_duplicate_total`:                                       "1",
		`firn_body_bytes_total`:                                             "6",
		`firn_append_seconds_count`:                                         "3",
		`firn_body_bytes_in_flight`:                                         "0",
		`firn_log_events_total`:                                             "3",
		`firn_log_refused_total{reason="full"}`:                             "0",
		`firn_commit_requests_resent_total`:                                 "3",
		`firn_lag_seconds`:                                                  "1.5",
		`firn_table_backlog_events{table="events"}`:                         "4",
		`firn_table_stopped{table="events"}`:                                "0",
		`firn_commits_total`:                                                "2",
		`firn_requests_decided_total{outcome="applied"}`:                    "5",
		`firn_queue_messages`:                                               "6",
	} {
		if got[series] != want {
			t.Errorf("%s is %q, want %s", series, got[series], want)
		}
	}
	if got[`firn_log_sync_seconds_count`] == "0" || got[`firn_log_sync_seconds_bucket{le="+Inf"}`] != got[`firn_log_sync_seconds_count`] {
		t.Error("the histogram of syncs does not add up")
	}
	n := len(got)
	for range 5 {
		s.do("GET", "/another/"+uuid.NewString(), "")
		s.do("POST", "/tables/Bad-"+uuid.NewString(), "x")
	}
	if len(s.scrape()) != n {
		t.Error("requests made new time series")
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	err := Config{}.Validate()
	for _, want := range []string{"MaxBodyBytes", "body", "commit", "reading", "connection"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not among the violations: %v", want, err)
		}
	}
	if _, err := New(Deps{}, Default()); err == nil {
		t.Error("an interface without parts was made")
	}
	var _ http.Handler = (&API{}).Handler()
}
