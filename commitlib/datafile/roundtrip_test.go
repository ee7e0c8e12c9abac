package datafile

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
	"firn/perf/tier"
)

// wideSchema has a column of each type, required and optional, with ids that are not places.
var wideSchema = &iceberg.Schema{ID: 3, Fields: []iceberg.Field{
	{ID: 11, Name: "s", Type: iceberg.String, Required: true},
	{ID: 4, Name: "s?", Type: iceberg.String},
	{ID: 7, Name: "b", Type: iceberg.Binary, Required: true},
	{ID: 2, Name: "b?", Type: iceberg.Binary},
	{ID: 900, Name: "i", Type: iceberg.Int, Required: true},
	{ID: 6, Name: "i?", Type: iceberg.Int},
	{ID: 5, Name: "l", Type: iceberg.Long, Required: true},
	{ID: 3, Name: "l?", Type: iceberg.Long},
	{ID: 1, Name: "t", Type: iceberg.TimestampTZ, Required: true},
	{ID: 8, Name: "t?", Type: iceberg.TimestampTZ},
}}

// value returns row i of v as a value that can be compared; nil is null.
func value(v *column.Vector, i int) any {
	switch {
	case v.Null(i):
		return nil
	case v.Kind == column.Int32:
		return v.Int32(i)
	case v.Kind == column.Int64:
		return v.Int64(i)
	}
	return string(v.Bytes(i))
}

// equalRows compares rows of want, chosen by rows, with all rows of got.
func equalRows(want *column.Batch, rows []uint32, got *column.Batch) error {
	n := want.Len
	if rows != nil {
		n = len(rows)
	}
	if err := got.Validate(); err != nil {
		return err
	}
	if got.Len != n {
		return fmt.Errorf("%d rows, want %d", got.Len, n)
	}
	for c := range want.Cols {
		for i := range n {
			row := i
			if rows != nil {
				row = int(rows[i])
			}
			if g, w := value(&got.Cols[c], i), value(&want.Cols[c], row); g != w {
				return fmt.Errorf("column %q row %d: %.80v, want %.80v", want.Schema.Fields[c].Name, i, g, w)
			}
		}
	}
	return nil
}

// shapes of a generated column's values: each takes another way through the encoder.
var shapes = []string{"const", "one value", "few", "runs", "dense", "extreme", "random"}

func fillColumn(t testing.TB, v *column.Vector, f iceberg.Field, n int, r *rand.Rand) {
	t.Helper()
	shape := shapes[r.IntN(len(shapes))]
	nulls := 0.0
	if !f.Required {
		nulls = []float64{0, 0.01, 0.5, 1}[r.IntN(4)]
	}
	if shape == "const" {
		switch {
		case nulls == 1:
			v.SetNull()
		case v.Kind == column.Int32:
			v.SetInt32(int32(r.Uint32()))
		case v.Kind == column.Int64:
			v.SetInt64(int64(r.Uint64()))
		default:
			if err := v.SetBytes([]byte(strings.Repeat("ä", r.IntN(40)))); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	base := int64(r.Uint64()) / 2
	for i := range n {
		if r.Float64() < nulls {
			v.AppendNull()
			continue
		}
		x := base
		switch shape {
		case "few":
			x += int64(r.IntN(10))
		case "runs":
			x += int64(i / 50)
		case "dense":
			x += int64(i)
		case "extreme":
			x = []int64{math.MinInt64, math.MaxInt64, math.MinInt32, math.MaxInt32, 0, -1}[r.IntN(6)]
		case "random":
			x = int64(r.Uint64())
		}
		switch v.Kind {
		case column.Int32:
			v.AppendInt32(int32(x))
		case column.Int64:
			v.AppendInt64(x)
		default:
			if err := v.AppendBytes(textOf(x, f.Type, r)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func textOf(x int64, t iceberg.Type, r *rand.Rand) []byte {
	switch {
	case x%11 == 0:
		return nil
	case t == iceberg.Binary && x%5 == 0:
		return bytes.Repeat([]byte{0xff}, int(uint64(x)%40)) // no upper bound above 16
	case x%7 == 0:
		return []byte(strings.Repeat("\U0010FFFF", 1+int(uint64(x)%20)))
	}
	return fmt.Appendf(nil, "value %d é %s", x, strings.Repeat("…", int(uint64(x)%30)))
}

func randomBatch(t testing.TB, n int, r *rand.Rand) *column.Batch {
	t.Helper()
	b, err := column.New(wideSchema)
	if err != nil {
		t.Fatal(err)
	}
	b.Len = n
	for i := range b.Cols {
		fillColumn(t, &b.Cols[i], wideSchema.Fields[i], n, r)
	}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}
	return b
}

// small cuts files into many pages and row groups.
var small = Config{Level: Fastest, RowGroupBytes: 20 << 10, PageBytes: minPageBytes}

// TestRoundTrip splits random batches, encodes every group with one encoder, and reads them back: equal rows,
// and bounds and counts that a plain loop over the rows confirms.
func TestRoundTrip(t *testing.T) {
	specs := []iceberg.PartitionSpec{
		{},
		{Fields: []iceberg.PartitionField{{SourceID: 1, FieldID: 1000, Name: "h", Transform: "hour"}}},
		{Fields: []iceberg.PartitionField{{SourceID: 8, FieldID: 1000, Name: "m", Transform: "month"}, {SourceID: 900, FieldID: 1001, Name: "i", Transform: "identity"}}},
		{Fields: []iceberg.PartitionField{{SourceID: 6, FieldID: 1000, Name: "i", Transform: "identity"}}},
	}
	encoders := map[string]*Encoder{}
	for name, cfg := range map[string]Config{"small": small, "default": Default(), "normal": {Level: Normal, RowGroupBytes: 64 << 10, PageBytes: 8 << 10}} {
		e, err := NewEncoder(wideSchema, cfg)
		if err != nil {
			t.Fatal(err)
		}
		encoders[name] = e
	}
	var buf bytes.Buffer
	for seed := uint64(1); seed <= uint64(tier.Pick(20, 100, 2000)); seed++ {
		r := rand.New(rand.NewPCG(seed, 2))
		b := randomBatch(t, 1+r.IntN(3000), r)
		groups, err := Split(b, specs[seed%uint64(len(specs))])
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if len(groups) > 200 {
			groups = groups[:200]
		}
		for name, e := range encoders {
			for g, group := range groups {
				buf.Reset()
				buf.WriteString("what was there before")
				before := buf.Len()
				d, err := e.Encode(&buf, b, group.Rows)
				if err != nil {
					t.Fatalf("seed %d, %s, group %d: %v", seed, name, g, err)
				}
				file := buf.Bytes()[before:]
				if d.FileSizeInBytes != int64(len(file)) {
					t.Fatalf("seed %d, %s, group %d: size %d, is %d", seed, name, g, d.FileSizeInBytes, len(file))
				}
				got, err := Read(bytes.NewReader(file), int64(len(file)), wideSchema)
				if err != nil {
					t.Fatalf("seed %d, %s, group %d: %v", seed, name, g, err)
				}
				if err := equalRows(b, group.Rows, got); err != nil {
					t.Fatalf("seed %d, %s, group %d: %v", seed, name, g, err)
				}
				if err := checkStatistics(d, b, group.Rows); err != nil {
					t.Fatalf("seed %d, %s, group %d: %v", seed, name, g, err)
				}
			}
		}
	}
}

// checkStatistics computes counts and bounds again, the slow way.
func checkStatistics(d iceberg.DataFile, b *column.Batch, rows []uint32) error {
	if d.RecordCount != int64(len(rows)) {
		return fmt.Errorf("%d records, want %d", d.RecordCount, len(rows))
	}
	for c, f := range b.Schema.Fields {
		v := &b.Cols[c]
		var values [][]byte
		for _, r := range rows {
			switch {
			case v.Null(int(r)):
			case v.Kind == column.Int32:
				values = append(values, iceberg.EncodeInt(v.Int32(int(r))))
			case v.Kind == column.Int64:
				values = append(values, iceberg.EncodeLong(v.Int64(int(r))))
			default:
				values = append(values, v.Bytes(int(r)))
			}
		}
		if d.ValueCounts[f.ID] != int64(len(rows)) || d.NullValueCounts[f.ID] != int64(len(rows)-len(values)) {
			return fmt.Errorf("column %q: %d values, %d nulls, want %d, %d", f.Name, d.ValueCounts[f.ID], d.NullValueCounts[f.ID], len(rows), len(rows)-len(values))
		}
		lower, hasLower := d.LowerBounds[f.ID]
		upper, hasUpper := d.UpperBounds[f.ID]
		if len(values) == 0 {
			if hasLower || hasUpper {
				return fmt.Errorf("column %q: bounds without values", f.Name)
			}
			continue
		}
		compare := func(x, y []byte) int {
			n, err := iceberg.CompareValues(f.Type, x, y)
			if err != nil {
				panic(err)
			}
			return n
		}
		want, wantUpper := iceberg.TruncateLower(f.Type, slices.MinFunc(values, compare)), slices.MaxFunc(values, compare)
		wantUpper, ok := iceberg.TruncateUpper(f.Type, wantUpper)
		if !hasLower || !bytes.Equal(lower, want) {
			return fmt.Errorf("column %q: lower bound %q, want %q", f.Name, lower, want)
		}
		if hasUpper != ok || ok && !bytes.Equal(upper, wantUpper) {
			return fmt.Errorf("column %q: upper bound %q (%t), want %q (%t)", f.Name, upper, hasUpper, wantUpper, ok)
		}
	}
	return nil
}

func TestEncodeRefuses(t *testing.T) {
	b := events(t, 10, counter, 1)
	e, err := NewEncoder(b.Schema, Default())
	if err != nil {
		t.Fatal(err)
	}
	f := func(name string, b *column.Batch, rows []uint32, want error) {
		t.Helper()
		var buf bytes.Buffer
		buf.WriteString("kept")
		if _, err := e.Encode(&buf, b, rows); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: error %v", name, err)
		}
		if buf.String() != "kept" {
			t.Errorf("%s: left %d bytes behind", name, buf.Len()-4)
		}
	}
	empty, _ := column.New(b.Schema)
	f("no rows", empty, nil, ErrNoRows)
	f("no rows chosen", b, []uint32{}, ErrNoRows)
	f("rows fall", b, []uint32{0, 2, 1, 3}, nil)
	f("a row twice", b, []uint32{1, 1}, nil)
	f("a row beyond the batch", b, []uint32{9, 10}, nil)
	f("another schema", randomBatch(t, 3, rand.New(rand.NewPCG(1, 1))), nil, nil)
	swapped := *b
	swapped.Cols = slices.Clone(b.Cols)
	swapped.Cols[1], swapped.Cols[2] = swapped.Cols[2], swapped.Cols[1]
	f("kinds swapped", &swapped, nil, nil)
	var buf bytes.Buffer
	if _, err := e.Encode(&buf, b, nil); err != nil { // and goes on afterwards
		t.Fatal(err)
	}
}

func TestNewEncoderRefuses(t *testing.T) {
	f := func(name string, s *iceberg.Schema, cfg Config) {
		t.Helper()
		if _, err := NewEncoder(s, cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	one := func(id int, typ iceberg.Type) *iceberg.Schema {
		return &iceberg.Schema{Fields: []iceberg.Field{{ID: 1, Name: "a", Type: iceberg.Int}, {ID: id, Name: "b", Type: typ}}}
	}
	f("foreign type", one(2, "decimal(9,2)"), Default())
	f("id taken", one(1, iceberg.Int), Default())
	f("id 0", one(0, iceberg.Int), Default())
	f("no columns", &iceberg.Schema{}, Default())
	f("zero config", one(2, iceberg.Int), Config{})
	f("tiny pages", one(2, iceberg.Int), Config{Level: Fastest, RowGroupBytes: 1 << 20, PageBytes: 1})
	f("row group below a page", one(2, iceberg.Int), Config{Level: Fastest, RowGroupBytes: 1 << 12, PageBytes: 1 << 20})
}
