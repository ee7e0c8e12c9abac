package rest_test

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/rest"
)

func TestValidate(t *testing.T) {
	f := func(cfg rest.Config, want string) {
		t.Helper()
		_, err := rest.New(cfg)
		if want == "" != (err == nil) || err != nil && !strings.Contains(err.Error(), want) || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v, want it to say %q and no secret", err, want)
		}
	}
	const uri = "https://catalog.example.com/iceberg"
	f(rest.Config{URI: uri}, "")
	f(rest.Config{URI: uri + "/", Root: "s3://", Token: "x"}, "")
	f(rest.Config{URI: uri, Root: "s3://lake/x", Credential: "id:secret", OAuthURI: "https://id.example.com/token"}, "")
	f(rest.Config{}, "URI")
	f(rest.Config{URI: "catalog:8181"}, "URI")
	f(rest.Config{URI: uri + "/v1"}, "/v1")
	f(rest.Config{URI: uri + "/v1/"}, "/v1")
	f(rest.Config{URI: "https://me:hunter2@catalog"}, "URI")
	f(rest.Config{URI: uri, OAuthURI: "id:secret"}, "OAuth2 URI")
	f(rest.Config{URI: uri, Token: "hunter2", Credential: "hunter2"}, "one authorization")
	f(rest.Config{URI: uri, SigV4: "glue"}, "no AWS region")
	f(rest.Config{URI: uri, SigV4: "glue"}, "no AWS credentials")
	f(rest.Config{URI: uri, Root: "/srv/lake"}, "/srv/lake")
}

// TestConfig: the prefix goes into every path as it was given, and the warehouse is asked for.
func TestConfig(t *testing.T) {
	for _, where := range []string{`"overrides":{"prefix":"main%7Clake"},"defaults":{"prefix":"other"}`, `"defaults":{"prefix":"main%7Clake/"},"overrides":{}`, `"defaults":{"prefix":"main%7Clake"}`} {
		s := newService(t)
		s.on("GET /v1/config", answer(200, "{"+where+"}"))
		s.on("GET /v1/main%7Clake/namespaces/lake/tables/clicks", answer(200, tableJSON(newMetadata(), 0, "")))
		c := newCatalog(t, rest.Config{URI: s.uri, Warehouse: "s3://lake & co"})
		load(t, c)
		if got := s.asked("GET /v1/config"); len(got) != 1 || got[0].query != "warehouse=s3%3A%2F%2Flake+%26+co" {
			t.Errorf("asked for the configuration: %+v", got)
		}
	}
}

// TestConfigRefused: each mistake is told, and forgotten when it is gone.
func TestConfigRefused(t *testing.T) {
	f := func(status int, body, want string) {
		t.Helper()
		s := newService(t)
		s.on("GET /v1/config", answer(status, strings.ReplaceAll(body, "HERE", s.uri)))
		s.on("GET "+tablePath, answer(200, tableJSON(newMetadata(), 0, "")))
		c := newCatalog(t, rest.Config{URI: s.uri, Warehouse: "lake"})
		_, err := c.Load(t.Context(), clicks)
		wantError(t, body, err, errors.New("plain"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), s.uri) {
			t.Errorf("%v, want it to name the service and say %q", err, want)
		}
		if n := len(s.asked("GET " + tablePath)); n != 0 {
			t.Errorf("%d requests without a configuration", n)
		}
		s.on("GET /v1/config", answer(200, `{"overrides":{"uri":"`+s.uri+`/"}}`))
		load(t, c)
	}
	f(200, "<html>sign in</html>", "without /v1")
	f(404, "<html>not found</html>", "without /v1")
	f(404, model(404, "NotFoundException", "Unable to find warehouse lake"), `no warehouse "lake"`)
	f(400, model(400, "BadRequestException", "warehouse is required"), "warehouse is required")
	f(403, model(403, "ForbiddenException", "not yours"), "grant")
	f(500, "", "500")
	f(200, `{"endpoints":["GET /v1/{prefix}/namespaces"]}`, "does not offer")
	f(200, `{"overrides":{"uri":"https://evil.example.com"}}`, "https://evil.example.com")
	f(200, `{"overrides":{"uri":"file:///etc/passwd"}}`, "no plain http")
	f(200, `{"overrides":{"uri":"http://me:pw@127.0.0.1"}}`, "no plain http")
}

// TestMoved: a service may put itself under another path of its host.
func TestMoved(t *testing.T) {
	s := newService(t)
	s.on("GET /v1/config", answer(200, `{"overrides":{"uri":"`+s.uri+`/deep/er/"}}`))
	s.on("GET /deep/er"+tablePath, answer(200, tableJSON(newMetadata(), 0, "")))
	load(t, newCatalog(t, rest.Config{URI: s.uri}))
}

// TestConfigOnce: many callers at the start ask once.
func TestConfigOnce(t *testing.T) {
	s := newService(t)
	s.on("GET "+tablePath, answer(200, tableJSON(newMetadata(), 0, "")))
	c := newCatalog(t, rest.Config{URI: s.uri})
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			if _, err := c.Load(t.Context(), clicks); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(s.asked("GET /v1/config")); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestRedirectIsNotFollowed: no secret goes to where a redirect points.
func TestRedirectIsNotFollowed(t *testing.T) {
	other := newService(t)
	s := newService(t)
	s.on("GET /v1/config", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.uri+r.URL.Path, http.StatusFound)
	})
	_, err := newCatalog(t, rest.Config{URI: s.uri, Token: "hunter2"}).Load(t.Context(), clicks)
	if err == nil || !strings.Contains(err.Error(), other.uri) {
		t.Errorf("%v does not name the place", err)
	}
	if n := len(other.asked("GET /v1/config")); n != 0 {
		t.Errorf("%d requests followed", n)
	}
}

// TestETag: what did not change is not sent, and is the same table.
func TestETag(t *testing.T) {
	s := newService(t)
	c := newCatalog(t, rest.Config{URI: s.uri})
	state := func(n int, tag string) {
		s.on("GET "+tablePath, func(w http.ResponseWriter, r *http.Request) {
			if tag != "" && r.Header.Get("If-None-Match") == tag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			if tag != "" {
				w.Header().Set("ETag", tag)
			}
			answer(200, tableJSON(newMetadata(), n, ""))(w, r)
		})
	}
	refresh := func(have *catalog.Table, wantSame bool, wantTag string) *catalog.Table {
		t.Helper()
		got, err := c.Refresh(t.Context(), have)
		if err != nil {
			t.Fatal(err)
		}
		if got == have != wantSame {
			t.Errorf("the same table: %v, want %v", got == have, wantSame)
		}
		asked := s.asked("GET " + tablePath)
		if tag := asked[len(asked)-1].header.Get("If-None-Match"); tag != wantTag {
			t.Errorf("asked with If-None-Match %q, want %q", tag, wantTag)
		}
		return got
	}
	state(0, `"zero"`)
	first := load(t, c)
	refresh(first, true, `"zero"`)
	state(1, `"one"`)
	second := refresh(first, false, `"zero"`)
	refresh(second, true, `"one"`)
	refresh(first, false, "") // the tag is the newer state's
	state(1, "")              // a service, or another one behind the balancer, without tags
	refresh(second, true, `"one"`)
	refresh(second, true, "")
	state(2, `"one"`) // a tag that comes back is the service's mistake; nothing here can see it
	other, err := c.Load(t.Context(), clicks)
	if err != nil || other.Token == second.Token {
		t.Errorf("a load is not answered from what is known: %v, %v", other, err)
	}
}

// TestETagOfCompressed: what compresses the answer marks its tag, and does not know the mark when it comes back.
func TestETagOfCompressed(t *testing.T) {
	f := func(tag, want string) {
		t.Helper()
		s := newService(t)
		s.on("GET "+tablePath, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Error("does not take compressed answers")
			}
			w.Header().Set("ETag", tag)
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			io.WriteString(z, tableJSON(newMetadata(), 0, ""))
			z.Close()
		})
		c := newCatalog(t, rest.Config{URI: s.uri})
		if _, err := c.Refresh(t.Context(), load(t, c)); err != nil {
			t.Error(err)
		}
		if got := s.asked("GET " + tablePath)[1].header.Get("If-None-Match"); got != want {
			t.Errorf("tag %s: asked with %s, want %s", tag, got, want)
		}
	}
	f(`"abc--gzip"`, `"abc"`)
	f(`"abc-gzip"`, `"abc"`)
	f(`W/"abc-gzip"`, `W/"abc"`)
	f(`abc--gzip`, `abc`)
	f(`"abc"`, `"abc"`)
	f(`W/"a-b"`, `W/"a-b"`)
}

// TestList: pages to the end, sorted, each name once; a list that never ends is refused.
func TestList(t *testing.T) {
	s := newService(t)
	const tables = "GET /v1/namespaces/lake/tables"
	c := newCatalog(t, rest.Config{URI: s.uri})
	pages := map[string]string{
		"":    `{"identifiers":[{"namespace":["lake"],"name":"c"},{"namespace":["lake"],"name":"Not-Ours"}],"next-page-token":"p 2"}`,
		"p 2": `{"identifiers":[{"namespace":["lake"],"name":"b"}],"next-page-token":"p3"}`,
		"p3":  `{"identifiers":[{"namespace":["lake"],"name":"a"},{"namespace":["lake"],"name":"b"}],"next-page-token":null}`,
	}
	s.on(tables, func(w http.ResponseWriter, r *http.Request) {
		if !r.URL.Query().Has("pageToken") {
			t.Error("does not ask for pages")
		}
		answer(200, pages[r.URL.Query().Get("pageToken")])(w, r)
	})
	names, err := c.List(t.Context(), "lake")
	if err != nil || strings.Join(names, " ") != "a b c" {
		t.Errorf("%v, %v", names, err)
	}
	s.on(tables, answer(200, `{"identifiers":[],"next-page-token":"again"}`))
	if _, err := c.List(t.Context(), "lake"); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("a list without an end: %v", err)
	}
	s.on(tables, answer(404, model(404, "NoSuchNamespaceException", "no")))
	if names, err := c.List(t.Context(), "lake"); err != nil || len(names) != 0 {
		t.Errorf("a namespace that is not there: %v, %v", names, err)
	}
	s.on(tables, answer(404, "<html>"))
	if _, err := c.List(t.Context(), "lake"); err == nil {
		t.Error("a proxy's 404 is no empty namespace")
	}
}
