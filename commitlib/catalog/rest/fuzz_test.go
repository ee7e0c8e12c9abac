package rest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
)

// FuzzAnswer takes any status and bytes for an answer, of every kind of request: an error or a table, never a panic, and
// no error text that floods a log.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"metadata-location":"s3://b/t/m.json","metadata":{"format-version":2},"config":{"s3.access-key-id":"a","s3.secret-access-key":"b"}}`)
	f.Add(200, `{"storage-credentials":[{"prefix":"s3://b/t/x/","config":{"s3.access-key-id":"a","s3.secret-access-key":"b","s3.session-token-expires-at-ms":"-1"}}]}`)
	f.Add(404, `{"error":{"message":"Table does not exist","type":"NoSuchTableException","code":404}}`)
	f.Add(400, `{"error":{"message":"Cannot add snapshot with sequence number 1 older than last sequence number 2","code":400}}`)
	f.Add(401, `{"error":"invalid_client","error_description":"`+strings.Repeat("é", 400)+`"}`)
	f.Add(502, "<html>\xff\xfe")
	f.Add(200, "e30.eyJleHAiOjFlMzA4fQ.x")
	c, err := New(Config{URI: "http://127.0.0.1:1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		a := &answer{status: status, header: http.Header{"Etag": {body}, "Location": {body}}, body: []byte(body), gzipped: status%2 == 0}
		for k := loading; k <= committing; k++ {
			if err := answered(k, a, nil); err != nil && len(err.Error()) > 4*maxMessage {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		}
		if err := tokenRefused(a); len(err.Error()) > 4*maxMessage {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		claimedExpiry(body)
		table, err := c.table(catalog.Ident{Namespace: "a", Name: "b"}, nil, nil, a, time.Time{})
		if err == nil && (table.Metadata == nil || table.Token == "" || table.Location == "") {
			t.Errorf("a table without its parts: %+v", table)
		}
		for prefix, creds := range c.byPrefix("s3://b/t", tableAnswer{StorageCredentials: []storageCredential{{Prefix: body, Config: map[string]string{
			keyAccess: "a", keySecret: body, keyExpires: body}}}}) {
			if prefix != "s3://b/t" && !strings.HasPrefix(prefix, "s3://b/t/") || creds.SecretAccessKey != body {
				t.Errorf("credentials for %q", prefix)
			}
		}
	})
}
