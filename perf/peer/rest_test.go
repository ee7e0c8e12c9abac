package peer

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"firn/perf/tier"
)

// TestREST: two catalogs in one server know nothing of each other, and their tables' metadata lies in S3.
func TestREST(t *testing.T) {
	tier.Need(t, tier.CI)
	began := time.Now()
	a, b := REST(t), REST(t)
	t.Logf("started in %v", time.Since(began))
	f := func(r *RESTServer, method, path, body, want string) {
		t.Helper()
		req, err := http.NewRequest(method, r.URI+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(resp.Status+" "+string(text), want) {
			t.Fatalf("%s %s: %s %s, %v; want %q", method, path, resp.Status, text, err, want)
		}
	}
	f(a, "POST", "/v1/namespaces", `{"namespace":["a"],"properties":{}}`, `200`)
	table := `{"name":"t","schema":{"type":"struct","fields":[{"id":1,"name":"x","required":true,"type":"long"}]},"properties":{}}`
	f(a, "POST", "/v1/namespaces/a/tables", table, `"metadata-location":"`+a.Warehouse+"/a/t/metadata/")
	f(a, "GET", "/v1/namespaces/a/tables/t", "", `"location":"`+a.Warehouse+`/a/t"`)
	f(b, "GET", "/v1/namespaces/a/tables/t", "", "404")
	f(b, "GET", "/v1/namespaces", "", `"namespaces":[]`)
	p := Proxy(t, a.Base())
	f(a.At(p), "GET", "/v1/namespaces", "", `[["a"]]`)
}
