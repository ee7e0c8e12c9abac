package rest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/rest"
	"firn/commitlib/iceberg"
)

var clicks = catalog.Ident{Namespace: "lake", Name: "clicks"}

const tablePath = "/v1/namespaces/lake/tables/clicks"

// request is what a service saw.
type request struct {
	method, path, query string // path as it was sent, encoded
	header              http.Header
	body                string
}

// service is a scripted REST service: what it answers is set by "METHOD /path", and what it was asked is kept.
type service struct {
	t   *testing.T
	uri string

	mu      sync.Mutex // protects all below
	answers map[string]http.HandlerFunc
	seen    []request
}

// newService answers the configuration, without a prefix, and nothing else.
func newService(t *testing.T) *service {
	s := &service{t: t, answers: map[string]http.HandlerFunc{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.uri = srv.URL
	s.on("GET /v1/config", answer(200, `{"defaults":{},"overrides":{}}`))
	return s
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	s.mu.Lock()
	s.seen = append(s.seen, request{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone(), string(body)})
	h := s.answers[r.Method+" "+r.URL.EscapedPath()]
	s.mu.Unlock()
	if h == nil {
		s.t.Errorf("unexpected %s %s", r.Method, r.URL)
		http.Error(w, "unexpected", http.StatusTeapot)
		return
	}
	h(w, r)
}

func (s *service) on(what string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[what] = h
}

// asked returns the requests for "METHOD /path" so far.
func (s *service) asked(what string) (found []request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.seen {
		if r.method+" "+r.path == what {
			found = append(found, r)
		}
	}
	return found
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// model is an answer in the specification's error model.
func model(status int, kind, message string) string {
	text, _ := json.Marshal(map[string]any{"error": map[string]any{"code": status, "type": kind, "message": message, "stack": []string{"at a.b.C"}}})
	return string(text)
}

// newMetadata is that of a table without a snapshot.
func newMetadata() *iceberg.Metadata {
	return iceberg.NewMetadata(uuid.MustParse("0190a1b2-0000-4000-8000-000000000001"), "s3://lake/clicks", iceberg.EventSchema(iceberg.String),
		iceberg.PartitionSpec{Fields: []iceberg.PartitionField{}}, map[string]string{"firn.protocol": "1"}, time.UnixMilli(1_700_000_000_000))
}

// tableJSON is the answer that holds a table's n-th state; more is added to its members.
func tableJSON(m *iceberg.Metadata, n int, more string) string {
	text, _ := m.Encode()
	return fmt.Sprintf(`{"metadata-location":"s3://lake/clicks/metadata/%05d-x.metadata.json","metadata":%s,"config":{}%s}`, n, text, more)
}

// next is a change on base.
func next(base *catalog.Table, id int64) catalog.Change {
	m := base.Metadata
	return catalog.Change{
		Snapshot: &iceberg.Snapshot{
			ID: id, ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1, SchemaID: m.CurrentSchemaID,
			TimestampMs: m.NextTimeMs(time.UnixMilli(1_700_000_001_000)), ManifestList: "s3://lake/clicks/metadata/snap.avro",
			Summary: map[string]string{"operation": iceberg.OpAppend},
		},
		SetProperties: map[string]string{"firn.watermarks": "{}", "b": "2"},
	}
}

// opened returns a client of the service, and the table that it loaded.
func (s *service) opened(cfg rest.Config) (*rest.Catalog, *catalog.Table) {
	s.t.Helper()
	cfg.URI = s.uri
	c := newCatalog(s.t, cfg)
	s.on("GET "+tablePath, answer(200, tableJSON(newMetadata(), 0, "")))
	t, err := c.Load(s.t.Context(), clicks)
	if err != nil {
		s.t.Fatal(err)
	}
	return c, t
}
