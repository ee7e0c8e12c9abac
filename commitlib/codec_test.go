package commitlib

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

func sample() *Request {
	return &Request{
		Version: Protocol, Table: catalog.Ident{Namespace: "default", Name: "clicks"},
		TableUUID: uuid.MustParse("0b64cbd3-5e9c-4a62-9c2c-1f6f1f3f7b10"), Location: "s3://bucket/wh/default/clicks",
		Log: uuid.MustParse("019365f0-1111-7abc-8def-0123456789ab"), First: 7, Last: 16,
		SchemaHash: "s", SpecID: 1, SpecHash: "p", StagedAt: time.UnixMilli(1_795_000_000_123).UTC(),
		Files: []iceberg.DataFile{
			{Path: "s3://bucket/wh/default/clicks/data/a.parquet", Partition: [][]byte{{1, 2, 3, 4}, nil}, RecordCount: 4, FileSizeInBytes: 100,
				ColumnSizes: map[int]int64{1: 10}, LowerBounds: map[int][]byte{2: {0}}, SplitOffsets: []int64{4}},
			{Path: "s3://bucket/wh/default/clicks/data/b.parquet", Partition: [][]byte{{}, nil}, RecordCount: 6, FileSizeInBytes: 100},
		},
	}
}

func TestRequestSurvivesTheQueue(t *testing.T) {
	want := sample()
	body, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(body)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v (%v), want %+v", got, err, want)
	}
	if bytes.Contains(body, []byte("clicks/data")) {
		t.Errorf("paths are not relative: %s", body)
	}
}

func TestInvalidRequestIsNotEncoded(t *testing.T) {
	f := func(want string, spoil func(r *Request)) {
		t.Helper()
		r := sample()
		spoil(r)
		if _, err := Encode(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	f("version 2 is not 1", func(r *Request) { r.Version = 2 })
	f("table name", func(r *Request) { r.Table.Name = "Clicks/.." })
	f("namespace", func(r *Request) { r.Table.Namespace = "" })
	f("table UUID is nil", func(r *Request) { r.TableUUID = uuid.Nil })
	f("not a version 7", func(r *Request) { r.Log = uuid.Nil })
	f("not a version 7", func(r *Request) { r.Log = r.TableUUID })
	f("range [0, 16]", func(r *Request) { r.First = 0 })
	f("range [17, 16]", func(r *Request) { r.First = 17 })
	f("range", func(r *Request) { r.Last = math.MaxInt64 + 1 })
	f("hold 10 records, the range [7, 15] holds 9", func(r *Request) { r.Last = 15 })
	f("hold 10 records, the range [1, 9223372036854775807]", func(r *Request) { r.First, r.Last = 1, math.MaxInt64 })
	f("schema -1", func(r *Request) { r.SchemaID = -1 })
	f("is not named", func(r *Request) { r.SpecHash = "" })
	f("staging time", func(r *Request) { r.StagedAt = time.Time{} })
	f("staging time", func(r *Request) { r.StagedAt = time.Unix(1<<50, 0) })
	f("has 0 files", func(r *Request) { r.Files = nil })
	f("files: want 1 to", func(r *Request) { r.Files = make([]iceberg.DataFile, MaxRequestFiles+1) })
	f("file 0: 0 records", func(r *Request) { r.Files[0].RecordCount = 0 })
	f("file 1: 6 records in -1 bytes", func(r *Request) { r.Files[1].FileSizeInBytes = -1 })
	f("hold", func(r *Request) { r.Files[0].RecordCount, r.Files[1].RecordCount = math.MaxInt64, math.MaxInt64 })
	f("named twice", func(r *Request) { r.Files[1].Path = r.Files[0].Path })
	for _, location := range []string{"", "/", "s3://", "wh/clicks", "s3://bucket/wh/", "s3://bucket/../other", "/wh/./clicks", "s3://b\n/x", "../x", "/../x"} {
		f("table location", func(r *Request) { r.Location = location })
	}
	for _, path := range []string{
		"", "data/x", "s3://bucket/wh/default/clicks", "s3://bucket/wh/default/clicks/", "s3://bucket/wh/default/clicks2/data/x",
		"s3://bucket/wh/default/clicks/../other/data/x", "s3://bucket/wh/default/clicks/data/../../x", "s3://bucket/wh/default/clicks//data/x",
		"s3://bucket/wh/default/clicks/metadata/x", "s3://bucket/wh/default/clicks/_firn/x", "s3://bucket/wh/default/clicks/x",
		"s3://bucket/wh/default/clicks/data/x/", "s3://bucket/wh/default/clicks/data/x\x00y",
	} {
		f("does not lie under the data", func(r *Request) { r.Files[1].Path = path })
	}
}

func TestBodyThatIsNoRequestIsRefused(t *testing.T) {
	good, err := Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	f := func(want, body string) {
		t.Helper()
		if r, err := Decode([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("body %.60q: got %+v, %v, want an error with %q", body, r, err, want)
		}
	}
	edit := func(from, to string) string {
		t.Helper()
		out := strings.Replace(string(good), from, to, 1)
		if out == string(good) {
			t.Fatalf("%q is not in %s", from, good)
		}
		return out
	}
	f("EOF", "")
	f("decode", "null")
	f("decode", "[]")
	f("decode", string(good[:len(good)-1]))
	f("more follows", string(good)+"{}")
	f("version 9 is not 1", edit(`"v":1`, `"v":9`))
	f("version 2 is not 1, the one this build speaks", edit(`"v":1`, `"v":2,"new_member":true`))
	f("unknown field", edit(`"v":1`, `"v":1,"new_member":true`))
	f("does not lie under", edit(`"data/a.parquet"`, `"../../other/a.parquet"`))
	f("does not lie under", edit(`"data/a.parquet"`, `"/data/a.parquet"`))
	f("decode", edit(`"first":7`, `"first":-7`))
	f("decode", edit(`"first":7`, `"first":7.5`))
	f("decode", edit(`"first":7`, `"first":1e30`))
	f("invalid UUID", edit(`"log":"0193`, `"log":"x193`))
	f("exceed", strings.Repeat(" ", MaxRequestBytes+1))
}

func TestLargestRequestFits(t *testing.T) {
	r := sample()
	r.Files = r.Files[:1]
	r.Files[0].RecordCount = 1
	for i := len(r.Files); i < MaxRequestFiles; i++ {
		f := r.Files[0]
		f.Path = fmt.Sprintf("s3://bucket/wh/default/clicks/data/event_time_hour=2026-11-23-06/%s-%020d.parquet", r.Log, i)
		r.Files = append(r.Files, f)
	}
	r.First, r.Last = 1, MaxRequestFiles
	body, err := Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Decode(body); err != nil || len(got.Files) != MaxRequestFiles {
		t.Fatalf("%d bytes: %v", len(body), err)
	}
}

func TestFingerprintsTellMeaningsApart(t *testing.T) {
	schema := iceberg.EventSchema(iceberg.String)
	seen := map[string]string{SchemaHash(schema): "the schema"}
	f := func(what string, change func(f *iceberg.Field)) {
		t.Helper()
		s := iceberg.EventSchema(iceberg.String)
		change(&s.Fields[6])
		if was, twice := seen[SchemaHash(s)]; twice {
			t.Errorf("%s has the fingerprint of %s", what, was)
		}
		seen[SchemaHash(s)] = what
	}
	f("another id", func(f *iceberg.Field) { f.ID = 70 })
	f("another name", func(f *iceberg.Field) { f.Name = "p" })
	f("another type", func(f *iceberg.Field) { f.Type = iceberg.Binary })
	f("not required", func(f *iceberg.Field) { f.Required = false })
	f("a name with quotes", func(f *iceberg.Field) { f.Name = `payload" "string` })

	same := iceberg.EventSchema(iceberg.String)
	same.ID, same.Fields[0].Doc = 5, "another"
	if SchemaHash(same) != SchemaHash(schema) {
		t.Error("schema id or documentation changed the fingerprint")
	}
	hour, _ := iceberg.EventSpec([]string{"hour"})
	day, _ := iceberg.EventSpec([]string{"day"})
	none, _ := iceberg.EventSpec([]string{"none"})
	if SpecHash(&hour) == SpecHash(&day) || SpecHash(&hour) == SpecHash(&none) {
		t.Error("specs share a fingerprint")
	}
}

func FuzzDecode(f *testing.F) {
	good, err := Encode(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"v":2}`))
	f.Add(bytes.Replace(good, []byte("data/a"), []byte("../a"), 1))
	f.Add(bytes.Replace(good, []byte(`"first":7`), []byte(`"first":18446744073709551615`), 1))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := Decode(body)
		if err != nil {
			return
		}
		again, err := Encode(r)
		if err != nil {
			t.Fatalf("decoded request does not encode: %v", err)
		}
		if r2, err := Decode(again); err != nil || !reflect.DeepEqual(r, r2) {
			t.Fatalf("not stable: %+v, %+v, %v", r, r2, err)
		}
		for _, f := range r.Files {
			if !strings.HasPrefix(f.Path, r.Location+"/") || strings.Contains(f.Path, "/../") || strings.HasSuffix(f.Path, "/..") {
				t.Fatalf("file %q escapes %q", f.Path, r.Location)
			}
		}
	})
}
