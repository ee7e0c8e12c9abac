package datafile

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// python finds the interpreter that has PyArrow and DuckDB.
func python(t *testing.T) string {
	t.Helper()
	path := os.Getenv("FIRN_PYTHON")
	if path == "" {
		path = filepath.Join("..", "..", ".venv", "bin", "python")
	}
	path, err := exec.LookPath(path)
	if err != nil {
		t.Skip("no Python with PyArrow and DuckDB: run `make venv`, or set FIRN_PYTHON")
	}
	return path
}

// foreign is what testdata/foreign.py prints.
type foreign struct {
	Records   int64   `json:"records"`
	Splits    []int64 `json:"splits"`
	CreatedBy string  `json:"created_by"`
	Columns   []struct {
		ID          int     `json:"id"`
		Name        string  `json:"name"`
		Type        string  `json:"type"`
		Required    bool    `json:"required"`
		Size        int64   `json:"size"`
		Values      int64   `json:"values"`
		Nulls       int64   `json:"nulls"`
		Lower       *string `json:"lower"`
		Upper       *string `json:"upper"`
		OffsetIndex bool    `json:"offset_index"`
	} `json:"columns"`
	Arrow  [][]*string `json:"arrow"`
	DuckDB [][]*string `json:"duckdb"`
}

// arrowTypes is what PyArrow calls Iceberg's types.
var arrowTypes = map[iceberg.Type]string{
	iceberg.Int: "int32", iceberg.Long: "int64", iceberg.String: "string", iceberg.Binary: "binary", iceberg.TimestampTZ: "timestamp[us, tz=UTC]",
}

// TestForeignReaders has PyArrow and DuckDB read what we write, row for row, and PyArrow recompute every statistic.
func TestForeignReaders(t *testing.T) {
	bin := python(t)
	f := func(name string, cfg Config, b *column.Batch, rows []uint32) {
		t.Run(name, func(t *testing.T) {
			e, err := NewEncoder(b.Schema, cfg)
			if err != nil {
				t.Fatal(err)
			}
			var buf bytes.Buffer
			d, err := e.Encode(&buf, b, rows)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "f.parquet")
			if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(bin, filepath.Join("testdata", "foreign.py"), path)
			cmd.Stderr = os.Stderr
			raw, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			var got foreign
			if err := json.Unmarshal(raw, &got); err != nil {
				t.Fatal(err)
			}
			compareForeign(t, &got, d, b)
			want := textRows(b, rows)
			compareText(t, "PyArrow", got.Arrow, want)
			compareText(t, "DuckDB", got.DuckDB, want)
		})
	}
	f("events", Default(), events(t, 20_000, counter, 1), nil)
	f("binary payloads", Default(), events(t, 500, noise, 1), nil)
	f("pages and row groups", small, events(t, 3_000, page, 2), nil)
	f("every third row", small, events(t, 3_000, page, 2), everyThird(3_000))
	f("one row", Default(), events(t, 1, counter, 1), nil)
	f("edges", small, edges(t), nil)
	for seed := uint64(1); seed <= 4; seed++ {
		b := randomBatch(t, 900, rand.New(rand.NewPCG(seed, 4)))
		for i := range b.Cols { // DuckDB's times end before the integers do
			if b.Schema.Fields[i].Type == iceberg.TimestampTZ {
				for j, x := range b.Cols[i].Int64s {
					b.Cols[i].Int64s[j] = min(max(x, -9e18), 9e18)
				}
			}
		}
		f(fmt.Sprintf("random %d", seed), small, b, nil)
	}
}

func everyThird(n int) []uint32 {
	var rows []uint32
	for i := 0; i < n; i += 3 {
		rows = append(rows, uint32(i))
	}
	return rows
}

// edges is a batch of values at the ends of what events can hold.
func edges(t testing.TB) *column.Batch {
	t.Helper()
	b, err := column.New(iceberg.EventSchema(iceberg.String))
	if err != nil {
		t.Fatal(err)
	}
	row := func(log string, seq int64, lane int32, at, received int64, key *string, payload string) {
		t.Helper()
		b.Cols[1].AppendInt64(seq)
		b.Cols[2].AppendInt32(lane)
		b.Cols[3].AppendInt64(at)
		b.Cols[4].AppendInt64(received)
		texts := []struct {
			v *column.Vector
			x string
		}{{&b.Cols[0], log}, {&b.Cols[6], payload}}
		if key == nil {
			b.Cols[5].AppendNull()
		} else {
			texts = append(texts, struct {
				v *column.Vector
				x string
			}{&b.Cols[5], *key})
		}
		for _, c := range texts {
			if err := c.v.AppendBytes([]byte(c.x)); err != nil {
				t.Fatal(err)
			}
		}
		b.Len++
	}
	empty, key := "", "order-4711"
	row("a", 1, math.MinInt32, -1, 0, nil, "")
	row("a", math.MaxInt64, math.MaxInt32, -62_135_596_800_000_000, 1, &empty, strings.Repeat("x", 1<<20)) // year 1; 1 MiB
	row("a", math.MinInt64, 0, 253_402_300_799_999_999, -3_600_000_001, &key, "\x00")                      // year 9999
	row("b", 0, -1, -86_400_000_000, 0, nil, strings.Repeat("\U0010FFFF", 17))
	row("", -1, 1, 0, 0, &key, "aaaaaaaaaaaaaaa\uD7FF…")
	row("", 7, 1, 0, 0, nil, strings.Repeat("ö", 16))
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	return b
}

func compareForeign(t *testing.T, got *foreign, d iceberg.DataFile, b *column.Batch) {
	t.Helper()
	if got.Records != d.RecordCount || !slices.Equal(got.Splits, d.SplitOffsets) || got.CreatedBy != createdBy {
		t.Errorf("records %d, splits %v, by %q; want %d, %v", got.Records, got.Splits, got.CreatedBy, d.RecordCount, d.SplitOffsets)
	}
	if len(got.Columns) != len(b.Schema.Fields) {
		t.Fatalf("%d columns, want %d", len(got.Columns), len(b.Schema.Fields))
	}
	for i, f := range b.Schema.Fields {
		c := got.Columns[i]
		if c.ID != f.ID || c.Name != f.Name || c.Required != f.Required || c.Type != arrowTypes[f.Type] || !c.OffsetIndex {
			t.Errorf("column %q arrives as %+v", f.Name, c)
		}
		if c.Size != d.ColumnSizes[f.ID] || c.Values != d.ValueCounts[f.ID] || c.Nulls != d.NullValueCounts[f.ID] {
			t.Errorf("column %q: size %d, values %d, nulls %d; the manifest would say %d, %d, %d",
				f.Name, c.Size, c.Values, c.Nulls, d.ColumnSizes[f.ID], d.ValueCounts[f.ID], d.NullValueCounts[f.ID])
		}
		compareBound(t, f.Name+", lower", c.Lower, d.LowerBounds, f.ID)
		compareBound(t, f.Name+", upper", c.Upper, d.UpperBounds, f.ID)
	}
}

func compareBound(t *testing.T, name string, want *string, bounds map[int][]byte, id int) {
	t.Helper()
	got, ok := bounds[id]
	if ok != (want != nil) || ok && hex.EncodeToString(got) != *want {
		t.Errorf("bound of %s: %x (%t), want %v", name, got, ok, want)
	}
}

// textRows prints rows as testdata/foreign.py does.
func textRows(b *column.Batch, rows []uint32) [][]*string {
	if rows == nil {
		for i := range b.Len {
			rows = append(rows, uint32(i))
		}
	}
	out := make([][]*string, len(rows))
	for i, r := range rows {
		for c, f := range b.Schema.Fields {
			v := &b.Cols[c]
			var text string
			switch {
			case v.Null(int(r)):
				out[i] = append(out[i], nil)
				continue
			case v.Kind == column.Int32:
				text = strconv.Itoa(int(v.Int32(int(r))))
			case v.Kind == column.Int64:
				text = strconv.FormatInt(v.Int64(int(r)), 10)
			case f.Type == iceberg.Binary:
				text = hex.EncodeToString(v.Bytes(int(r)))
			default:
				text = string(v.Bytes(int(r)))
			}
			out[i] = append(out[i], &text)
		}
	}
	return out
}

func compareText(t *testing.T, reader string, got, want [][]*string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", reader, len(got), len(want))
	}
	for i := range want {
		same := slices.EqualFunc(got[i], want[i], func(a, b *string) bool {
			return (a == nil) == (b == nil) && (a == nil || *a == *b)
		})
		if !same {
			t.Fatalf("%s: row %d differs: %s, want %s", reader, i, show(got[i]), show(want[i]))
		}
	}
}

func show(row []*string) string {
	var b strings.Builder
	for _, x := range row {
		if x == nil {
			b.WriteString("null ")
			continue
		}
		fmt.Fprintf(&b, "%.60q ", *x)
	}
	return b.String()
}
