package httpapi

import (
	"context"
	"slices"
	"strings"
	"testing"

	"firn/commitlib/maintain"
)

// TestMaintain hands what is asked for to maintenance, and its reports to the client.
func TestMaintain(t *testing.T) {
	var asked []maintain.Options
	busy := false
	s := newStack(t, options{deps: func(d *Deps) {
		d.Maintain = func(_ context.Context, table string, opts maintain.Options) []maintain.Result {
			if busy {
				return nil
			}
			asked = append(asked, opts)
			report := &maintain.Report{Table: "default." + table, DryRun: opts.DryRun, Stopped: "for a reason"}
			return []maintain.Result{{Task: "sweep", Outcome: report}}
		}
	}})
	s.want(s.do("POST", "/tables/events/maintain", ""), 404, "unknown_table", -1, -1)
	if a := s.do("PUT", "/tables/events", "{}"); a.status != 201 {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	f := func(query string, want maintain.Options) {
		t.Helper()
		want.Scope = maintain.Whole
		a := s.ok(s.do("POST", "/tables/events/maintain"+query, ""))
		if n := len(asked); n == 0 || asked[n-1] != want {
			t.Errorf("%q asked for %+v", query, asked)
		}
		for _, part := range []string{`"table":"events"`, `"task":"sweep"`, `"stopped":"for a reason"`} {
			if !strings.Contains(string(a.body), part) {
				t.Errorf("%q: %s, want %s in it", query, a.body, part)
			}
		}
	}
	f("", maintain.Options{})
	f("?dry_run=true", maintain.Options{DryRun: true})
	f("?dry_run=false&force=true", maintain.Options{Force: true})
	before := slices.Clone(asked)
	s.want(s.do("POST", "/tables/events/maintain?dry_run=yes", ""), 400, "invalid_parameter", -1, -1)
	s.want(s.do("POST", "/tables/events/maintain?dryrun=true", ""), 400, "invalid_parameter", -1, -1)
	s.want(s.do("GET", "/tables/events/maintain", ""), 405, "method_not_allowed", -1, -1)
	busy = true
	s.want(s.do("POST", "/tables/events/maintain", ""), 503, "busy", -1, -1)
	if !slices.Equal(asked, before) {
		t.Errorf("refused requests were carried out: %+v", asked)
	}
}
