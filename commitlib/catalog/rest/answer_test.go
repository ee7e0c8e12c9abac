package rest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/rest"
	"firn/commitlib/iceberg"
)

// sentinels are the errors that callers branch on; nil in a table below means none of them.
var sentinels = []error{catalog.ErrNoTable, catalog.ErrTableExists, catalog.ErrConflict, catalog.ErrUnknown, catalog.ErrRejected}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", what, want)
	}
	for _, s := range sentinels {
		if errors.Is(err, s) != (s == want) {
			t.Errorf("%s: %v; is %q: %v", what, err, s, errors.Is(err, s))
		}
	}
}

// hangUp closes the connection without an answer.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// cutOff sends a part of an answer.
func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "5000")
	w.Write([]byte(`{"metadata-location":`))
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// stall answers when the client is gone.
func stall(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// TestAnswers is the table in answer.go, row by row, and that every request was sent once.
func TestAnswers(t *testing.T) {
	const html = "<html><body>nginx</body></html>"
	huge := `{"metadata-location":"` + strings.Repeat("x", rest.MaxMetadataBytes) + `"}`
	e := func(status int, kind, message string) http.HandlerFunc {
		return answer(status, model(status, kind, message))
	}
	plain := errors.New("none of the sentinels")
	for _, row := range []struct {
		name                 string
		answer               http.HandlerFunc
		load, create, commit error
		says                 string
	}{
		{"no table", e(404, "NoSuchTableException", "Table does not exist: lake.clicks"), catalog.ErrNoTable, plain, catalog.ErrConflict, "NoSuchTableException"},
		{"no entity", e(404, "EntityNotFoundException", "gone"), catalog.ErrNoTable, plain, catalog.ErrConflict, "gone"},
		{"a proxy's 404", answer(404, html), plain, catalog.ErrUnknown, catalog.ErrUnknown, "without /v1"},
		{"an empty 404", answer(404, ""), plain, catalog.ErrUnknown, catalog.ErrUnknown, "without /v1"},
		{"conflict", e(409, "CommitFailedException", "Requirement failed"), plain, catalog.ErrTableExists, catalog.ErrConflict, "Requirement failed"},
		{"conflict, without a text", answer(409, ""), plain, catalog.ErrTableExists, catalog.ErrConflict, "409"},
		{"sequence number", e(400, "ValidationException", "Cannot add snapshot with sequence number 3 older than last sequence number 3"), plain, catalog.ErrRejected, catalog.ErrConflict, "older than"},
		{"bad request", e(400, "BadRequestException", "Cannot parse"), plain, catalog.ErrRejected, catalog.ErrRejected, "Cannot parse"},
		{"unsupported", e(406, "UnsupportedOperationException", "no"), plain, catalog.ErrRejected, catalog.ErrRejected, "406"},
		{"unprocessable", e(422, "UnprocessableEntityException", "no"), plain, catalog.ErrRejected, catalog.ErrRejected, "422"},
		{"unauthorized", e(401, "NotAuthorizedException", "who?"), plain, plain, catalog.ErrUnknown, "check the token"},
		{"forbidden", e(403, "ForbiddenException", "Not allowed"), plain, plain, catalog.ErrUnknown, "grant the principal"},
		{"expired", e(419, "AuthenticationTimeoutException", "again"), plain, plain, catalog.ErrUnknown, "check the token"},
		{"throttled", e(429, "TooManyRequests", "slow down"), plain, plain, catalog.ErrUnknown, "throttles"},
		{"a wrong clock", answer(403, `{"message":"Signature expired: 20260101T000000Z is now earlier than"}`), plain, plain, catalog.ErrUnknown, "clock"},
		{"expired keys", answer(403, `{"message":"The security token included in the request is expired"}`), plain, plain, catalog.ErrUnknown, "renew them"},
		{"a wrong key", answer(403, `{"__type":"SignatureDoesNotMatch"}`), plain, plain, catalog.ErrUnknown, "secret key"},
		{"internal", e(500, "CommitStateUnknownException", "who knows"), plain, catalog.ErrUnknown, catalog.ErrUnknown, "who knows"},
		{"bad gateway", answer(502, html), plain, catalog.ErrUnknown, catalog.ErrUnknown, "502 Bad Gateway"},
		{"unavailable", e(503, "SlowDownException", "later"), plain, catalog.ErrUnknown, catalog.ErrUnknown, "later"},
		{"gateway time-out", answer(504, ""), plain, catalog.ErrUnknown, catalog.ErrUnknown, "504"},
		{"moved", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://elsewhere/v1")
			w.WriteHeader(307)
		}, plain, catalog.ErrUnknown, catalog.ErrUnknown, "https://elsewhere/v1"},
		{"not asked for", answer(304, ""), plain, catalog.ErrUnknown, catalog.ErrUnknown, "304"},
		{"no answer", hangUp, plain, catalog.ErrUnknown, catalog.ErrUnknown, "EOF"},
		{"cut off", cutOff, plain, catalog.ErrUnknown, catalog.ErrUnknown, "unexpected EOF"},
		{"none in time", stall, plain, catalog.ErrUnknown, catalog.ErrUnknown, "deadline exceeded"},
		{"too large", answer(200, huge), catalog.ErrRejected, catalog.ErrUnknown, catalog.ErrUnknown, "too large"},
		{"not JSON", answer(200, html), plain, catalog.ErrUnknown, catalog.ErrUnknown, "invalid character"},
		{"no table in it", answer(200, `{}`), plain, catalog.ErrUnknown, catalog.ErrUnknown, "metadata-location"},
		{"no metadata in it", answer(200, `{"metadata-location":"s3://x","metadata":{}}`), plain, catalog.ErrUnknown, catalog.ErrUnknown, "format-version"},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newService(t)
			timeout := 10 * time.Second
			if row.name == "none in time" {
				timeout = 200 * time.Millisecond
			}
			c, base := s.opened(rest.Config{Timeout: timeout})
			check := func(op string, err, want error) {
				t.Helper()
				wantError(t, op, err, want)
				if err != nil && !strings.Contains(err.Error(), row.says) {
					t.Errorf("%s: %q does not say %q", op, err, row.says)
				}
				if err != nil && len(err.Error()) > 2000 {
					t.Errorf("%s: an error of %d bytes", op, len(err.Error()))
				}
			}
			s.on("GET "+tablePath, row.answer)
			if row.load != nil {
				_, err := c.Load(t.Context(), clicks)
				check("load", err, row.load)
				_, err = c.Refresh(t.Context(), base)
				check("refresh", err, row.load)
			}
			const tables = "/v1/namespaces/lake/tables"
			s.on("POST "+tables, row.answer)
			s.on("POST /v1/namespaces", row.answer) // asked where the namespace is said not to exist
			_, err := c.Create(t.Context(), clicks, catalog.Spec{Schema: iceberg.EventSchema(iceberg.String)})
			check("create", err, row.create)
			s.on("POST "+tablePath, row.answer)
			_, err = c.Swap(t.Context(), base, next(base, 1))
			check("swap", err, row.commit)
			if n := len(s.asked("POST " + tablePath)); n != 1 {
				t.Errorf("the commit was sent %d times", n)
			}
		})
	}
}

// TestAnotherAnswer: a commit's answer that is about another table, or does not hold the snapshot, proves nothing.
func TestAnotherAnswer(t *testing.T) {
	s := newService(t)
	c, base := s.opened(rest.Config{})
	after, err := base.Metadata.WithSnapshot(next(base, 1).Snapshot, nil, "", time.UnixMilli(1_700_000_001_000))
	if err != nil {
		t.Fatal(err)
	}
	other := *after
	other.TableUUID[0]++
	for what, m := range map[string]*iceberg.Metadata{"another table": &other, "without the snapshot": base.Metadata} {
		s.on("POST "+tablePath, answer(200, tableJSON(m, 1, "")))
		_, err = c.Swap(t.Context(), base, next(base, 1))
		wantError(t, what, err, catalog.ErrUnknown)
	}
	s.on("POST "+tablePath, answer(200, tableJSON(after, 1, "")))
	if _, err = c.Swap(t.Context(), base, next(base, 1)); err != nil {
		t.Error(err)
	}
}

// TestServiceAway: nobody listens.
func TestServiceAway(t *testing.T) {
	s := newService(t)
	c, base := s.opened(rest.Config{})
	away := newCatalog(t, rest.Config{URI: "http://127.0.0.1:1"})
	_, err := away.Load(t.Context(), clicks)
	wantError(t, "load", err, errors.New("plain"))
	_, err = away.Swap(t.Context(), base, next(base, 1))
	wantError(t, "swap", err, catalog.ErrUnknown)
	if _, err := c.Load(t.Context(), clicks); err != nil {
		t.Error(err)
	}
}
