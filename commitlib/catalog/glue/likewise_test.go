package glue_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// wantLikewise compares our entry with theirs, member by member. Names that must differ are made the same first, and a
// list without members is none: of AdditionalLocations Java writes one where PyIceberg writes nothing.
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
		for _, v := range []*any{&a, &b} {
			if list, ok := (*v).([]any); ok && len(list) == 0 {
				*v = nil
			}
		}
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
	l := newLake(t)
	p := startTheirs(t, l.env...)
	nested, err := iceberg.ParseSchema([]byte(everyType))
	if err != nil {
		t.Fatal(err)
	}
	for i, schema := range []*iceberg.Schema{iceberg.EventSchema(iceberg.String), iceberg.EventSchema(iceberg.Binary), nested} {
		db := fmt.Sprintf("db%d", i)
		ours, theirs := catalog.Ident{Namespace: db, Name: "ours"}, catalog.Ident{Namespace: db, Name: "theirs"}
		l.create(ours, schema)
		p.do(step{"do": "create", "table": db + ".theirs", "schema": schema}, nil)
		entries := func(what string) {
			t.Helper()
			wantLikewise(t, fmt.Sprintf("schema %d, %s", i, what), l.rawTable(ours), l.rawTable(theirs))
		}
		entries("new")
		p.do(step{"do": "add_column", "table": db + ".theirs", "name": "later"}, nil)
		later := l.load(theirs).Metadata.CurrentSchema()
		l.swap(ours, func(base *catalog.Table) (*iceberg.Metadata, error) {
			return base.Metadata.WithSchema(later, base.MetadataLocation, time.Now())
		})
		entries("after a column was added")
	}
	p.do(step{"do": "create_database", "name": "made_by_theirs", "location": l.store.Root() + "/made_by_theirs"}, nil)
	wantLikewise(t, "database", l.rawDatabase("db0"), l.rawDatabase("made_by_theirs"))
	var listed struct{ Tables []string }
	p.do(step{"do": "tables", "database": "db0"}, &listed)
	if names, err := l.ours.List(t.Context(), "db0"); err != nil || !reflect.DeepEqual(names, listed.Tables) {
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
