package iceberg

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
)

func TestBrokenMetadataIsRefused(t *testing.T) {
	good := mustEncode(t, grow(t, newTestMetadata(t), 2))
	f := func(pattern, with, want string) {
		t.Helper()
		bad := regexp.MustCompile(pattern).ReplaceAllString(good, with)
		if bad == good {
			t.Fatalf("%s matches nothing in %s", pattern, good)
		}
		_, err := ParseMetadata([]byte(bad))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s → %s: error is %v, want %q in it", pattern, with, err, want)
		}
	}
	for _, key := range required {
		f(`"`+key+`":`, `"x":`, `"`+key+`"`)
	}
	f(`"format-version":2`, `"format-version":4`, "want 1, 2 or 3")
	f(`"format-version":2`, `"format-version":"2"`, "whole number")
	f(`"table-uuid":"[^"]*"`, `"table-uuid":"no"`, "table-uuid")
	f(`"table-uuid":"[^"]*"`, `"table-uuid":null`, "missing or null")
	f(`"table-uuid":"[^"]*"`, `"table-uuid":"00000000-0000-0000-0000-000000000000"`, "zero")
	f(`"location":"[^"]*"`, `"location":""`, "empty")
	f(`"current-schema-id":0`, `"current-schema-id":7`, "schema 7")
	f(`"default-spec-id":0`, `"default-spec-id":7`, "spec 7")
	f(`"current-snapshot-id":1002`, `"current-snapshot-id":1003`, "snapshot 1003")
	f(`"current-snapshot-id":1002`, `"current-snapshot-id":1001`, "ref main")
	f(`"current-snapshot-id":1002`, `"current-snapshot-id":-1`, "ref main")
	f(`"main":`, `"other":{"snapshot-id":5,"type":"tag"},"main":`, `ref "other"`)
	f(`"type":"branch"`, `"type":"twig"`, "branch or tag")
	f(`"snapshot-id":1001,"sequence`, `"snapshot-id":1002,"sequence`, "two snapshots")
	f(`"snapshot-id":1001,"sequence`, `"snapshot-id":0,"sequence`, "no snapshot-id")
	f(`"sequence-number":1,`, `"sequence-number":99,`, "above last-sequence-number")
	f(`"manifest-list":"[^"]*1.avro",`, ``, "no manifest-list")
	f(`"name":"log"`, `"name":5`, "want a string")
	f(`"id":2,`, `"id":1,`, "two columns have id 1")
	f(`"id":2,`, `"id":12345678901,`, "32 bits")
	f(`"required":true`, `"required":"yes"`, "true or false")
	f(`"firn.protocol":"1"`, `"firn.protocol":1`, "want a string")
	f(`"schemas":\[`, `"schemas":5,"x":[`, "want a JSON array")
	f(`"refs":\{`, `"refs":[],"x":{`, "want a JSON object")
	f(`\}$`, ``, "not JSON")
	if _, err := ParseMetadata([]byte(`{"format-version":9}`)); !errors.Is(err, ErrFormatVersion) {
		t.Errorf("error is %v, want ErrFormatVersion", err)
	}
	for _, bad := range []string{"", "[]", "5", "{}", `{"format-version":2}`, "null", `"x"`} {
		if _, err := ParseMetadata([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func FuzzParseMetadata(f *testing.F) {
	for _, data := range foreignMetadata(f) {
		f.Add(data)
	}
	f.Add([]byte(mustEncode(f, grow(f, newTestMetadata(f), 2))))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetadata(data)
		if err != nil {
			return
		}
		m.CurrentSnapshot()
		for _, s := range m.Schemas {
			s.highestID()
		}
		if m.FormatVersion == 1 {
			return
		}
		first := mustEncode(t, m)
		again, err := ParseMetadata([]byte(first))
		if err != nil {
			t.Fatalf("encoded metadata does not read back: %v\n%s", err, first)
		}
		if second := mustEncode(t, again); !bytes.Equal([]byte(first), []byte(second)) {
			t.Errorf("encoded again:\n%s\nwant\n%s", second, first)
		}
	})
}
