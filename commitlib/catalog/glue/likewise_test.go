package glue_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// rawEntry reads an entry as the service has it, by other means than the code under test; what the service makes by
// itself is left out.
func rawEntry(t *testing.T, b *beside, op string, in map[string]any) map[string]any {
	t.Helper()
	text, err := callRaw(b.glue.Endpoint, b.account, op, in)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	for _, e := range out {
		for _, own := range []string{"VersionId", "CreateTime", "UpdateTime", "LastAccessTime", "CatalogId"} {
			delete(e, own)
		}
		return e
	}
	return nil
}

// wantLikewise compares our entry with theirs, member by member. Names that must differ are made the same first.
func wantLikewise(t *testing.T, what string, ours, theirs map[string]any) {
	t.Helper()
	for name := range mapsUnion(ours, theirs) {
		if name == "Parameters" || name == "StorageDescriptor" {
			a, _ := ours[name].(map[string]any)
			b, _ := theirs[name].(map[string]any)
			wantLikewise(t, what+" "+name, a, b)
			continue
		}
		a, b := ours[name], theirs[name]
		if text, ok := a.(string); ok {
			a = alike(text)
		}
		if text, ok := b.(string); ok {
			b = alike(text)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: %s\n  ours %s\ntheirs %s", what, name, asJSON(t, a), asJSON(t, b))
		}
	}
}

func mapsUnion(a, b map[string]any) map[string]bool {
	all := map[string]bool{}
	for _, m := range []map[string]any{a, b} {
		for k := range m {
			all[k] = true
		}
	}
	return all
}

// alike takes the table's name and the random part out of a text: "…/theirs/metadata/00000-<uuid>.metadata.json".
func alike(text string) string {
	text = strings.NewReplacer("theirs", "table", "ours", "table").Replace(text)
	if i := strings.LastIndexByte(text, '/'); i >= 0 && strings.HasSuffix(text, ".metadata.json") && len(text) > i+7 {
		text = text[:i+7] + "<uuid>.metadata.json"
	}
	return text
}

// everyType is a schema with each type that format version 2 has.
const everyType = `{"type":"struct","schema-id":0,"fields":[
	{"id":1,"name":"a","required":true,"type":"boolean","doc":"says yes or no"},{"id":2,"name":"b","required":false,"type":"int"},
	{"id":3,"name":"c","required":false,"type":"long"},{"id":4,"name":"d","required":false,"type":"float"},{"id":5,"name":"e","required":false,"type":"double"},
	{"id":6,"name":"f","required":false,"type":"date"},{"id":7,"name":"g","required":false,"type":"time"},{"id":8,"name":"h","required":false,"type":"timestamp"},
	{"id":9,"name":"i","required":false,"type":"timestamptz"},{"id":10,"name":"j","required":false,"type":"string"},{"id":11,"name":"k","required":false,"type":"uuid"},
	{"id":12,"name":"l","required":false,"type":"binary"},{"id":13,"name":"m","required":false,"type":"fixed[16]"},{"id":14,"name":"n","required":false,"type":"decimal(9, 2)"},
	{"id":15,"name":"o","required":false,"type":{"type":"list","element-id":18,"element":"long","element-required":true}},
	{"id":16,"name":"p","required":false,"type":{"type":"map","key-id":19,"key":"string","value-id":20,"value":"timestamptz","value-required":false}},
	{"id":17,"name":"q","required":false,"type":{"type":"struct","fields":[{"id":21,"name":"a","required":true,"type":"uuid"},
		{"id":22,"name":"b","required":false,"type":{"type":"list","element-id":23,"element":"decimal(3, 1)","element-required":false}}]}}]}`

// TestEntryLikePyIceberg: for the same schema our database, our new table's entry and the one after a change of the
// schema equal what PyIceberg makes, member by member.
func TestEntryLikePyIceberg(t *testing.T) {
	b := newBeside(t)
	nested, err := iceberg.ParseSchema([]byte(everyType))
	if err != nil {
		t.Fatal(err)
	}
	for i, schema := range []*iceberg.Schema{iceberg.EventSchema(iceberg.String), iceberg.EventSchema(iceberg.Binary), nested} {
		db := fmt.Sprintf("db%d", i)
		id := catalog.Ident{Namespace: db, Name: "ours"}
		mine, err := b.ours.Create(t.Context(), id, catalog.Spec{Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		b.theirs.do(step{"do": "create", "table": db + ".theirs", "schema": schema}, nil)
		entries := func(what string) {
			t.Helper()
			wantLikewise(t, fmt.Sprintf("schema %d, %s", i, what),
				rawEntry(t, b, "GetTable", map[string]any{"DatabaseName": db, "Name": "ours"}),
				rawEntry(t, b, "GetTable", map[string]any{"DatabaseName": db, "Name": "theirs"}))
		}
		entries("new")
		b.theirs.do(step{"do": "add_column", "table": db + ".theirs", "name": "later"}, nil)
		theirs, err := b.ours.Load(t.Context(), catalog.Ident{Namespace: db, Name: "theirs"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.ours.SwapMetadata(t.Context(), mine, func(m *iceberg.Metadata) (*iceberg.Metadata, error) {
			return m.WithSchema(theirs.Metadata.CurrentSchema(), mine.MetadataLocation, time.Now())
		}); err != nil {
			t.Fatal(err)
		}
		entries("after a column was added")
	}
	b.theirs.do(step{"do": "create_database", "name": "made_by_theirs", "location": b.store.Root() + "/made_by_theirs"}, nil)
	wantLikewise(t, "database", rename(rawEntry(t, b, "GetDatabase", map[string]any{"Name": "db0"}), "db0"),
		rename(rawEntry(t, b, "GetDatabase", map[string]any{"Name": "made_by_theirs"}), "made_by_theirs"))
	var listed struct{ Tables []string }
	b.theirs.do(step{"do": "tables", "database": "db0"}, &listed)
	if names, err := b.ours.List(t.Context(), "db0"); err != nil || !reflect.DeepEqual(names, listed.Tables) {
		t.Errorf("we list %v (%v), PyIceberg %v", names, err, listed.Tables)
	}
}

// rename puts one name into the texts of an entry in place of its own.
func rename(e map[string]any, name string) map[string]any {
	for k, v := range e {
		if text, ok := v.(string); ok {
			e[k] = strings.ReplaceAll(text, name, "database")
		}
	}
	return e
}
