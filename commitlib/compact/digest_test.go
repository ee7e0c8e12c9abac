package compact

import (
	"testing"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// TestDigest: the order of rows and how they are cut into batches do not matter; any change of a value does, also one that
// leaves nulls, bounds and the values of each column by itself as they were.
func TestDigest(t *testing.T) {
	schema := &iceberg.Schema{Fields: []iceberg.Field{
		{ID: 1, Name: "a", Type: iceberg.Int}, {ID: 2, Name: "b", Type: iceberg.Long}, {ID: 3, Name: "c", Type: iceberg.String},
	}}
	type row struct {
		a int32
		b int64
		c string // "-" is null
	}
	of := func(batches ...[]row) *digest {
		d := newDigest(schema)
		for _, rows := range batches {
			b, err := column.New(schema)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				b.Cols[0].AppendInt32(r.a)
				b.Cols[1].AppendInt64(r.b)
				if r.c == "-" {
					b.Cols[2].AppendNull()
				} else if err := b.Cols[2].AppendBytes([]byte(r.c)); err != nil {
					t.Fatal(err)
				}
				b.Len++
			}
			d.add(b)
		}
		return d
	}
	rows := []row{{1, 10, "x"}, {2, 20, "y"}, {3, 30, "-"}, {4, 40, ""}, {1, 10, "x"}}
	want := of(rows)
	same := of([]row{rows[4], rows[3]}, []row{rows[2]}, []row{rows[0], rows[1]})
	if err := want.differs(same); err != nil {
		t.Errorf("in another order: %v", err)
	}
	changes := map[string]func(r []row) []row{
		"a row is gone":               func(r []row) []row { return r[1:] },
		"a row is another":            func(r []row) []row { r[1] = r[0]; return r },
		"two doubled, two gone":       func(r []row) []row { r[1], r[3] = r[0], r[2]; return r },
		"values of two rows exchange": func(r []row) []row { r[0].b, r[1].b = r[1].b, r[0].b; return r },
		"values of one row exchange":  func(r []row) []row { r[0].a, r[0].b = 10, 1; return r },
		"a null is empty":             func(r []row) []row { r[2].c, r[3].c = "", "-"; return r },
		"a bit":                       func(r []row) []row { r[1].c = "x"; return r },
	}
	for name, change := range changes {
		if err := want.differs(of(change(append([]row(nil), rows...)))); err == nil {
			t.Errorf("%s: it was not seen", name)
		}
	}
	// A column that is the same in all rows may be held as one value.
	b, err := column.New(schema)
	if err != nil {
		t.Fatal(err)
	}
	b.Len = 3
	b.Cols[0].SetInt32(7)
	b.Cols[1].SetInt64(8)
	b.Cols[2].SetNull()
	d := newDigest(schema)
	d.add(b)
	if err := d.differs(of([]row{{7, 8, "-"}, {7, 8, "-"}, {7, 8, "-"}})); err != nil {
		t.Errorf("as one value: %v", err)
	}
	f := iceberg.DataFile{
		RecordCount: 3, ValueCounts: map[int]int64{1: 3, 2: 3, 3: 3}, NullValueCounts: map[int]int64{1: 0, 2: 0, 3: 3},
		LowerBounds: map[int][]byte{1: iceberg.EncodeInt(7), 2: iceberg.EncodeLong(8)},
		UpperBounds: map[int][]byte{1: iceberg.EncodeInt(7), 2: iceberg.EncodeLong(8)},
	}
	if err := d.states(&f); err != nil {
		t.Errorf("its description: %v", err)
	}
	f.UpperBounds[2] = iceberg.EncodeLong(7)
	if err := d.states(&f); err == nil {
		t.Error("a bound inside the range was not seen")
	}
	f.UpperBounds[2], f.NullValueCounts[3] = iceberg.EncodeLong(9), 2
	if err := d.states(&f); err == nil {
		t.Error("a wrong count of nulls was not seen")
	}
}
