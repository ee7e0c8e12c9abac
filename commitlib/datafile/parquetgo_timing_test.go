package datafile

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"firn/commitlib/column"
)

// BenchmarkParquetGoWriter writes what BenchmarkEncode writes through parquet-go's own column writers, the way that was
// not taken: without field ids and manifest statistics, at the same zstd level.
func BenchmarkParquetGoWriter(b *testing.B) {
	for _, kind := range []payloadKind{counter, page, noise} {
		b.Run(kind.String(), func(b *testing.B) {
			const rows = 100_000
			batch := events(b, rows, kind, 1)
			group, names := parquet.Group{}, []string{}
			for i, f := range batch.Schema.Fields {
				node := parquet.String()
				switch batch.Cols[i].Kind {
				case column.Int32:
					node = parquet.Encoded(parquet.Int(32), &parquet.RLEDictionary)
				case column.Int64:
					node = parquet.Int(64)
				}
				if batch.Cols[i].Const {
					node = parquet.Encoded(node, &parquet.RLEDictionary)
				}
				if !f.Required {
					node = parquet.Optional(node)
				}
				group[f.Name] = node
				names = append(names, f.Name)
			}
			slices.Sort(names) // the order of a parquet.Group's columns
			var buf bytes.Buffer
			w := parquet.NewGenericWriter[any](&buf, parquet.NewSchema("table", group),
				parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}), parquet.PageBufferSize(1<<20), parquet.DataPageVersion(1))
			values := make([]parquet.Value, 0, 8192)
			b.SetBytes(int64(len(batch.Cols[len(batch.Cols)-1].Data)))
			b.ReportAllocs()
			for b.Loop() {
				buf.Reset()
				w.Reset(&buf)
				for i, f := range batch.Schema.Fields {
					at := slices.Index(names, f.Name)
					for lo := 0; lo < rows; lo += cap(values) {
						values = boxed(values[:0], &batch.Cols[i], lo, min(lo+cap(values), rows), at, f.Required)
						if _, err := w.ColumnWriters()[at].WriteRowValues(values); err != nil {
							b.Fatal(err)
						}
					}
				}
				if err := w.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mevents/s")
			b.ReportMetric(float64(buf.Len())/rows, "B/event")
		})
	}
}

// boxed turns rows of a vector into parquet-go's values.
func boxed(dst []parquet.Value, v *column.Vector, lo, hi, at int, required bool) []parquet.Value {
	level := 1
	if required {
		level = 0
	}
	for row := lo; row < hi; row++ {
		switch {
		case v.Null(row):
			dst = append(dst, parquet.NullValue().Level(0, 0, at))
		case v.Kind == column.Int32:
			dst = append(dst, parquet.Int32Value(v.Int32(row)).Level(0, level, at))
		case v.Kind == column.Int64:
			dst = append(dst, parquet.Int64Value(v.Int64(row)).Level(0, level, at))
		default:
			dst = append(dst, parquet.ByteArrayValue(v.Bytes(row)).Level(0, level, at))
		}
	}
	return dst
}

// TestParquetGoReads reads our file with parquet-go's own reader, which shares no page code with ours.
func TestParquetGoReads(t *testing.T) {
	b := events(t, 5_000, counter, 5)
	e, err := NewEncoder(b.Schema, small)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := e.Encode(&buf, b, nil); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	if err != nil {
		t.Fatal(err)
	}
	row := 0
	for _, g := range f.RowGroups() {
		rows := g.Rows()
		block := make([]parquet.Row, 500)
		for {
			n, _ := rows.ReadRows(block)
			if n == 0 {
				break
			}
			for _, r := range block[:n] {
				for c, x := range r {
					want := fmt.Sprint(value(&b.Cols[c], row))
					if got := x.String(); got != want && !(x.IsNull() && b.Cols[c].Null(row)) {
						t.Fatalf("row %d, column %d: %s, want %s", row, c, got, want)
					}
				}
				row++
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if row != b.Len {
		t.Fatalf("%d rows, want %d", row, b.Len)
	}
}
