package rest_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/rest"
)

// clock is a test's own time.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(time.Now().UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

const tokenPath = "POST /v1/oauth/tokens"

// issuing makes the service give tokens t1, t2, … that live so many seconds, and take the newest alone.
func (s *service) issuing(seconds int) (issued *atomic.Int64) {
	issued = &atomic.Int64{}
	s.on(tokenPath, func(w http.ResponseWriter, r *http.Request) {
		answer(200, fmt.Sprintf(`{"access_token":"t%d","token_type":"bearer","expires_in":%d}`, issued.Add(1), seconds))(w, r)
	})
	guard := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", issued.Load()) {
				answer(401, model(401, "NotAuthorizedException", "not this token"))(w, r)
				return
			}
			next(w, r)
		}
	}
	s.on("GET /v1/config", guard(answer(200, `{}`)))
	s.on("GET "+tablePath, guard(answer(200, tableJSON(newMetadata(), 0, ""))))
	return issued
}

func load(t *testing.T, c *rest.Catalog) *catalog.Table {
	t.Helper()
	table, err := c.Load(t.Context(), clicks)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestToken: asked for as OAuth2 says, carried by each request, and renewed before it expires, by one request.
func TestToken(t *testing.T) {
	s := newService(t)
	issued := s.issuing(3600)
	clock := newClock()
	c := newCatalog(t, rest.Config{URI: s.uri, Credential: "me:s3cret:with:colons", Scope: "PRINCIPAL_ROLE:ALL", Now: clock.now})
	load(t, c)
	load(t, c)
	if issued.Load() != 1 {
		t.Errorf("%d tokens for two loads", issued.Load())
	}
	form, err := url.ParseQuery(s.asked(tokenPath)[0].body)
	want := url.Values{"grant_type": {"client_credentials"}, "client_id": {"me"}, "client_secret": {"s3cret:with:colons"}, "scope": {"PRINCIPAL_ROLE:ALL"}}
	if err != nil || form.Encode() != want.Encode() {
		t.Errorf("asked with %v, want %v", form, want)
	}

	clock.advance(54 * time.Minute) // 6 minutes are left
	load(t, c)
	if issued.Load() != 1 {
		t.Errorf("renewed %d times with 6 minutes left", issued.Load()-1)
	}
	clock.advance(7 * time.Minute) // none is left: everyone waits for the one new token
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if _, err := c.Load(t.Context(), clicks); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if issued.Load() != 2 {
		t.Errorf("%d tokens, want 2: 32 callers share one", issued.Load())
	}
}

// TestTokenRenewedInTime: in its last minutes a token is used while the next is fetched, and if that does not succeed,
// to its end.
func TestTokenRenewedInTime(t *testing.T) {
	s := newService(t)
	s.issuing(3600)
	clock := newClock()
	c := newCatalog(t, rest.Config{URI: s.uri, Credential: "me:secret", Now: clock.now})
	load(t, c)
	asked := make(chan struct{}, 100)
	s.on(tokenPath, func(w http.ResponseWriter, r *http.Request) {
		answer(503, "")(w, r)
		asked <- struct{}{}
	})
	clock.advance(56 * time.Minute)
	load(t, c)
	<-asked
	clock.advance(5 * time.Minute)
	_, err := c.Load(t.Context(), clicks)
	wantError(t, "load with an expired token", err, errors.New("plain"))
	if err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("%v does not say why", err)
	}
}

// TestTokenRefused: a token that the service takes no more is replaced once, and a commit that met it is sent again,
// since it was not looked at.
func TestTokenRefused(t *testing.T) {
	for _, status := range []int{401, 419} {
		s := newService(t)
		issued := s.issuing(3600)
		c := newCatalog(t, rest.Config{URI: s.uri, Credential: "me:secret"})
		base := load(t, c)
		after, err := base.Metadata.WithSnapshot(next(base, 1).Snapshot, nil, "", time.Now())
		if err != nil {
			t.Fatal(err)
		}
		s.on("POST "+tablePath, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer t1" {
				answer(status, model(status, "NotAuthorizedException", "revoked"))(w, r)
				return
			}
			answer(200, tableJSON(after, 1, ""))(w, r)
		})
		if _, err := c.Swap(t.Context(), base, next(base, 1)); err != nil {
			t.Error(err)
		}
		if n := len(s.asked("POST " + tablePath)); n != 2 || issued.Load() != 2 {
			t.Errorf("%d: %d commits, %d tokens; want 2 and 2", status, n, issued.Load())
		}
		s.on("POST "+tablePath, answer(status, model(status, "NotAuthorizedException", "revoked")))
		_, err = c.Swap(t.Context(), base, next(base, 2))
		wantError(t, "commit that is always refused", err, catalog.ErrUnknown)
		if n := len(s.asked("POST " + tablePath)); n != 4 || issued.Load() != 3 {
			t.Errorf("%d: %d commits, %d tokens; want 4 and 3", status, n, issued.Load())
		}
	}
}

// TestClientRefused: what the token endpoint says is told, and the secret is not.
func TestClientRefused(t *testing.T) {
	f := func(status int, body, want string) {
		t.Helper()
		s := newService(t)
		s.on(tokenPath, answer(status, body))
		c := newCatalog(t, rest.Config{URI: s.uri, Credential: "me:hunter2"})
		_, err := c.Load(t.Context(), clicks)
		wantError(t, clip(body), err, errors.New("plain"))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want it to say %q and no secret", err, want)
		}
		_, err = c.Swap(t.Context(), &catalog.Table{Ident: clicks, Metadata: newMetadata()}, next(&catalog.Table{Metadata: newMetadata()}, 1))
		wantError(t, clip(body), err, catalog.ErrUnknown)
		if n := len(s.asked("GET /v1/config")); n != 0 {
			t.Errorf("%d requests without a token", n)
		}
	}
	f(401, `{"error":"invalid_client","error_description":"Credentials given were invalid"}`, "check the OAuth2 credential")
	f(400, `{"error":"invalid_scope"}`, "check the OAuth2 scope")
	f(500, `oops`, "500")
	f(200, `{"access_token":"x","token_type":"N_A"}`, `"N_A"`)
	f(200, `{"token_type":"bearer"}`, "no bearer token")
	f(200, `<html>`, "invalid character")
	f(200, `{"access_token":"`+strings.Repeat("x", 70_000)+`","token_type":"bearer"}`, "too large")
}

// TestTokenThatStatesItsEnd: where the endpoint does not say, a JSON web token's own expiry is believed; any other
// token holds until it is refused.
func TestTokenThatStatesItsEnd(t *testing.T) {
	clock := newClock()
	f := func(token string, tokens int) {
		t.Helper()
		s := newService(t)
		s.issuing(0)
		s.on("GET /v1/config", answer(200, "{}"))
		s.on("GET "+tablePath, answer(200, tableJSON(newMetadata(), 0, "")))
		s.on(tokenPath, answer(200, `{"access_token":"`+token+`","token_type":"Bearer"}`))
		own := newClock()
		c := newCatalog(t, rest.Config{URI: s.uri, Credential: "secret-alone", Now: own.now})
		load(t, c)
		if body := s.asked(tokenPath)[0].body; strings.Contains(body, "client_id") || !strings.Contains(body, "client_secret=secret-alone") {
			t.Errorf("asked with %q", body)
		}
		own.advance(90 * time.Minute)
		_, err := c.Load(t.Context(), clicks)
		if n := len(s.asked(tokenPath)); n != tokens {
			t.Errorf("%s: %d tokens, want %d (%v)", token, n, tokens, err)
		}
	}
	jwt := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".sig"
	}
	f(jwt(fmt.Sprintf(`{"exp":%d}`, clock.now().Add(time.Hour).Unix())), 2)
	f(jwt(fmt.Sprintf(`{"exp":%d}`, clock.now().Add(10*time.Hour).Unix())), 1)
	f(jwt(`{"exp":-5}`), 1)
	f(jwt(`{}`), 1)
	f("opaque", 1)
	f("a.%%.c", 1)
}

// TestStaticToken: somebody else keeps it valid; it is not exchanged.
func TestStaticToken(t *testing.T) {
	s := newService(t)
	c, _ := s.opened(rest.Config{Token: "mine"})
	for _, what := range []string{"GET /v1/config", "GET " + tablePath} {
		if got := s.asked(what)[0].header.Get("Authorization"); got != "Bearer mine" {
			t.Errorf("%s carries %q", what, got)
		}
	}
	s.on("GET "+tablePath, answer(401, model(401, "NotAuthorizedException", "no")))
	_, err := c.Load(t.Context(), clicks)
	wantError(t, "load", err, errors.New("plain"))
	if n := len(s.asked("GET " + tablePath)); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
	if strings.Contains(err.Error(), "mine") {
		t.Errorf("%v repeats the token", err)
	}
}

func clip(text string) string { return text[:min(len(text), 100)] }
