package glue_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/glue"
	"firn/commitlib/iceberg"
	"firn/perf/peer"
)

// TestLocation wants new tables where Iceberg's own Glue catalogs put them: in the database's location, or in
// <warehouse>/<database>.db if it has none; and inside the warehouse in any case.
func TestLocation(t *testing.T) {
	f := func(database map[string]any, want string) {
		t.Helper()
		w := newWorld(t)
		if database != nil {
			database["Name"] = "default"
			w.service.databases["default"] = database
		}
		table := w.create()
		if table.Location != want || !strings.HasPrefix(table.MetadataLocation, want+"/metadata/00000-") {
			t.Errorf("%v: lies at %s, metadata at %s; want %s", database, table.Location, table.MetadataLocation, want)
		}
	}
	f(nil, "s3://lake/events/default/clicks")
	f(map[string]any{}, "s3://lake/events/default.db/clicks")
	f(map[string]any{"LocationUri": "s3://lake/events/sales/"}, "s3://lake/events/sales/clicks")
	f(map[string]any{"LocationUri": "s3://lake/events"}, "s3://lake/events/clicks")
	f(map[string]any{"LocationUri": "s3://elsewhere/sales"}, "s3://lake/events/default.db/clicks")
	f(map[string]any{"LocationUri": "hdfs://ip-10-0-0-1:8020/user/hive/warehouse"}, "s3://lake/events/default.db/clicks")
}

// TestDatabaseMade: other engines find the database's location, and put their tables beside ours.
func TestDatabaseMade(t *testing.T) {
	w := newWorld(t)
	made := w.on("CreateDatabase", 0, peer.Fault{})
	w.create()
	if got := w.service.databases["default"]; got["LocationUri"] != "s3://lake/events/default" || got["Name"] != "default" {
		t.Errorf("made %v", got)
	}
	if _, err := w.cat.Create(t.Context(), catalog.Ident{Namespace: "default", Name: "views"}, spec); err != nil {
		t.Fatal(err)
	}
	if n := made.Load(); n != 1 {
		t.Errorf("made %d times", n)
	}
}

// TestCreateRefused: what cannot be made says why, and what to do; nothing is made.
func TestCreateRefused(t *testing.T) {
	f := func(name string, set func(*world), want error, parts ...string) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			set(w)
			_, err := w.cat.Create(t.Context(), clicks, spec)
			wantError(t, err, want, parts...)
			w.proxy.Hook(nil)
			if _, err := w.cat.Load(t.Context(), clicks); !errors.Is(err, catalog.ErrNoTable) {
				t.Errorf("load after: %v", err)
			}
		})
	}
	database := func(members map[string]any) func(*world) {
		return func(w *world) { w.service.databases["default"] = members }
	}
	answer := func(op, code, message string) func(*world) {
		return func(w *world) { w.on(op, 99, peer.Fault{Answer: says(400, code, message)}) }
	}
	f("S3 Tables", database(map[string]any{"FederatedDatabase": map[string]any{"ConnectionType": "aws:s3tables"}}), catalog.ErrRejected, "FIRN_CATALOG=rest", "s3tables")
	f("resource link", database(map[string]any{"TargetDatabase": map[string]any{"CatalogId": "123456789012", "DatabaseName": "theirs"}}),
		catalog.ErrRejected, "theirs", "FIRN_CATALOG_WAREHOUSE=123456789012")
	f("no right to make databases", answer("CreateDatabase", "AccessDeniedException", ""), nil, "make database default", "glue:CreateDatabase")
	f("no right to make tables", answer("CreateTable", "AccessDeniedException", ""), nil, "glue:CreateTable")
	f("never taken", answer("CreateTable", "InvalidInputException", "bad name"), catalog.ErrRejected, "bad name")
	f("too many tables", answer("CreateTable", "ResourceNumberLimitExceededException", "limit of 200000"), catalog.ErrUnknown, "limit of 200000")
}

// TestCreateUnknown: an answer that is lost leaves doubt, which Load ends.
func TestCreateUnknown(t *testing.T) {
	w := newWorld(t)
	sent := w.on("CreateTable", 1, peer.Fault{Lose: true})
	_, err := w.cat.Create(t.Context(), clicks, spec)
	wantError(t, err, catalog.ErrUnknown)
	if n := sent.Load(); n != 1 {
		t.Errorf("sent %d times", n)
	}
	w.swap(w.load())

	w = newWorld(t) // throttled, then taken: whose table it is can only be looked up
	w.proxy.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation == "CreateTable" && r.N == 1 {
			return peer.Fault{Instead: says(400, "ThrottlingException", "")}
		}
		return peer.Fault{}
	})
	_, err = w.cat.Create(t.Context(), clicks, spec)
	wantError(t, err, catalog.ErrUnknown)
	w.swap(w.load())
}

// TestCreateBadSchema: metadata that no reader could parse is refused before anything is written.
func TestCreateBadSchema(t *testing.T) {
	w := newWorld(t)
	sent := w.on("CreateTable", 0, peer.Fault{})
	twice := &iceberg.Schema{Fields: []iceberg.Field{{ID: 1, Name: "a", Type: iceberg.Int}, {ID: 1, Name: "b", Type: iceberg.Int}}}
	_, err := w.cat.Create(t.Context(), clicks, catalog.Spec{Schema: twice})
	wantError(t, err, catalog.ErrRejected)
	if n := sent.Load(); n != 0 {
		t.Errorf("CreateTable was sent %d times", n)
	}
}

// TestNew wants a configuration refused that cannot work, with what to set.
func TestNew(t *testing.T) {
	f := func(change func(*glue.Config), part string) {
		t.Helper()
		cfg := config(t, "http://127.0.0.1:1", newAccount(), newWorld(t).store)
		change(&cfg)
		if _, err := glue.New(cfg); err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v, want one that says %q", err, part)
		}
	}
	f(func(c *glue.Config) { c.AWS.Region = "" }, "AWS_REGION")
	f(func(c *glue.Config) { c.AWS.Credentials = nil }, "AWS_ACCESS_KEY_ID")
	f(func(c *glue.Config) { c.Store = nil }, "object store")
	f(func(c *glue.Config) { c.Endpoint = "glue:4566" }, "AWS_ENDPOINT_URL_GLUE")
	f(func(c *glue.Config) { c.Endpoint, c.AWS.BaseEndpoint = "", aws.String("ftp://x") }, "ftp://x")
}

// TestCatalogID: each request names the catalog that is configured, and none where none is.
func TestCatalogID(t *testing.T) {
	for _, want := range []string{"", "123456789012"} {
		w := newWorld(t)
		cfg := config(t, w.proxy.URL, newAccount(), w.store)
		cfg.CatalogID = want
		w.proxy.Hook(func(r *peer.Request) peer.Fault {
			has := strings.Contains(string(r.Body), `"CatalogId":"123456789012"`)
			if has != (want != "") || want == "" && strings.Contains(string(r.Body), "CatalogId") {
				t.Errorf("%s: %s", r.Operation, r.Body)
			}
			return peer.Fault{}
		})
		w.cat = open(t, cfg)
		w.swap(w.create())
		w.load()
		if _, err := w.cat.List(t.Context(), "default"); err != nil {
			t.Error(err)
		}
	}
}
