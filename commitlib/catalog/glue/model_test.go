package glue_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/perf/tier"
)

// TestModel holds each request to AWS's own description of the API, as botocore has it, and each signature to the one
// that botocore makes for the same request at the same time. No emulator looks at either.
func TestModel(t *testing.T) {
	tier.Need(t, tier.CI)
	w := newWorld(t)
	p := startTheirs(t, "GLUE=http://127.0.0.1:1", "ACCOUNT=300000000001", "WAREHOUSE=s3://unused")
	var mu sync.Mutex
	seen := map[string]bool{}
	checked := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue.")
		seen[op] = true
		var report struct{ Report string }
		p.do(step{"do": "validate", "op": op, "body": json.RawMessage(body)}, &report)
		if report.Report != "" {
			t.Errorf("%s does not fit the API: %s\n%s", op, report.Report, body)
		}
		signed := map[string]string{}
		for _, name := range strings.Split(between(r.Header.Get("Authorization"), "SignedHeaders=", ","), ";") {
			switch name {
			case "host", "x-amz-date", "x-amz-security-token":
			case "content-length":
				signed[name] = r.Header.Get("Content-Length")
			default:
				signed[name] = r.Header.Get(name)
			}
		}
		for _, must := range []string{"content-type", "x-amz-target"} {
			if _, ok := signed[must]; !ok {
				t.Errorf("%s: the header %s is not signed", op, must)
			}
		}
		var theirs struct{ Authorization string }
		p.do(step{
			"do": "sign", "url": "http://" + r.Host + r.URL.Path, "body": string(body), "headers": signed,
			"date": r.Header.Get("X-Amz-Date"), "key": "AKIDEXAMPLE", "secret": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token": "a/token+of=some length",
		}, &theirs)
		if got := r.Header.Get("Authorization"); got != theirs.Authorization {
			t.Errorf("%s is signed\n%s, botocore signs\n%s", op, got, theirs.Authorization)
		}
		out, bad := w.service.serve(op, body)
		if bad != nil {
			refuse(rw, *bad)
			return
		}
		if err := json.NewEncoder(rw).Encode(out); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(checked.Close)
	cfg := config(t, checked.URL, "", w.store)
	cfg.CatalogID = "123456789012"
	cfg.AWS.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: "a/token+of=some length"}, nil
	})
	w.cat = open(t, cfg)
	nested, err := iceberg.ParseSchema([]byte(everyType))
	if err != nil {
		t.Fatal(err)
	}
	for name, schema := range map[string]*iceberg.Schema{"clicks": iceberg.EventSchema(iceberg.Binary), "nested": nested} {
		base, err := w.cat.Create(t.Context(), catalog.Ident{Namespace: "default", Name: name}, catalog.Spec{Schema: schema, Properties: map[string]string{
			"comment": "<what they are> & more", "write.data.path": "s3://lake/data", "write.metadata.path": "s3://lake/events/meta",
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.service.edit("default."+name, func(e map[string]any) {
			e["Owner"], e["Retention"], e["LastAccessTime"], e["PartitionKeys"] = "analytics", 30, 1.75e9, []any{}
		})
		w.swap(base)
	}
	if _, err := w.cat.List(t.Context(), "default"); err != nil {
		t.Error(err)
	}
	for _, op := range []string{"GetDatabase", "CreateDatabase", "CreateTable", "GetTable", "UpdateTable", "GetTables"} {
		if !seen[op] {
			t.Errorf("%s was not seen", op)
		}
	}
}

// between is what lies in s between two texts.
func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}
