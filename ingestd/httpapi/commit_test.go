package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"firn/ingestd/ship"
)

func TestCommit(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.ReplyWithin = 50 * time.Millisecond }})
	s.ok(s.do("POST", "/tables/events", "x"))
	f := func(commit func(ctx context.Context, table string) (int64, error)) answer {
		s.ship.commit = commit
		return s.do("POST", "/tables/events/commit", "")
	}
	a := f(func(_ context.Context, table string) (int64, error) {
		if table != "events" {
			t.Errorf("committed %q", table)
		}
		return 8_123_456_789_012_345_678, nil
	})
	if s.ok(a); string(a.body) != `{"table":"events","status":"committed","snapshot_id":8123456789012345678}`+"\n" {
		t.Fatalf("the reply is %s", a.body)
	}
	a = f(func(context.Context, string) (int64, error) { return 0, nil })
	if s.ok(a); string(a.body) != `{"table":"events","status":"committed","snapshot_id":null}`+"\n" {
		t.Fatalf("the reply is %s", a.body)
	}
	s.want(f(func(context.Context, string) (int64, error) {
		return 0, &ship.Stop{Reason: ship.TableMissing, Err: errors.New("gone")}
	}), 503, "table_stopped", -1, -1)
	s.want(f(func(context.Context, string) (int64, error) { return 0, errors.New("odd") }), 500, "internal", -1, -1)
	s.want(s.do("POST", "/tables/nothing/commit", ""), 404, "unknown_table", -1, -1)
}

// TestSlowCommit wants a reply before a balancer gives up, and an address that leads to the same place.
func TestSlowCommit(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.ReplyWithin = 50 * time.Millisecond }})
	s.ok(s.do("POST", "/tables/events", "x"))
	s.ship.commit = func(ctx context.Context, _ string) (int64, error) { <-ctx.Done(); return 0, ctx.Err() }
	asked, _ := s.ship.Demand("events")

	a := s.do("POST", "/tables/events/commit", "")
	var out commitReply
	if err := json.Unmarshal(a.body, &out); err != nil || a.status != 202 || out.Status != "pending" || out.Snapshot != nil || out.Backlog != 1 {
		t.Fatalf("%d %s (%v)", a.status, a.body, err)
	}
	watch := a.header.Get("Location")
	if watch != out.Watch || a.header.Get("Retry-After") == "" {
		t.Fatalf("Location %q, status_url %q, Retry-After %q", watch, out.Watch, a.header.Get("Retry-After"))
	}

	var looked ship.Target
	done, failed := false, error(nil)
	s.ship.reached = func(tg ship.Target) (int64, bool, error) { looked = tg; return 42, done, failed }
	if a := s.do("GET", watch, ""); a.status != 202 || looked != asked || a.header.Get("Location") != watch {
		t.Errorf("%d %s: it looked at %+v, want %+v", a.status, a.body, looked, asked)
	}
	done = true
	if a := s.ok(s.do("GET", watch, "")); string(a.body) != `{"table":"events","status":"committed","snapshot_id":42}`+"\n" {
		t.Errorf("the reply is %s", a.body)
	}
	failed = &ship.Stop{Reason: ship.TableMissing, Err: errors.New("gone")}
	s.want(s.do("GET", watch, ""), 503, "table_stopped", -1, -1)
	failed = ship.ErrGone
	s.want(s.do("GET", watch, ""), 404, "unknown_log", -1, -1)

	bad := func(path string) { t.Helper(); s.want(s.do("GET", path, ""), 400, "invalid_parameter", -1, -1) }
	bad("/tables/events/commit")
	bad(strings.Replace(watch, "sequence=1", "sequence=0", 1))
	bad(strings.Replace(watch, "&sequence=1", "", 1))
	bad(strings.Replace(watch, "log=", "log=x", 1))
	bad(strings.Replace(watch, "table_uuid=", "uuid=", 1))
	s.want(s.do("GET", strings.Replace(watch, "/events/", "/nothing/", 1), ""), 404, "unknown_table", -1, -1)
}
