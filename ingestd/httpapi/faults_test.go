package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/registry"
	"firn/ingestd/ship"
)

// slowLog delays appends.
type slowLog struct {
	Log
	delay time.Duration
	begun chan struct{}
	err   error // of the request's context when the delay was over
}

func (l *slowLog) Append(ctx context.Context, a eventlog.Append) (eventlog.Appended, error) {
	if l.begun != nil {
		l.begun <- struct{}{}
	}
	time.Sleep(l.delay)
	l.err = ctx.Err()
	return l.Log.Append(ctx, a)
}

// refusingLog fails appends.
type refusingLog struct {
	Log
	err error
}

func (l *refusingLog) Append(context.Context, eventlog.Append) (eventlog.Appended, error) {
	return eventlog.Appended{}, l.err
}

func (l *refusingLog) Refused() error { return l.err }

// TestRefusals maps each error of the parts to what the producer is told.
func TestRefusals(t *testing.T) {
	log := &refusingLog{}
	s := newStack(t, options{deps: func(d *Deps) { log.Log, d.Log = d.Log, log }})
	f := func(err error, status int, code, retryAfter string) {
		t.Helper()
		log.err = err
		a := s.do("POST", "/tables/events", "x")
		s.want(a, status, code, -1, -1)
		if got := a.header.Get("Retry-After"); got != retryAfter {
			t.Fatalf("%v: Retry-After is %q, want %q", err, got, retryAfter)
		}
	}
	refusal := func(reason error, after time.Duration) error {
		return fmt.Errorf("append: %w", &eventlog.Refusal{Reason: reason, RetryAfter: after})
	}
	f(refusal(eventlog.ErrFull, 0), 503, "backlog_full", "5")
	f(refusal(eventlog.ErrFull, 1500*time.Millisecond), 503, "backlog_full", "2")
	f(refusal(eventlog.ErrTableFull, 7*time.Second), 503, "table_backlog_full", "7")
	f(refusal(eventlog.ErrDiskFull, 0), 507, "disk_full", "10")
	f(refusal(eventlog.ErrDedupFull, 0), 429, "dedup_full", "60")
	f(refusal(eventlog.ErrTooLarge, 0), 413, "batch_too_large", "")
	f(eventlog.ErrClosed, 503, "shutting_down", "5")
	f(fmt.Errorf("write: %w", eventlog.ErrBroken), 500, "log_broken", "")
	f(context.DeadlineExceeded, 500, "outcome_unknown", "")
	f(errors.New("a secret"), 500, "internal", "")
	if a := s.do("POST", "/tables/events", "x"); strings.Contains(string(a.body), "secret") {
		t.Fatalf("an internal error is told to the client: %s", a.body)
	}
	log.err = nil

	for err, want := range map[error]string{
		registry.ErrUnknownTable: "unknown_table", registry.ErrStopped: "ingest_stopped", registry.ErrTooManyTables: "too_many_tables",
		registry.ErrUnavailable: "catalog_unavailable", registry.ErrReplaced: "table_stopped", registry.ErrBadSettings: "invalid_settings",
		&registry.RejectedError{Table: "t", Reason: "r"}: "table_rejected", &ship.Stop{Reason: ship.Rejected, Err: errors.New("x")}: "table_stopped",
		ship.ErrNotStopped: "not_stopped", ship.ErrStillOpen: "log_still_open", ship.ErrCountDiffers: "count_differs",
		eventlog.ErrUnknownTrack:               "invalid_parameter",
		&event.Error{Code: event.CodeNoEvents}: event.CodeNoEvents,
	} {
		if f := faultOf(fmt.Errorf("layer: %w", err)); f.code != want || f.message == "" && want != event.CodeNoEvents {
			t.Errorf("%v is told as %s, want %s", err, f.code, want)
		}
	}
}

// TestStoppedTable refuses the senders of a table whose shipping is stopped, and no others.
func TestStoppedTable(t *testing.T) {
	s := newStack(t, options{})
	s.ok(s.do("POST", "/tables/stuck", "x"))
	s.ok(s.do("POST", "/tables/fine", "x"))
	stuck, _ := s.registry.Get("stuck")
	fine, _ := s.registry.Get("fine")
	stop := &ship.Stop{Reason: ship.WatermarkBack, Err: errors.New("it went back"), Choices: []string{"restore it"}, Since: time.Now()}
	s.ship.mu.Lock()
	s.ship.statuses = []ship.TableStatus{
		{Table: "stuck", Backlog: 3, Tracks: []ship.TrackStatus{{Log: uuid.New(), TableUUID: stuck.UUID, Stop: stop, Backlog: 3}}},
		{Table: "fine", Tracks: []ship.TrackStatus{{Log: uuid.New(), TableUUID: fine.UUID, Stop: stop, Older: true}}}, // an older log concerns no new event
	}
	s.ship.mu.Unlock()
	s.ship.warnings = []string{"table stuck"}
	s.api.stops.next.Store(0)
	a := s.do("POST", "/tables/stuck", "x")
	s.want(a, 503, "table_stopped", -1, -1)
	if !strings.Contains(a.Error.Message, "it went back") || !strings.Contains(a.Error.Hint, "restore it") || a.header.Get("Retry-After") == "" {
		t.Fatalf("reason or choices are missing: %s", a.body)
	}
	s.ok(s.do("POST", "/tables/fine", "x"))
	s.ok(s.do("POST", "/tables/new", "x"))
	if a := s.ok(s.do("GET", "/health/ready", "")); !strings.Contains(string(a.body), `"degraded"`) {
		t.Fatalf("ready says %s", a.body)
	}
	if a := s.ok(s.do("GET", "/tables/stuck/watermark", "")); !strings.Contains(string(a.body), `"reason":"watermark-back"`) || !strings.Contains(string(a.body), `"backlog_events":3`) {
		t.Fatalf("the watermark says %s", a.body)
	}

	s.want(s.do("POST", "/tables/stuck/discard", ""), 400, "invalid_parameter", -1, -1)
	s.want(s.do("POST", "/tables/stuck/discard?log=x&events=7", ""), 400, "invalid_parameter", -1, -1)
	s.want(s.do("POST", "/tables/stuck/discard?events=0&log="+uuid.NewString(), ""), 400, "invalid_parameter", -1, -1)
	s.want(s.do("POST", "/tables/stuck/discard?events=6&log="+uuid.NewString(), ""), 409, "count_differs", -1, -1)
	s.ok(s.do("POST", "/tables/stuck/discard?events=7&log="+uuid.NewString(), ""))
	s.ok(s.do("POST", "/tables/stuck/resume", ""))
	s.want(s.do("POST", "/tables/stuck/resume", ""), 409, "not_stopped", -1, -1)
	s.ok(s.do("POST", "/tables/stuck", "x")) // at once, not when the answer has aged
	if len(s.ship.resumed) != 1 || len(s.ship.discards) != 1 {
		t.Fatalf("resumed %v, discarded %v", s.ship.resumed, s.ship.discards)
	}
}

// TestEveryCodeIsDocumented holds the table of refusals, the sources that use it, and API.md together.
func TestEveryCodeIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("API.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| (\\d{3}) \\| (.+) \\|$").FindAllStringSubmatch(string(doc), -1) {
		documented[m[1]] = m[2] + " " + m[3]
	}
	known := map[string]bool{}
	for _, f := range Faults {
		if known[f.Code] {
			t.Errorf("%s is in the table twice", f.Code)
		}
		known[f.Code] = true
		if want := strconv.Itoa(f.Status) + " " + f.Meaning; documented[f.Code] != want {
			t.Errorf("API.md has for %s\n%q, want\n%q", f.Code, documented[f.Code], want)
		}
		if http.StatusText(f.Status) == "" {
			t.Errorf("%s has status %d", f.Code, f.Status)
		}
		found := false
		for _, status := range statuses {
			found = found || status == f.Status
		}
		if !found {
			t.Errorf("status %d of %s is not counted", f.Status, f.Code)
		}
	}
	for code := range documented {
		if !known[code] {
			t.Errorf("API.md has %s, which does not exist", code)
		}
	}
	files, _ := filepath.Glob("*.go")
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, m := range regexp.MustCompile(`(?:newFault\(|code: +)"([a-z0-9_]+)"`).FindAllStringSubmatch(string(src), -1) {
			if !known[m[1]] {
				t.Errorf("%s uses code %s, which is not in the table", name, m[1])
			}
		}
	}
	for _, k := range kinds {
		if !known[k.code] {
			t.Errorf("%v has code %s, which is not in the table", k.err, k.code)
		}
	}
	src, err := os.ReadFile("../event/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`= "([a-z0-9_]+)"`).FindAllStringSubmatch(string(src), -1) {
		if !known[m[1]] {
			t.Errorf("package event has code %s, which is not in the table", m[1])
		}
	}
}

// TestEveryRouteIsDocumented compares the routes with API.md's.
func TestEveryRouteIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("API.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	table, _, _ := strings.Cut(string(doc), "Table names match")
	for _, m := range regexp.MustCompile("`((?:GET|POST|PUT|DELETE) /[^` ]*)`").FindAllStringSubmatch(table, -1) {
		documented[m[1]] = true
	}
	a := &API{}
	for path, m := range a.paths() {
		for method := range m {
			route := method + " " + path
			if !documented[route] {
				t.Errorf("API.md lacks %s", route)
			}
			delete(documented, route)
		}
	}
	for route := range documented {
		t.Errorf("API.md has %s, which does not exist", route)
	}
}

// TestEverySettingIsDocumented compares the settings with API.md's: names, defaults and ranges.
func TestEverySettingIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("API.md")
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(registry.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	var defaults map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &defaults); err != nil {
		t.Fatal(err)
	}
	if len(defaults) != len(settings) {
		t.Errorf("PUT takes %d settings, a table has %d", len(settings), len(defaults))
	}
	for _, s := range settings {
		value := string(defaults[s.name])
		if strings.ContainsAny(value, `"[`) {
			value = "`" + value + "`"
		}
		if row := fmt.Sprintf("| `%s` | %s | %s", s.name, value, registry.Ranges()[s.name]); value == "" || !strings.Contains(string(doc), "\n"+row) {
			t.Errorf("API.md has no row that begins with %s", row)
		}
	}
}

// TestExamples runs API.md's examples, in its order: each must be taken, at any date.
func TestExamples(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	doc, err := os.ReadFile("API.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newStack(t, options{})
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) < 3 {
		t.Fatalf("API.md has %d examples", len(blocks))
	}
	for _, b := range blocks {
		script := strings.ReplaceAll(b[1], "localhost:8080", s.addr)
		script = strings.ReplaceAll(script, "curl ", curl+" -sS --fail-with-body ")
		if out, err := exec.Command("bash", "-euo", "pipefail", "-c", script).CombinedOutput(); err != nil {
			t.Errorf("%s\n%v: %s", b[1], err, out)
		}
	}
	if s.stored() != 5 {
		t.Errorf("%d events are stored, want 5", s.stored())
	}
	if table, ok := s.registry.Get("events"); !ok || table.Settings.CutInterval != registry.Duration(5*time.Second) {
		t.Error("the settings were not taken")
	}
}
