package glue_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// asJSON is v as it looks on the wire.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parsed(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// wantEntry compares an entry with one spelled out, but for what the service adds.
func wantEntry(t *testing.T, what string, got map[string]any, want string) {
	t.Helper()
	got = maps.Clone(got)
	for _, own := range []string{"VersionId", "DatabaseName", "CreateTime", "IsRegisteredWithLakeFormation"} {
		delete(got, own)
	}
	if text := asJSON(t, got); !reflect.DeepEqual(parsed(t, text), parsed(t, want)) {
		t.Errorf("%s:\n got %s\nwant %s", what, text, want)
	}
}

// TestEntry spells out a new table's entry and the one after a swap.
func TestEntry(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	const columns = `[
	{"Name":"log","Type":"string","Comment":"the log (one run of ingestd) that the event was acked in","Parameters":{"iceberg.field.id":"1","iceberg.field.optional":"false","iceberg.field.current":"true"}},
	{"Name":"sequence","Type":"bigint","Comment":"dense number of the event in (log, table), from 1","Parameters":{"iceberg.field.id":"2","iceberg.field.optional":"false","iceberg.field.current":"true"}},
	{"Name":"partition","Type":"int","Comment":"producer-chosen lane","Parameters":{"iceberg.field.id":"3","iceberg.field.optional":"false","iceberg.field.current":"true"}},
	{"Name":"event_time","Type":"timestamp","Comment":"when the event happened, as its producer says","Parameters":{"iceberg.field.id":"4","iceberg.field.optional":"false","iceberg.field.current":"true"}},
	{"Name":"ingest_time","Type":"timestamp","Comment":"when ingestd received the event","Parameters":{"iceberg.field.id":"5","iceberg.field.optional":"false","iceberg.field.current":"true"}},
	{"Name":"idempotency_key","Type":"string","Parameters":{"iceberg.field.id":"6","iceberg.field.optional":"true","iceberg.field.current":"true"}},
	{"Name":"payload","Type":"string","Parameters":{"iceberg.field.id":"7","iceberg.field.optional":"false","iceberg.field.current":"true"}}]`
	wantEntry(t, "new", w.service.entry("default.clicks"), fmt.Sprintf(`{"Name":"clicks","TableType":"EXTERNAL_TABLE",
		"Parameters":{"table_type":"ICEBERG","metadata_location":%q},
		"StorageDescriptor":{"Location":"s3://lake/events/default/clicks","Columns":%s}}`, base.MetadataLocation, columns))
	now := w.swap(base)
	wantEntry(t, "after a swap", w.service.entry("default.clicks"), fmt.Sprintf(`{"Name":"clicks","TableType":"EXTERNAL_TABLE",
		"Parameters":{"table_type":"ICEBERG","metadata_location":%q,"previous_metadata_location":%q},
		"StorageDescriptor":{"Location":"s3://lake/events/default/clicks","Columns":%s}}`, now.MetadataLocation, base.MetadataLocation, columns))
	for _, table := range []*catalog.Table{base, now} {
		name := table.MetadataLocation[strings.LastIndexByte(table.MetadataLocation, '/')+1:]
		if want := fmt.Sprintf("%05d-", len(table.Metadata.Snapshots)); !strings.HasPrefix(name, want) || len(name) != len("00000-")+36+len(".metadata.json") {
			t.Errorf("metadata file %s, want %s<uuid>.metadata.json", name, want)
		}
	}
}

// TestOthersMembersSurvive: what another of Glue's users put into an entry is there after our swap.
func TestOthersMembersSurvive(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	theirs := map[string]any{
		"Owner": "analytics", "Description": "clicks of the shop", "Retention": 30.0, "LastAccessTime": 1.75e9, "PartitionKeys": []any{},
	}
	w.service.edit("default.clicks", func(e map[string]any) {
		maps.Copy(e, theirs)
		p := maps.Clone(e["Parameters"].(map[string]any))
		p["classification"], p["crawler"] = "iceberg", "none"
		e["Parameters"] = p
		s := maps.Clone(e["StorageDescriptor"].(map[string]any))
		s["Compressed"], s["NumberOfBuckets"] = false, -1.0
		s["Columns"].([]any)[5].(map[string]any)["Comment"] = "theirs"
		s["Columns"].([]any)[2].(map[string]any)["Comment"] = "not theirs: the column has a doc"
		e["StorageDescriptor"] = s
	})
	w.swap(base) // an edit that leaves the metadata alone is no rival of a commit's
	got := w.service.entry("default.clicks")
	for name, want := range theirs {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	p := got["Parameters"].(map[string]any)
	if p["classification"] != "iceberg" || p["crawler"] != "none" {
		t.Errorf("parameters %v", p)
	}
	s := got["StorageDescriptor"].(map[string]any)
	if s["Compressed"] != false || s["NumberOfBuckets"] != -1.0 {
		t.Errorf("storage descriptor %v", s)
	}
	list := s["Columns"].([]any)
	if c := list[5].(map[string]any)["Comment"]; c != "theirs" {
		t.Errorf("the comment of a column without a doc is %v", c)
	}
	if c := list[2].(map[string]any)["Comment"]; c != "producer-chosen lane" {
		t.Errorf("the comment of a column with a doc is %v", c)
	}
}

// TestMirroredProperties: PyIceberg copies table properties into the entry. The copies follow our swaps.
func TestMirroredProperties(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	base, err := w.cat.SwapMetadata(t.Context(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return m.WithProperties(map[string]string{"firn.watermarks": "old", "gone": "soon", "not.copied": "x"}, nil, base.MetadataLocation, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	w.service.edit("default.clicks", func(e map[string]any) {
		p := e["Parameters"].(map[string]any)
		p["firn.watermarks"], p["gone"], p["other"] = "old", "soon", "stays"
	})
	_, err = w.cat.SwapMetadata(t.Context(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return m.WithProperties(map[string]string{"firn.watermarks": "new", "comment": strings.Repeat("ä", 2000)}, []string{"gone"}, base.MetadataLocation, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	got := w.service.entry("default.clicks")
	keys := slices.Sorted(maps.Keys(got["Parameters"].(map[string]any)))
	want := []string{"firn.watermarks", "metadata_location", "other", "previous_metadata_location", "table_type"}
	if p := got["Parameters"].(map[string]any); !slices.Equal(keys, want) || p["firn.watermarks"] != "new" {
		t.Errorf("parameters %v", p)
	}
	if got["Description"] != strings.Repeat("ä", 1024) {
		t.Errorf("description has %d bytes, want 2048", len(got["Description"].(string)))
	}
}

// TestColumns wants each type spelled as Iceberg's Java catalog does, and columns of earlier schemas after the current.
func TestColumns(t *testing.T) {
	w := newWorld(t)
	types := []struct {
		iceberg iceberg.Type
		hive    string
	}{
		{"boolean", "boolean"}, {"int", "int"}, {"long", "bigint"}, {"float", "float"}, {"double", "double"}, {"date", "date"},
		{"time", "string"}, {"timestamp", "timestamp"}, {"timestamptz", "timestamp"}, {"string", "string"}, {"uuid", "string"},
		{"binary", "binary"}, {"fixed[16]", "binary"}, {"decimal(9, 2)", "decimal(9,2)"}, {"timestamptz_ns", "timestamp_nano"},
		{`{"type":"list","element-id":101,"element":"long","element-required":true}`, "array<bigint>"},
		{`{"type":"map","key-id":102,"key":"string","value-id":103,"value":"timestamptz","value-required":false}`, "map<string,timestamp>"},
		{`{"type":"struct","fields":[{"id":104,"name":"a","required":true,"type":"uuid"},{"id":105,"name":"b","required":false,"type":{"type":"list","element-id":106,"element":"decimal(3,1)","element-required":false}}]}`,
			"struct<a:string,b:array<decimal(3,1)>>"},
	}
	s := &iceberg.Schema{}
	for i, typ := range types {
		s.Fields = append(s.Fields, iceberg.Field{ID: i + 1, Name: fmt.Sprintf("c%d", i), Type: typ.iceberg, Doc: "line\nline " + strings.Repeat("€", 100)})
	}
	base, err := w.cat.Create(t.Context(), clicks, catalog.Spec{Schema: s})
	if err != nil {
		t.Fatal(err)
	}
	later := &iceberg.Schema{Fields: []iceberg.Field{{ID: 50, Name: "new", Required: true, Type: "int"}, {ID: 2, Name: "c1", Type: "long"}}}
	base, err = w.cat.SwapMetadata(t.Context(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return m.WithSchema(later, base.MetadataLocation, time.Now())
	})
	if err != nil {
		t.Fatal(err)
	}
	list := w.service.entry("default.clicks")["StorageDescriptor"].(map[string]any)["Columns"].([]any)
	var names []string
	for _, c := range list {
		c := c.(map[string]any)
		p := c["Parameters"].(map[string]any)
		names = append(names, fmt.Sprintf("%v %v current=%v", c["Name"], c["Type"], p["iceberg.field.current"]))
	}
	want := []string{"new int current=true", "c1 bigint current=true"}
	for i, typ := range types {
		if i != 1 {
			want = append(want, fmt.Sprintf("c%d %s current=false", i, typ.hive))
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("columns\n got %q\nwant %q", names, want)
	}
	if c := list[2].(map[string]any)["Comment"].(string); c != "line line "+strings.Repeat("€", 81) {
		t.Errorf("a comment of 311 bytes in two lines became %q", c)
	}
	if c, ok := list[1].(map[string]any)["Comment"]; !ok || c != "line line "+strings.Repeat("€", 81) {
		t.Errorf("the comment that c1 had is %v", c)
	}
}

// TestFurtherLocations: the entry names the other places of a table's files, as the Java catalog does.
func TestFurtherLocations(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	set := func(props map[string]string, remove ...string) []any {
		t.Helper()
		now, err := w.cat.SwapMetadata(t.Context(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			return m.WithProperties(props, remove, base.MetadataLocation, time.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
		base = now
		further, _ := w.service.entry("default.clicks")["StorageDescriptor"].(map[string]any)["AdditionalLocations"].([]any)
		return further
	}
	got := set(map[string]string{"write.data.path": "s3://lake/data", "write.metadata.path": "s3://lake/events/meta/"})
	if asJSON(t, got) != `["s3://lake/data","s3://lake/events/meta/"]` {
		t.Errorf("further locations %v", got)
	}
	if !strings.HasPrefix(base.MetadataLocation, "s3://lake/events/meta/00001-") {
		t.Errorf("metadata lies at %s", base.MetadataLocation)
	}
	if got := set(nil, "write.data.path", "write.metadata.path"); got != nil {
		t.Errorf("further locations %v stay", got)
	}
	_, err := w.cat.SwapMetadata(t.Context(), base, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
		return m.WithProperties(map[string]string{"write.metadata.path": "s3://elsewhere/meta"}, nil, base.MetadataLocation, time.Now())
	})
	wantError(t, err, catalog.ErrRejected, "s3://elsewhere/meta", "outside the warehouse")
}

// TestWithoutVersionID: a service that states no version id offers no compare-and-swap.
func TestWithoutVersionID(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	w.service.mu.Lock()
	delete(w.service.tables["default.clicks"], "VersionId")
	w.service.mu.Unlock()
	_, err := w.cat.Swap(context.Background(), base, w.change(base))
	wantError(t, err, catalog.ErrRejected, "no compare-and-swap")
}
