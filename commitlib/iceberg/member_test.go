package iceberg

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestCutMember(t *testing.T) {
	f := func(doc, value, rest string) {
		t.Helper()
		v, r, err := CutMember([]byte(doc), "metadata")
		if err != nil || string(v) != value || string(r) != rest || (v == nil) != (value == "") {
			t.Errorf("%s: %q, %q, %v; want %q, %q", doc, v, r, err, value, rest)
		}
	}
	f(`{}`, ``, `{}`)
	f(`{"a":1}`, ``, `{"a":1}`)
	f(`{"metadata":{"x":"}"}}`, `{"x":"}"}`, `{}`)
	f(` {"a" : [1, 2] , "metadata" : {"y":[{}]} , "b":"c" } `, `{"y":[{}]}`, `{"a":[1, 2],"b":"c"}`)
	f(`{"metadata":null,"a":{"metadata":1}}`, `null`, `{"a":{"metadata":1}}`)
	f(`{"metadata":1,"metadata":2}`, `2`, `{}`)
	f(`{"meta\u0064ata":3}`, `3`, `{}`)
	for _, bad := range []string{``, `[]`, `5`, `{"metadata":1`, `{"metadata":01}`, `null`} {
		if _, _, err := CutMember([]byte(bad), "metadata"); err == nil {
			t.Errorf("%q was cut", bad)
		}
	}
}

// FuzzCutMember: what is cut out and what is left say together what the document says.
func FuzzCutMember(f *testing.F) {
	f.Add(`{"metadata-location":"s3://b/m.json","metadata":{"a":[1]},"config":{}}`)
	f.Fuzz(func(t *testing.T, doc string) {
		value, rest, err := CutMember([]byte(doc), "metadata")
		var want map[string]json.RawMessage
		werr := json.Unmarshal([]byte(doc), &want)
		if err != nil {
			return
		}
		if werr != nil {
			t.Fatalf("%q was cut; it is no object: %v", doc, werr)
		}
		var got map[string]json.RawMessage
		if err := json.Unmarshal(rest, &got); err != nil {
			t.Fatalf("what is left of %q is %q: %v", doc, rest, err)
		}
		if value != nil {
			got["metadata"] = value
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q was cut into %q and %q", doc, value, rest)
		}
	})
}
