package rest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/rest"
	"firn/commitlib/iceberg"
	"firn/perf/peer"
	"firn/perf/tier"
)

// raw sends a request to the server by other means than the code under test.
func raw(t *testing.T, method, uri, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, uri, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode > 299 {
		t.Fatalf("%s %s: %s %.500s %v", method, uri, resp.Status, text, err)
	}
}

// shared is a catalog in the Iceberg project's server with the table in it.
type shared struct {
	*testing.T
	*rest.Catalog
	uri  string // of the table
	base *catalog.Table
}

func newShared(t *testing.T) *shared {
	t.Helper()
	tier.Need(t, tier.CI)
	server := peer.REST(t)
	s := &shared{T: t, Catalog: newCatalog(t, rest.Config{URI: server.URI}), uri: server.URI + tablePath}
	s.base = s.create()
	return s
}

func (s *shared) create() *catalog.Table {
	s.Helper()
	table, err := s.Create(s.Context(), clicks, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String), Properties: map[string]string{"firn.protocol": "1"}})
	if err != nil {
		s.Fatal(err)
	}
	return table
}

func (s *shared) swap(base *catalog.Table, id int64) *catalog.Table {
	s.Helper()
	table, err := s.Swap(s.Context(), base, next(base, id))
	if err != nil {
		s.Fatal(err)
	}
	return table
}

func (s *shared) update(update string) {
	s.Helper()
	raw(s.T, http.MethodPost, s.uri, `{"requirements":[],"updates":[`+update+`]}`)
}

// TestOutrun: a rival's snapshot came and was rolled back, so that main is where the base has it. The sequence number is
// used up: a conflict, after which the change is made anew.
func TestOutrun(t *testing.T) {
	s := newShared(t)
	base := s.swap(s.base, 1)
	s.swap(base, 2)
	s.update(`{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":1}`)
	_, err := s.Swap(t.Context(), base, next(base, 3))
	wantError(t, "swap with a used sequence number", err, catalog.ErrConflict)
	now, err := s.Refresh(t.Context(), base)
	if err != nil || now.Metadata.CurrentSnapshotID != 1 || now.Metadata.LastSequenceNumber != 2 {
		t.Fatalf("%+v, %v", now, err)
	}
	s.swap(now, 4)
}

// TestBesideProperties: what others set from the same base stays, and so does ours; a branch's retention too.
func TestBesideProperties(t *testing.T) {
	s := newShared(t)
	base := s.swap(s.base, 1)
	s.update(`{"action":"set-properties","updates":{"theirs":"1"}}`)
	s.update(`{"action":"set-snapshot-ref","ref-name":"main","type":"branch","snapshot-id":1,"min-snapshots-to-keep":7}`)
	base, err := s.Refresh(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	s.update(`{"action":"set-properties","updates":{"theirs":"2"}}`)
	now := s.swap(base, 2)
	if p := now.Metadata.Properties; p["theirs"] != "2" || p["firn.watermarks"] != "{}" || p["firn.protocol"] != "1" {
		t.Errorf("properties %v", p)
	}
	text, err := json.Marshal(now.Metadata.Refs)
	if err != nil || !strings.Contains(string(text), `"min-snapshots-to-keep":7`) {
		t.Errorf("refs %s, %v", text, err)
	}
}

// TestTableGone: a table that was dropped, or made anew, refuses what was meant for the old one.
func TestTableGone(t *testing.T) {
	s := newShared(t)
	base := s.swap(s.base, 1)
	raw(t, http.MethodDelete, s.uri, "")
	_, err := s.Swap(t.Context(), base, next(base, 2))
	wantError(t, "swap on a dropped table", err, catalog.ErrConflict)
	_, err = s.Refresh(t.Context(), base)
	wantError(t, "refresh of a dropped table", err, catalog.ErrNoTable)
	_, err = s.Load(t.Context(), clicks)
	wantError(t, "load of a dropped table", err, catalog.ErrNoTable)
	anew := s.create()
	for _, old := range []*catalog.Table{s.base, base} { // the new one's main is empty, as the first one's was
		_, err = s.Swap(t.Context(), old, next(old, 3))
		wantError(t, "swap on a table made anew", err, catalog.ErrConflict)
	}
	if now, err := s.Refresh(t.Context(), base); err != nil || now.Metadata.TableUUID != anew.Metadata.TableUUID {
		t.Errorf("%+v, %v", now, err)
	}
}

// TestServerCost: requests and statuses as the server counts them. A commit is one POST, and a poll that finds nothing
// new is answered without a body.
func TestServerCost(t *testing.T) {
	tier.Need(t, tier.CI)
	server := peer.REST(t)
	proxy := peer.Proxy(t, server.Base())
	c := newCatalog(t, rest.Config{URI: server.At(proxy).URI, Credential: "me:secret"})
	s := &shared{T: t, Catalog: c, uri: server.URI + tablePath}
	s.swap(s.create(), 1)
	table := must(c.Load(t.Context(), clicks))
	proxy.ResetCounts()
	for range 5 {
		if now, err := c.Refresh(t.Context(), table); err != nil || now != table {
			t.Fatalf("refresh: %v", err)
		}
	}
	polls := proxy.Counts()
	if fmt.Sprint(polls["loadTable"].Status) != "map[304:5]" || polls["loadTable"].Out != 0 || len(polls) != 1 {
		t.Errorf("5 polls: %+v", polls)
	}
	proxy.ResetCounts()
	for id := range int64(3) {
		table = s.swap(table, 10+id)
	}
	commits := proxy.Counts()
	if fmt.Sprint(commits["updateTable"].Status) != "map[200:3]" || len(commits) != 1 {
		t.Errorf("3 commits: %+v", commits)
	}
}
