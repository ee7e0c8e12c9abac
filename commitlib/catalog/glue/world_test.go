package glue_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/glue"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/perf/peer"
)

var (
	quiet  = slog.New(slog.DiscardHandler)
	clicks = catalog.Ident{Namespace: "default", Name: "clicks"}
	spec   = catalog.Spec{Schema: iceberg.EventSchema(iceberg.String)}
)

// keys is a provider of fixed credentials, with a session token as a role's have.
type keys string

func (id keys) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: string(id), SecretAccessKey: peer.SecretKey, SessionToken: "token"}, nil
}

var accounts atomic.Int64

// newAccount is an access key of its own: ministack takes one of twelve digits for an account, and an account's tables
// are seen by nobody else.
func newAccount() keys { return keys(fmt.Sprintf("%012d", 300_000_000_000+accounts.Add(1))) }

// config is a catalog's configuration at a service. The client keeps its connections to itself.
func config(t testing.TB, endpoint string, account keys, store objstore.Store) glue.Config {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return glue.Config{
		AWS:      aws.Config{Region: peer.Region, Credentials: account, HTTPClient: &http.Client{Transport: transport}},
		Endpoint: endpoint, Store: store, Logger: quiet,
	}
}

func open(t testing.TB, cfg glue.Config) *glue.Catalog {
	t.Helper()
	c, err := glue.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// world is a service in this process, the fault proxy before it, a store in memory, and a catalog through the proxy.
type world struct {
	*testing.T
	service *service
	proxy   *peer.FaultProxy
	store   *objstore.Mem
	cat     *glue.Catalog
	ids     atomic.Int64
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, url := newService(t)
	w := &world{T: t, service: s, proxy: peer.Proxy(t, url), store: objstore.NewMem("s3://lake/events")}
	w.cat = open(t, config(t, w.proxy.URL, newAccount(), w.store))
	return w
}

func (w *world) create() *catalog.Table {
	w.Helper()
	table, err := w.cat.Create(w.Context(), clicks, spec)
	if err != nil {
		w.Fatal(err)
	}
	return table
}

func (w *world) change(base *catalog.Table) catalog.Change {
	m := base.Metadata
	return catalog.Change{Snapshot: &iceberg.Snapshot{
		ID: w.ids.Add(1), ParentID: m.CurrentSnapshotID, SequenceNumber: m.LastSequenceNumber + 1, SchemaID: m.CurrentSchemaID,
		ManifestList: base.Location + "/metadata/x.avro", Summary: map[string]string{"operation": iceberg.OpAppend},
	}}
}

func (w *world) swap(base *catalog.Table) *catalog.Table {
	w.Helper()
	table, err := w.cat.Swap(w.Context(), base, w.change(base))
	if err != nil {
		w.Fatal(err)
	}
	return table
}

func (w *world) load() *catalog.Table {
	w.Helper()
	table, err := w.cat.Load(w.Context(), clicks)
	if err != nil {
		w.Fatal(err)
	}
	return table
}

// on lets a fault befall the next so many requests of an operation, and counts those that are sent from now on: the
// proxy's own count comes after an answer, which a client with a broken connection does not wait for.
func (w *world) on(operation string, times int, f peer.Fault) (sent *atomic.Int64) {
	sent = new(atomic.Int64)
	w.proxy.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation == operation && sent.Add(1) <= int64(times) {
			return f
		}
		return peer.Fault{}
	})
	return sent
}

// says is an error answer of Glue's.
func says(status int, code, message string) *peer.Answer {
	return &peer.Answer{
		Status: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body: `{"__type":"` + code + `","Message":"` + message + `"}`,
	}
}

// callRaw is a request to a service by other means than the code under test. Signatures are not looked at there; the
// account is the access key's.
func callRaw(endpoint string, account keys, op string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = http.Header{
		"X-Amz-Target": {"AWSGlue." + op}, "Content-Type": {"application/x-amz-json-1.1"},
		"Authorization": {"AWS4-HMAC-SHA256 Credential=" + string(account) + "/20260101/us-east-1/glue/aws4_request, SignedHeaders=host, Signature=0"},
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", op, resp.Status, text)
	}
	return text, err
}
