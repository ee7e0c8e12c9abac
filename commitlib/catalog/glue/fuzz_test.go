package glue

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// FuzzEntry: whatever a service answers to GetTable, it is refused or makes an entry that can be written.
func FuzzEntry(f *testing.F) {
	for _, seed := range []string{
		`{"Name":"t","VersionId":"1","Parameters":{"table_type":"iceberg","metadata_location":"s3://b/x"},"StorageDescriptor":{"Columns":[{"Name":"a","Comment":"c"}]}}`,
		`{"Parameters":null,"StorageDescriptor":null,"TargetTable":{},"ViewOriginalText":""}`, `{}`, `null`, `[]`, ``,
		`{"StorageDescriptor":{"Columns":7,"Location":[]},"Owner":null,"Retention":1e400}`,
	} {
		f.Add([]byte(seed))
	}
	m := iceberg.NewMetadata(uuid.UUID{6: 0x40, 8: 0x80}, "s3://b/t", iceberg.EventSchema(iceberg.String), iceberg.PartitionSpec{}, map[string]string{"comment": "x", "a": "b"}, time.Unix(1, 0))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := newEntry(text)
		if err != nil {
			return
		}
		location, err := e.metadataLocation()
		if err == nil && location == "" {
			t.Error("no error and no location")
		}
		in := e.tableInput(catalog.Ident{Namespace: "d", Name: "t"}, "s3://b/next", location, m, m)
		body, err := json.Marshal(in)
		if err != nil {
			t.Fatalf("%q makes an entry that cannot be written: %v", text, err)
		}
		again, err := newEntry(body)
		if err != nil {
			t.Fatalf("%q makes an entry that cannot be read: %v\n%s", text, err, body)
		}
		if got, err := again.metadataLocation(); err != nil || got != "s3://b/next" {
			t.Errorf("%q: the entry written names %q: %v", text, got, err)
		}
	})
}

// FuzzColumnType: whatever the parser of metadata lets pass as a type is spelled somehow.
func FuzzColumnType(f *testing.F) {
	for _, seed := range []string{"long", "decimal(9, 2)", "fixed[16]", `{"type":"list","element":"int"}`, `{"type":"struct","fields":[{"name":"a","type":{}}]}`, `{"type":"map"`, `{"type":7}`, ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typ string) {
		if columnType(iceberg.Type(typ)) == "" && typ != "" && typ[0] != '(' {
			t.Errorf("%q is spelled as nothing", typ)
		}
	})
}

// FuzzAnswer: whatever is answered in place of a success is an error that says something.
func FuzzAnswer(f *testing.F) {
	f.Add(400, `{"__type":"com.amazonaws.glue#ThrottlingException","Message":"x"}`, "", "")
	f.Add(403, `{"message":"x"}`, "AccessDeniedException:http://internal", "Mon, 23 Nov 2026 06:00:00 GMT")
	f.Add(503, "<html>", "", "")
	f.Fuzz(func(t *testing.T, status int, body, code, date string) {
		header := http.Header{"X-Amzn-Errortype": {code}, "Date": {date}}
		a := newAnswer("GetTable", &http.Response{StatusCode: status, Header: header}, []byte(body), time.Unix(1_800_000_000, 0))
		if a.code == "" || a.Error() == "" {
			t.Errorf("%d %q says nothing", status, body)
		}
	})
}
