package rest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/catalog/rest"
)

// vended is a config that holds S3 credentials; expires 0: it does not say when they end.
func vended(key string, expires time.Time) string {
	config := fmt.Sprintf(`{"s3.access-key-id":%q,"s3.secret-access-key":"sec","s3.session-token":"tok"`, key)
	if !expires.IsZero() {
		config += fmt.Sprintf(`,"s3.session-token-expires-at-ms":"%d"`, expires.UnixMilli())
	}
	return config + "}"
}

func retrieve(t *testing.T, p aws.CredentialsProvider) aws.Credentials {
	t.Helper()
	if p == nil {
		t.Fatal("there is no provider")
	}
	creds, err := p.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return creds
}

// TestVended: credentials come with a load, by the most specific prefix, for the table's own objects alone.
func TestVended(t *testing.T) {
	clock := newClock()
	end := clock.now().Add(time.Hour).Truncate(time.Millisecond)
	f := func(more string, want map[string]string) {
		t.Helper()
		s := newService(t)
		s.on("GET "+tablePath, answer(200, tableJSON(newMetadata(), 0, more)))
		c := newCatalog(t, rest.Config{URI: s.uri, Now: clock.now})
		if c.Credentials("lake", "clicks/data/x") != nil {
			t.Error("there are credentials before anything was loaded")
		}
		load(t, c)
		if got := s.asked("GET " + tablePath)[0].header.Get("X-Iceberg-Access-Delegation"); got != "vended-credentials" {
			t.Errorf("asked with X-Iceberg-Access-Delegation %q", got)
		}
		for object, key := range want {
			bucket, name, _ := strings.Cut(object, "/")
			p := c.Credentials(bucket, name)
			if key == "" {
				if p != nil {
					t.Errorf("%s: there is a provider for %s", more, object)
				}
				continue
			}
			got := retrieve(t, p)
			if got.AccessKeyID != key || got.SecretAccessKey != "sec" || got.SessionToken != "tok" || !got.CanExpire || !got.Expires.Equal(end) {
				t.Errorf("%s: for %s got %+v, want %s until %v", more, object, got, key, end)
			}
			if c.Credentials(bucket, name) != p {
				t.Errorf("%s: another provider the second time", object)
			}
		}
	}
	inside := map[string]string{"lake/clicks/data/x": "A", "lake/clicks": "A", "lake/clicks2/x": "", "lake/other": "", "elsewhere/clicks/data/x": ""}
	cred := func(prefix, key string) string {
		return fmt.Sprintf(`{"prefix":%q,"config":%s}`, prefix, vended(key, end))
	}
	f(`,"config":`+vended("A", end), inside)
	f(`,"storage-credentials":[`+cred("s3://lake/clicks/", "A")+`]`, inside)
	f(`,"storage-credentials":[`+cred("s3", "A")+`]`, inside)
	f(`,"config":`+vended("B", end)+`,"storage-credentials":[`+cred("s3://lake/clicks", "A")+`,`+cred("s3://lake", "C")+`,`+cred("s3", "B")+`]`, inside)
	f(`,"storage-credentials":[`+cred("s3://lake/clicks/data", "A")+`,`+cred("s3://lake/clicks", "B")+`]`,
		map[string]string{"lake/clicks/data/x": "A", "lake/clicks/metadata/x": "B"})
	f(`,"storage-credentials":[`+cred("gs://lake", "A")+`]`, map[string]string{"lake/clicks/x": ""})
	f(`,"storage-credentials":[`+cred("s3://lake/clicks2", "A")+`]`, map[string]string{"lake/clicks/x": "", "lake/clicks2/x": ""})
	f(`,"config":{"s3.access-key-id":"A"}`, map[string]string{"lake/clicks/x": ""})
	f(`,"config":{}`, map[string]string{"lake/clicks/x": ""})
}

// TestVendedRenewed: before they expire credentials are asked for anew, by one request for all who wait, at the endpoint
// for it if the service offers it.
func TestVendedRenewed(t *testing.T) {
	for _, endpoint := range []string{tablePath, tablePath + "/credentials"} {
		t.Run(endpoint, func(t *testing.T) {
			s := newService(t)
			if strings.HasSuffix(endpoint, "credentials") {
				s.on("GET /v1/config", answer(200, `{"endpoints":["GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
					"POST /v1/{prefix}/namespaces/{namespace}/tables/{table}","GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials"]}`))
			}
			clock := newClock()
			var given atomic.Int64
			give := func(w http.ResponseWriter, r *http.Request) {
				creds := `"storage-credentials":[{"prefix":"s3://lake/clicks/","config":` + vended(fmt.Sprintf("K%d", given.Add(1)), clock.now().Add(time.Hour)) + `}]`
				if strings.HasSuffix(r.URL.Path, "credentials") {
					answer(200, "{"+creds+"}")(w, r)
				} else {
					answer(200, tableJSON(newMetadata(), 0, ","+creds))(w, r)
				}
			}
			s.on("GET "+tablePath, give)
			s.on("GET "+tablePath+"/credentials", give)
			c := newCatalog(t, rest.Config{URI: s.uri, Now: clock.now})
			load(t, c)
			p := c.Credentials("lake", "clicks/data/x")
			if got := retrieve(t, p); got.AccessKeyID != "K1" || given.Load() != 1 {
				t.Errorf("%s after %d", got.AccessKeyID, given.Load())
			}
			clock.advance(time.Hour)
			before := len(s.asked("GET " + endpoint))
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					if got, err := p.Retrieve(t.Context()); err != nil || got.AccessKeyID != "K2" {
						t.Errorf("%s, %v", got.AccessKeyID, err)
					}
				})
			}
			wg.Wait()
			if n := len(s.asked("GET "+endpoint)) - before; n != 1 {
				t.Errorf("%d requests for 16 who wait", n)
			}

			s.on("GET "+endpoint, answer(403, model(403, "ForbiddenException", "no more")))
			clock.advance(time.Hour)
			if _, err := p.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "no more") || !strings.Contains(err.Error(), "s3://lake/clicks") {
				t.Errorf("refused: %v", err)
			}
			s.on("GET "+endpoint, answer(200, tableJSON(newMetadata(), 0, "")))
			if _, err := p.Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "none now") {
				t.Errorf("none given: %v", err)
			}
			s.on("GET "+endpoint, give)
			if got := retrieve(t, p); got.AccessKeyID != "K3" {
				t.Errorf("after the refusal: %s", got.AccessKeyID)
			}
		})
	}
}

// TestVendedWithoutEnd: session credentials that do not say when they end are renewed before any of them can have;
// permanent ones are kept.
func TestVendedWithoutEnd(t *testing.T) {
	clock := newClock()
	s := newService(t)
	s.on("GET "+tablePath, answer(200, tableJSON(newMetadata(), 0, `,"config":`+vended("A", time.Time{}))))
	c := newCatalog(t, rest.Config{URI: s.uri, Now: clock.now})
	load(t, c)
	p := c.Credentials("lake", "clicks/x")
	retrieve(t, p)
	clock.advance(15 * time.Minute)
	retrieve(t, p)
	if n := len(s.asked("GET " + tablePath)); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
	s.on("GET "+tablePath, answer(200, tableJSON(newMetadata(), 0, `,"config":{"s3.access-key-id":"A","s3.secret-access-key":"B"}`)))
	load(t, c)
	clock.advance(1000 * time.Hour)
	if got := retrieve(t, p); got.CanExpire || got.SessionToken != "" {
		t.Errorf("permanent credentials: %+v", got)
	}
	if n := len(s.asked("GET " + tablePath)); n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
}

// TestVendedExpiredAlready: a service whose clock is off by more than the credentials live is told of, not asked in a
// loop.
func TestVendedExpiredAlready(t *testing.T) {
	s := newService(t)
	s.on("GET "+tablePath, answer(200, tableJSON(newMetadata(), 0, `,"config":`+vended("A", time.Now().Add(-time.Hour)))))
	c := newCatalog(t, rest.Config{URI: s.uri})
	load(t, c)
	if _, err := c.Credentials("lake", "clicks/x").Retrieve(t.Context()); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Error(err)
	}
	if n := len(s.asked("GET " + tablePath)); n != 2 {
		t.Errorf("asked %d times, want 2", n)
	}
}
