package rest_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/rest"
	"firn/commitlib/iceberg"
)

// sameJSON fails unless two texts mean the same.
func sameJSON(t *testing.T, what, got, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("%s: %v: %s", what, err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("%s:\n%s\nwant\n%s", what, got, want)
	}
}

// TestCommitRequest pins what a commit sends: requirements, one update of each kind, and nothing that lets a transport
// send it twice.
func TestCommitRequest(t *testing.T) {
	s := newService(t)
	c, base := s.opened(rest.Config{})
	ch := next(base, 7)
	after, err := base.Metadata.WithSnapshot(ch.Snapshot, ch.SetProperties, "", time.UnixMilli(1_700_000_001_000))
	if err != nil {
		t.Fatal(err)
	}
	s.on("POST "+tablePath, answer(200, tableJSON(after, 1, "")))
	now, err := c.Swap(t.Context(), base, ch)
	if err != nil {
		t.Fatal(err)
	}
	sent := s.asked("POST " + tablePath)[0]
	sameJSON(t, "commit on an empty main", sent.body, `{
		"identifier": {"namespace": ["lake"], "name": "clicks"},
		"requirements": [
			{"type": "assert-table-uuid", "uuid": "0190a1b2-0000-4000-8000-000000000001"},
			{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": null}],
		"updates": [
			{"action": "add-snapshot", "snapshot": {"snapshot-id": 7, "sequence-number": 1, "timestamp-ms": 1700000001000,
				"manifest-list": "s3://lake/clicks/metadata/snap.avro", "summary": {"operation": "append"}, "schema-id": 0}},
			{"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 7},
			{"action": "set-properties", "updates": {"firn.watermarks": "{}", "b": "2"}}]}`)
	if key := sent.header.Get("Idempotency-Key"); key != "" {
		t.Errorf("Idempotency-Key %q: net/http would send the commit again after a broken connection", key)
	}

	// The branch's retention is kept, and main is asserted where it is.
	text, _ := now.Metadata.Encode()
	kept := strings.Replace(string(text), `"refs":{"main":{"snapshot-id":7,"type":"branch"`,
		`"refs":{"main":{"snapshot-id":7,"type":"branch","min-snapshots-to-keep":3,"max-ref-age-ms":null`, 1)
	m, err := iceberg.ParseMetadata([]byte(kept))
	if err != nil || kept == string(text) {
		t.Fatalf("%v: %s", err, kept)
	}
	now.Metadata = m
	_, err = c.Swap(t.Context(), now, next(now, 8)) // answered as before, which is about another snapshot
	wantError(t, "swap", err, catalog.ErrUnknown)
	var got struct {
		Requirements []map[string]any
		Updates      []map[string]any
	}
	if err := json.Unmarshal([]byte(s.asked("POST " + tablePath)[1].body), &got); err != nil {
		t.Fatal(err)
	}
	if got.Requirements[1]["snapshot-id"] != 7.0 {
		t.Errorf("main is asserted at %v", got.Requirements[1]["snapshot-id"])
	}
	want := map[string]any{"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 8.0, "min-snapshots-to-keep": 3.0}
	if !reflect.DeepEqual(got.Updates[1], want) {
		t.Errorf("moves main by %v, want %v", got.Updates[1], want)
	}
}

// TestRemovalRequest pins what a commit that removes snapshots sends beside the rest, and that it is sent only on the
// table's current state.
func TestRemovalRequest(t *testing.T) {
	s := newService(t)
	c, base := s.opened(rest.Config{})
	m := base.Metadata
	for id := int64(1); id <= 3; id++ {
		snapshot := next(&catalog.Table{Metadata: m, Location: base.Location}, id).Snapshot
		var err error
		if m, err = m.WithSnapshot(snapshot, nil, "", time.UnixMilli(1_700_000_000_000+id)); err != nil {
			t.Fatal(err)
		}
	}
	m.Refs["b"], m.Refs["a"] = iceberg.Ref{SnapshotID: 1, Type: iceberg.RefTag}, iceberg.Ref{SnapshotID: 3, Type: iceberg.RefBranch}
	base.Metadata = m
	ch := next(base, 7)
	ch.RemoveSnapshots = []int64{2, 99}
	after, err := m.WithCommit(ch.Snapshot, ch.SetProperties, ch.RemoveSnapshots, "", time.UnixMilli(1_700_000_001_000))
	if err != nil {
		t.Fatal(err)
	}
	s.on("GET "+tablePath, answer(200, tableJSON(m, 1, ""))) // another metadata-location than base's
	_, err = c.Swap(t.Context(), base, ch)
	wantError(t, "swap on a base that is not current", err, catalog.ErrConflict)
	if n := len(s.asked("POST " + tablePath)); n != 0 {
		t.Fatalf("%d commits were sent on it", n)
	}
	if base, err = c.Load(t.Context(), clicks); err != nil {
		t.Fatal(err)
	}
	s.on("POST "+tablePath, answer(200, tableJSON(after, 2, "")))
	if _, err := c.Swap(t.Context(), base, ch); err != nil {
		t.Fatal(err)
	}
	var got struct{ Requirements, Updates []json.RawMessage }
	if err := json.Unmarshal([]byte(s.asked("POST " + tablePath)[0].body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Requirements) != 4 || len(got.Updates) != 4 {
		t.Fatalf("%s\n%s", got.Requirements, got.Updates)
	}
	sameJSON(t, "ref a", string(got.Requirements[2]), `{"type": "assert-ref-snapshot-id", "ref": "a", "snapshot-id": 3}`)
	sameJSON(t, "ref b", string(got.Requirements[3]), `{"type": "assert-ref-snapshot-id", "ref": "b", "snapshot-id": 1}`)
	sameJSON(t, "removal", string(got.Updates[3]), `{"action": "remove-snapshots", "snapshot-ids": [2]}`)
}

// TestBadChangeIsNotSent: what no reader would take is rejected here; services check less.
func TestBadChangeIsNotSent(t *testing.T) {
	s := newService(t)
	c, base := s.opened(rest.Config{})
	ch := next(base, 7)
	ch.Snapshot.ParentID = 5
	_, err := c.Swap(t.Context(), base, ch)
	wantError(t, "another parent", err, catalog.ErrRejected)
	if n := len(s.asked("POST " + tablePath)); n != 0 {
		t.Errorf("%d commits were sent", n)
	}
}

// TestCreateRequest pins what a create sends, and that a missing namespace is made.
func TestCreateRequest(t *testing.T) {
	s := newService(t)
	c := newCatalog(t, rest.Config{URI: s.uri + "/", Root: "s3://lake/events/"})
	const tables = "/v1/namespaces/lake/tables"
	s.on("POST /v1/namespaces", answer(200, `{"namespace":["lake"]}`))
	s.on("POST "+tables, answer(404, model(404, "NoSuchNamespaceException", "Namespace does not exist: lake")))
	_, err := c.Create(t.Context(), clicks, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String)})
	if err == nil || len(s.asked("POST "+tables)) != 2 || len(s.asked("POST /v1/namespaces")) != 1 {
		t.Errorf("%v; asked %d times for the table, %d for the namespace", err, len(s.asked("POST "+tables)), len(s.asked("POST /v1/namespaces")))
	}
	sameJSON(t, "namespace", s.asked("POST /v1/namespaces")[0].body, `{"namespace":["lake"],"properties":{}}`)
	sameJSON(t, "table", s.asked("POST " + tables)[0].body, `{"name":"clicks","location":"s3://lake/events/lake/clicks",
		"schema":`+string(must(iceberg.EventSchema(iceberg.String).MarshalJSON()))+`,
		"partition-spec":{"spec-id":0,"fields":[]},"stage-create":false,"properties":{"format-version":"2"}}`)

	s.on("POST "+tables, answer(409, model(409, "AlreadyExistsException", "Table already exists")))
	_, err = c.Create(t.Context(), clicks, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String)})
	wantError(t, "create what exists", err, catalog.ErrTableExists)
}

// TestServiceChoosesLocation: a service that takes no location is asked without one.
func TestServiceChoosesLocation(t *testing.T) {
	s := newService(t)
	c := newCatalog(t, rest.Config{URI: s.uri, Root: "s3://lake"})
	const tables = "/v1/namespaces/lake/tables"
	made := answer(200, tableJSON(newMetadata(), 0, ""))
	refused := answer(400, model(400, "BadRequestException", "Cannot specify a location"))
	s.on("POST "+tables, func(w http.ResponseWriter, r *http.Request) {
		n := len(s.asked("POST " + tables))
		if strings.Contains(s.asked("POST " + tables)[n-1].body, `"location"`) {
			refused(w, r)
			return
		}
		made(w, r)
	})
	table, err := c.Create(t.Context(), clicks, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String)})
	if err != nil || table.Location != "s3://lake/clicks" {
		t.Fatalf("%+v, %v", table, err)
	}
	s.on("POST "+tables, answer(400, model(400, "BadRequestException", "Invalid schema")))
	_, err = c.Create(t.Context(), clicks, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String)})
	wantError(t, "create with a bad schema", err, catalog.ErrRejected)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
