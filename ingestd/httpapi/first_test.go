package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog/twin"
	"firn/commitlib/objstore"
	"firn/ingestd/event"
	"firn/ingestd/registry"
)

// TestRefusedFirstEvent refuses first events for all sorts of reasons: none may make the
// table, which the hint says how to make.
func TestRefusedFirstEvent(t *testing.T) {
	s := newStack(t, options{})
	f := func(path, body, code string, headers ...string) {
		t.Helper()
		if a := s.do("POST", path, body, headers...); a.Error.Code != code {
			t.Errorf("%s %q: %s, want %s", path, body, a.body, code)
		}
		if _, known := s.registry.Get("events"); known {
			t.Fatalf("%s %q made the table", path, body)
		}
	}
	f("/tables/events", "\xff\xfe", event.CodeInvalidUTF8)
	f("/tables/events/bulk", `{"records":[{"payload_base64":"/w=="}]}`, event.CodeNotBinary, asJSON)
	f("/tables/events/bulk", `{"records":[`, event.CodeTruncatedJSON, asJSON)
	f("/tables/events", "x", event.CodeTimeRange, "X-Timestamp-Ms: 1")
	f("/tables/events", "", event.CodeNoEvents)
	if a := s.do("PUT", "/tables/events", `{"payload":"binary"}`); a.status != http.StatusCreated {
		t.Fatalf("what the hint says gives %d: %s", a.status, a.body)
	}
	s.ok(s.do("POST", "/tables/events", "\xff\xfe"))
	s.ok(s.do("POST", "/tables/events/bulk", `{"records":[{"payload_base64":"/w=="}]}`, asJSON))

	s.ok(s.do("DELETE", "/tables/events", ""))
	s.want(s.do("POST", "/tables/events", "x"), 409, "ingest_stopped", -1, -1)
	if a := s.ok(s.do("PUT", "/tables/events", "")); !strings.Contains(string(a.body), `"payload":"binary"`) || !strings.Contains(string(a.body), `"ingest":"open"`) {
		t.Fatalf("PUT after DELETE says %s", a.body)
	}
	a := s.ok(s.do("PUT", "/tables/events", `{"cut_interval":"3s"}`))
	a = s.ok(s.do("PUT", "/tables/events", `{"time_window_back":"3650d"}`))
	if !strings.Contains(string(a.body), `"cut_interval":"3s"`) || !strings.Contains(string(a.body), `"time_window_back":"3650d"`) {
		t.Fatalf("a PUT of one setting changed another: %s", a.body)
	}
	s.ok(s.do("POST", "/tables/events", "x", fmt.Sprintf("X-Timestamp-Ms: %d", time.Now().AddDate(-5, 0, 0).UnixMilli())))
}

// TestBinaryTableOfAnotherDaemon takes a first event here that only a binary table
// takes, for one that another daemon made.
func TestBinaryTableOfAnotherDaemon(t *testing.T) {
	cat := twin.New(twin.REST, objstore.NewMem("mem://warehouse"))
	daemon := func() *stack {
		s := newStack(t, options{})
		rc := registry.DefaultConfig()
		rc.Logger = s.api.Logger
		reg, err := registry.Open(cat, s.log, rc)
		if err != nil {
			t.Fatal(err)
		}
		s.api.Registry = reg
		return s
	}
	a, b := daemon(), daemon()
	if got := a.do("PUT", "/tables/raw", `{"payload":"binary"}`); got.status != http.StatusCreated {
		t.Fatalf("%s", got.body)
	}
	b.ok(b.do("POST", "/tables/raw", "\xff"))
}
