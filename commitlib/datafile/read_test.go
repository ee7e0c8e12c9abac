package datafile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
	"firn/perf/tier"
)

func readFile(t *testing.T, name string, schema *iceberg.Schema) (*column.Batch, error) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".parquet"))
	if err != nil {
		t.Fatal(err)
	}
	return Read(bytes.NewReader(raw), int64(len(raw)), schema)
}

// TestReadForeignFiles reads files that PyArrow wrote (testdata/write.py): columns in another order and under other
// names, a nested one that is not asked for, one widened from int, one missing, several row groups.
func TestReadForeignFiles(t *testing.T) {
	schema := &iceberg.Schema{Fields: []iceberg.Field{
		{ID: 2, Name: "sequence", Type: iceberg.Long, Required: true},
		{ID: 3, Name: "partition", Type: iceberg.Int, Required: true},
		{ID: 4, Name: "event_time", Type: iceberg.TimestampTZ, Required: true},
		{ID: 6, Name: "idempotency_key", Type: iceberg.String},
		{ID: 7, Name: "payload", Type: iceberg.String, Required: true},
		{ID: 8, Name: "added later", Type: iceberg.Binary},
	}}
	for _, name := range []string{"zstd", "plain"} {
		b, err := readFile(t, name, schema)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if b.Len != 300 {
			t.Fatalf("%s: %d rows, want 300", name, b.Len)
		}
		for i := range b.Len {
			var key any
			if i%7 == 0 {
				key = fmt.Sprintf("key %d", i%3)
			}
			want := []any{int64(i + 1), int32(i%5 - 2), int64(i-150) * 1_000_003, key, fmt.Sprintf("payload %d ä", i), nil}
			for c := range want {
				if got := value(&b.Cols[c], i); got != want[c] {
					t.Fatalf("%s: row %d, column %q: %v, want %v", name, i, schema.Fields[c].Name, got, want[c])
				}
			}
		}
	}
	for name, says := range map[string]string{"snappy": "SNAPPY", "v2pages": "DATA_PAGE_V2", "delta": "DELTA_BINARY_PACKED"} {
		if _, err := readFile(t, name, schema); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error that names %s", name, err, says)
		}
	}
}

func TestReadRefusesSchemas(t *testing.T) {
	f := func(name string, field iceberg.Field) {
		t.Helper()
		if _, err := readFile(t, "zstd", &iceberg.Schema{Fields: []iceberg.Field{field}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	f("required column is missing", iceberg.Field{ID: 99, Name: "x", Type: iceberg.Int, Required: true})
	f("nulls in a required column", iceberg.Field{ID: 6, Name: "x", Type: iceberg.String, Required: true})
	f("long into int", iceberg.Field{ID: 4, Name: "x", Type: iceberg.Int})
	f("time as long", iceberg.Field{ID: 4, Name: "x", Type: iceberg.Long})
	f("int as time", iceberg.Field{ID: 2, Name: "x", Type: iceberg.TimestampTZ})
	f("string as binary", iceberg.Field{ID: 7, Name: "x", Type: iceberg.Binary})
	f("string as long", iceberg.Field{ID: 7, Name: "x", Type: iceberg.Long})
	f("type that Firn does not write", iceberg.Field{ID: 7, Name: "x", Type: "double"})
	if b, err := readFile(t, "zstd", &iceberg.Schema{Fields: []iceberg.Field{{ID: 51, Name: "x", Type: iceberg.Long}}}); err != nil || b.Cols[0].Nulls(b.Len) != b.Len {
		t.Errorf("a column inside a struct is none of the table's: %v", err)
	}
}

// sample is a small file of random columns: with nulls, dictionaries and several row groups where rows are 60.
func sample(t testing.TB, rows int) ([]byte, *column.Batch) {
	t.Helper()
	b := randomBatch(t, rows, rand.New(rand.NewPCG(1, 5)))
	e, err := NewEncoder(wideSchema, Config{Level: Fastest, RowGroupBytes: minPageBytes, PageBytes: minPageBytes})
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := e.Encode(&buf, b, nil); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), b
}

// TestReadDamaged flips a bit of each byte of a file (of each third in the quick tier), and cuts it there. Nothing
// panics; a file that still reads is valid, and where the damage lies in a page it never does.
func TestReadDamaged(t *testing.T) {
	good, b := sample(t, 60)
	got, err := Read(bytes.NewReader(good), int64(len(good)), wideSchema)
	if err != nil {
		t.Fatal(err)
	}
	if err := equalRows(b, nil, got); err != nil {
		t.Fatal(err)
	}
	bad, pages := bytes.Clone(good), pageBodies(t, good)
	for i := 0; i < len(good); i += tier.Pick(3, 1, 1) {
		bad[i] ^= 1 << (i % 8)
		got, err := read(bytes.NewReader(bad), int64(len(bad)), wideSchema, 1<<20)
		if err == nil {
			if err := got.Validate(); err != nil {
				t.Fatalf("byte %d: read an invalid batch: %v", i, err)
			}
			if pages[i] || i < len(magic) || i >= len(good)-8 {
				t.Fatalf("byte %d: damage of a page or of the file's frame went unseen", i)
			}
		}
		bad[i] = good[i]
		if _, err := read(bytes.NewReader(good[:i]), int64(i), wideSchema, 1<<20); err == nil {
			t.Fatalf("cut at byte %d: accepted", i)
		}
	}
}

// TestReadErrors passes on what the store says, and believes no size.
func TestReadErrors(t *testing.T) {
	good, _ := sample(t, 60)
	broken := errors.New("store is down")
	for after := range 12 {
		r := &failing{ReaderAt: bytes.NewReader(good), after: after, err: broken}
		if _, err := Read(r, int64(len(good)), wideSchema); !errors.Is(err, broken) {
			t.Fatalf("fault at read %d: %v, want %v", after, err, broken)
		}
	}
	if _, err := Read(bytes.NewReader(good), int64(len(good))+10, wideSchema); err == nil {
		t.Error("a size beyond the end was accepted")
	}
	if _, err := Read(bytes.NewReader(nil), 0, wideSchema); err == nil {
		t.Error("an empty file was accepted")
	}
	if _, err := read(bytes.NewReader(good), int64(len(good)), wideSchema, 1000); !errors.Is(err, ErrTooLarge) {
		t.Errorf("beyond the limit: %v, want ErrTooLarge", err)
	}
}

type failing struct {
	io.ReaderAt
	after int
	err   error
}

func (f *failing) ReadAt(p []byte, at int64) (int, error) {
	if f.after == 0 {
		return 0, f.err
	}
	f.after--
	return f.ReaderAt.ReadAt(p, at)
}

// FuzzRead: any bytes are an error or a valid batch within the limit, and what was read can be written and read again.
func FuzzRead(f *testing.F) {
	for _, rows := range []int{1, 5, 17} { // small: the fuzzer spends its time on shortening long ones
		raw, _ := sample(f, rows)
		f.Add(raw)
	}
	b := events(f, 3, counter, 1)
	e, err := NewEncoder(b.Schema, small)
	if err != nil {
		f.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := e.Encode(&buf, b, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	const limit = 4 << 20
	schemas := []*iceberg.Schema{wideSchema, b.Schema}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, schema := range schemas {
			got, err := read(bytes.NewReader(raw), int64(len(raw)), schema, limit)
			if err != nil {
				continue
			}
			if err := got.Validate(); err != nil {
				t.Fatal(err)
			}
			if got.Size() > limit {
				t.Fatalf("%d bytes, the limit is %d", got.Size(), limit)
			}
			if got.Len == 0 {
				continue
			}
			again, err := NewEncoder(schema, small)
			if err != nil {
				t.Fatal(err)
			}
			var buf bytes.Buffer
			if _, err := again.Encode(&buf, got, nil); err != nil {
				t.Fatal(err)
			}
			back, err := Read(bytes.NewReader(buf.Bytes()), int64(buf.Len()), schema)
			if err != nil {
				t.Fatal(err)
			}
			if err := equalRows(got, nil, back); err != nil {
				t.Fatal(err)
			}
		}
	})
}
