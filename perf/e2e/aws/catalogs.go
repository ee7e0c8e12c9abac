package aws

import (
	"strings"
	"testing"

	"firn/perf/e2e"
	"firn/perf/peer"
)

// catalogKind says how daemons and functions find the tables' catalog, how readers do, and which requests are swaps.
type catalogKind struct {
	env    []string
	reader e2e.Warehouse
	duckdb string           // how DuckDB gets at a table: duckdb-folder by itself, duckdb-metadata by the catalog's word
	proxy  *peer.FaultProxy // the one that swaps pass
	swap   func(r *peer.Request) bool
}

// objectStore is the catalog that is the warehouse itself.
func objectStore(_ testing.TB, p *pipeline) catalogKind {
	return catalogKind{
		env:    []string{"FIRN_WAREHOUSE=" + p.root()},
		reader: e2e.Bucket(p.root(), p.s3.Env()),
		duckdb: "duckdb-folder",
		proxy:  p.toS3,
		swap: func(r *peer.Request) bool {
			return r.Operation == "PutObject" && strings.HasSuffix(r.Path, ".metadata.json")
		},
	}
}

// glue is AWS Glue's catalog, in a server of the test's own: databases are shared within one.
func glue(t testing.TB, p *pipeline) catalogKind {
	t.Helper()
	server := peer.OwnAWS(t)
	proxy := peer.Proxy(t, server.Endpoint)
	return catalogKind{
		env:    []string{"FIRN_WAREHOUSE=" + p.root(), "FIRN_CATALOG=glue", "AWS_ENDPOINT_URL_GLUE=" + proxy.URL},
		reader: e2e.Glue(append(p.s3.Env(), "AWS_ENDPOINT_URL_GLUE="+server.Endpoint)),
		duckdb: "duckdb-metadata",
		proxy:  proxy,
		swap:   func(r *peer.Request) bool { return r.Operation == "UpdateTable" },
	}
}

// rest is the Iceberg project's REST catalog, which puts the tables where it likes.
func rest(t testing.TB, p *pipeline) catalogKind {
	t.Helper()
	server := peer.REST(t)
	proxy := peer.Proxy(t, server.Base())
	return catalogKind{
		env:    []string{"FIRN_CATALOG=rest", "FIRN_CATALOG_URI=" + server.At(proxy).URI},
		reader: e2e.REST(server.URI, p.s3.Env()),
		duckdb: "duckdb-metadata",
		proxy:  proxy,
		swap:   func(r *peer.Request) bool { return r.Operation == "updateTable" },
	}
}
