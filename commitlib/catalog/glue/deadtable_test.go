package glue_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"slices"
	"strings"
	"testing"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/glue"
	"firn/commitlib/objstore"
)

// TestDeadTables: an entry that is no Iceberg table of this warehouse is refused with what it is and what to do. Its
// name is taken, a list leaves it out unless it says that it is one, and a swap on what was there before is a conflict.
func TestDeadTables(t *testing.T) {
	const elsewhere = "s3://other-bucket/db/clicks/metadata/00003-5c1a3a1e-8d4f-4a53-9d6f-0d2f2f7d7c11.metadata.json"
	f := func(name string, listed bool, entry map[string]any, parts ...string) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			base := w.create()
			w.service.edit("default.clicks", func(e map[string]any) {
				clear(e)
				e["Name"] = "clicks"
				for k, v := range entry {
					e[k] = v
				}
			})
			_, err := w.cat.Load(t.Context(), clicks)
			wantError(t, err, catalog.ErrRejected, parts...)
			_, err = w.cat.Refresh(t.Context(), base)
			wantError(t, err, catalog.ErrRejected, parts...)
			_, err = w.cat.Create(t.Context(), clicks, spec)
			wantError(t, err, catalog.ErrTableExists)
			_, err = w.cat.Swap(t.Context(), base, w.change(base))
			wantError(t, err, catalog.ErrConflict)
			names, err := w.cat.List(t.Context(), "default")
			if err != nil || slices.Contains(names, "clicks") != listed {
				t.Errorf("list: %v, %v", names, err)
			}
		})
	}
	type members = map[string]any
	f("Hive", false, members{"TableType": "EXTERNAL_TABLE", "Parameters": members{"EXTERNAL": "TRUE"}, "StorageDescriptor": members{
		"Location": "s3://lake/hive/clicks", "InputFormat": "org.apache.hadoop.mapred.TextInputFormat"}}, "not an Iceberg table", "Hive", "choose another table name")
	f("without parameters", false, members{"TableType": "MANAGED_TABLE"}, "not an Iceberg table")
	f("Delta", false, members{"Parameters": members{"table_type": "DELTA"}}, "not an Iceberg table", "DELTA")
	f("unfinished", true, members{"Parameters": members{"table_type": "ICEBERG"}}, "no metadata_location")
	f("a view", true, members{"TableType": "VIRTUAL_VIEW", "ViewOriginalText": "/* Presto View */", "Parameters": members{"table_type": "ICEBERG"}}, "is a view")
	f("a resource link", false, members{"TargetTable": members{"CatalogId": "123456789012", "DatabaseName": "theirs", "Name": "clicks"}}, "resource link", "FIRN_CATALOG_WAREHOUSE")
	f("in another bucket", true, members{"Parameters": members{"table_type": "iceberg", "metadata_location": elsewhere}}, elsewhere, "outside the warehouse", "FIRN_WAREHOUSE")
}

// TestDropped: a table that is dropped, and one that is made anew under its name, are seen by refresh and swap.
func TestDropped(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	w.service.drop("default.clicks")
	_, err := w.cat.Refresh(t.Context(), base)
	wantError(t, err, catalog.ErrNoTable)
	_, err = w.cat.Swap(t.Context(), base, w.change(base))
	wantError(t, err, catalog.ErrConflict, "gone")
	anew := w.create()
	if anew.Location != base.Location {
		t.Fatalf("made anew at %s, was at %s", anew.Location, base.Location)
	}
	_, err = w.cat.Swap(t.Context(), base, w.change(base))
	wantError(t, err, catalog.ErrConflict, anew.MetadataLocation)
	now, err := w.cat.Refresh(t.Context(), base)
	if err != nil || now.Metadata.TableUUID != anew.Metadata.TableUUID {
		t.Errorf("refresh: %v, %v", now, err)
	}
}

// TestBadMetadata: a metadata file that is missing, damaged or too large says so, and which it is.
func TestBadMetadata(t *testing.T) {
	f := func(name string, body []byte, want error, parts ...string) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			base := w.create()
			key, _ := objstore.Key(w.store, base.MetadataLocation)
			if err := w.store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if body != nil {
				if _, err := w.store.Put(t.Context(), key, body, objstore.Condition{}); err != nil {
					t.Fatal(err)
				}
			}
			_, err := w.cat.Load(t.Context(), clicks)
			wantError(t, err, want, append(parts, base.MetadataLocation)...)
		})
	}
	f("missing", nil, nil, "is not there")
	f("damaged", []byte(`{"format-version":2,`), nil, "parse")
	f("too large", make([]byte, glue.MaxMetadataBytes+1), catalog.ErrRejected, "expire snapshots")
}

// TestCompressedMetadata: other engines may write metadata compressed, under either name; we read it and go on
// uncompressed. What expands beyond the bound is refused.
func TestCompressedMetadata(t *testing.T) {
	squeeze := func(body []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, err := z.Write(body)
		if err := errors.Join(err, z.Close()); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	f := func(suffix string, spoil func([]byte) []byte, want error, parts ...string) {
		t.Helper()
		w := newWorld(t)
		base := w.create()
		body, err := base.Metadata.Encode()
		if err != nil {
			t.Fatal(err)
		}
		location := base.Location + "/metadata/00007-5c1a3a1e-8d4f-4a53-9d6f-0d2f2f7d7c11" + suffix
		key, _ := objstore.Key(w.store, location)
		if _, err := w.store.Put(t.Context(), key, spoil(squeeze(body)), objstore.Condition{}); err != nil {
			t.Fatal(err)
		}
		w.service.edit("default.clicks", func(e map[string]any) { e["Parameters"].(map[string]any)["metadata_location"] = location })
		now, err := w.cat.Load(t.Context(), clicks)
		if len(parts) > 0 {
			wantError(t, err, want, parts...)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		next := w.swap(now)
		if name := next.MetadataLocation[strings.LastIndexByte(next.MetadataLocation, '/')+1:]; !strings.HasPrefix(name, "00008-") || strings.Contains(name, ".gz") {
			t.Errorf("the next metadata file is %s", name)
		}
		w.load()
	}
	same := func(b []byte) []byte { return b }
	f(".gz.metadata.json", same, nil)
	f(".metadata.json.gz", same, nil)
	f(".gz.metadata.json", func(b []byte) []byte { return b[:len(b)/2] }, nil, "decompress")
	f(".gz.metadata.json", func([]byte) []byte { return squeeze(make([]byte, glue.MaxMetadataBytes+1)) }, catalog.ErrRejected, "expire snapshots")
}
