package maintain

import (
	"fmt"
	"testing"

	"firn/commitlib/objstore"
)

func TestReadName(t *testing.T) {
	const log, random = "018f3b1e-0000-7000-8000-000000000001", "6f1c2a54-9d1b-4c37-8c51-0a2b3c4d5e6f"
	f := func(rel string, want string) {
		t.Helper()
		n := readName(rel)
		got := n.kind.String()
		if n.first > 0 {
			got = fmt.Sprintf("%s %s %d-%d", got, n.log, n.first, n.last)
		}
		if n.version > 0 {
			got = fmt.Sprintf("%s %d", got, n.version)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", rel, got, want)
		}
	}
	const other = "other engine's file"
	f("data/"+log+"-1-10-0.parquet", "staged data file "+log+" 1-10")
	f("data/event_time_hour=2026-11-23-06/partition=a/"+log+"-11-20-3-r2.parquet", "staged data file "+log+" 11-20")
	f("data/"+random+"-1-10-0.parquet", other) // no log: logs are version 7
	f("data/"+log+"-10-1-0.parquet", other)
	f("data/"+log+"-0-1-0.parquet", other)
	f("data/"+log+"-1-10.parquet", other)
	f("data/"+log+"-1-99999999999999999999-0.parquet", other)
	f("data/"+log+".parquet", other)
	f("data/00000-1-"+random+"-00001.parquet", other)
	f("data/hour=1/firn-"+random+"-0.parquet", "manifest, list or rewritten file")
	f("metadata/firn-"+random+"-m0.avro", "manifest, list or rewritten file")
	f("metadata/snap-77-1-firn-"+random+".avro", "manifest, list or rewritten file")
	f("metadata/snap-77-1-"+random+".avro", other)
	f("metadata/"+random+"-m0.avro", other)
	f("metadata/v12.metadata.json", "old table metadata 12")
	f("metadata/v012.metadata.json", other)
	f("metadata/v12.gz.metadata.json", other)
	f("metadata/old/v12.metadata.json", other)
	f("metadata/00003-"+random+".metadata.json", "old table metadata")
	f("metadata/version-hint.text", "kept")
	f("metadata/x.puffin", other)
	f("_firn/watermarks-"+random+".json", "spilled watermarks")
	f("_firn/claims/"+log+"/1-5-0a1b2c3d.json", "claim "+log+" 1-5")
	f("_firn/claims/"+log+"/1-5-0a1b2c3d-"+random+".json", "claim "+log+" 1-5")
	f("_firn/claims/"+log+"/x.json", "kept")
	f("_firn/rejected/"+log, "kept")
	f("_firn/condemned.json", "kept")
	f("_firn/anything", "kept")
	f("README", "elsewhere")
	f("database/x.parquet", "elsewhere")
}

// One place has many spellings; a live object must be known under each.
func TestKeyOf(t *testing.T) {
	f := func(root, location, want string) {
		t.Helper()
		if got, ok := keyOf(objstore.NewMem(root), location); got != want || ok != (want != "") {
			t.Errorf("%s in %s: %q, %v; want %q", location, root, got, ok, want)
		}
	}
	f("s3://b/lake", "s3://b/lake/d/t/data/x.parquet", "d/t/data/x.parquet")
	f("s3://b/lake", "s3a://b/lake/d/t/data/x.parquet", "d/t/data/x.parquet")
	f("s3://b/lake", "s3n://b/lake/x", "x")
	f("s3://b/lake", "s3://b/lake2/x", "")
	f("s3://b/lake", "s3://other/lake/x", "")
	f("s3://b/lake", "gs://b/lake/x", "")
	f("s3://", "s3a://b/x", "b/x") // a store of every bucket
	f("file:///w", "file:/w/d/x", "d/x")
	f("file:///w", "/w/d//x", "d/x")
	f("file:///w", "file://localhost/w/x", "x")
	f("/w", "file:///w/x", "x")
	f("/w", "/w/x", "x")
	f("/w", "/w2/x", "")
}
