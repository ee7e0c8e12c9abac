package column

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"firn/commitlib/iceberg"
)

// schema has a column of each kind, required and optional.
var schema = &iceberg.Schema{Fields: []iceberg.Field{
	{ID: 1, Name: "i", Type: iceberg.Int, Required: true},
	{ID: 2, Name: "l", Type: iceberg.Long},
	{ID: 3, Name: "s", Type: iceberg.String, Required: true},
	{ID: 4, Name: "b", Type: iceberg.Binary},
	{ID: 5, Name: "t", Type: iceberg.TimestampTZ},
}}

// row is the model of a row: nil is null.
type row [5]any

func randomRow(r *rand.Rand, nulls float64) row {
	x := row{int32(r.Uint32()), int64(r.Uint64()), []byte(strings.Repeat("x", r.IntN(4))), []byte{byte(r.Uint32()), 0xff}, int64(r.Uint64())}
	for _, i := range []int{1, 3, 4} {
		if r.Float64() < nulls {
			x[i] = nil
		}
	}
	return x
}

func appendRow(t *testing.T, b *Batch, x row) {
	t.Helper()
	for i := range b.Cols {
		v := &b.Cols[i]
		switch x := x[i].(type) {
		case nil:
			v.AppendNull()
		case int32:
			v.AppendInt32(x)
		case int64:
			v.AppendInt64(x)
		case []byte:
			if err := v.AppendBytes(x); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.Len++
}

func rowOf(b *Batch, i int) row {
	var x row
	for c := range b.Cols {
		v := &b.Cols[c]
		switch {
		case v.Null(i):
		case v.Kind == Int32:
			x[c] = v.Int32(i)
		case v.Kind == Int64:
			x[c] = v.Int64(i)
		default:
			x[c] = bytes.Clone(v.Bytes(i))
			if x[c].([]byte) == nil {
				x[c] = []byte{}
			}
		}
	}
	return x
}

func same(a, b row) bool { return fmt.Sprintf("%#v", a) == fmt.Sprintf("%#v", b) }

// TestAppend holds batches against rows kept apart, over reuse, nulls that start late, and Const sources.
func TestAppend(t *testing.T) {
	b, err := New(schema)
	if err != nil {
		t.Fatal(err)
	}
	src, _ := New(schema)
	joined, _ := New(schema)
	for seed := uint64(1); seed <= 40; seed++ {
		r := rand.New(rand.NewPCG(seed, 1))
		b.Reset()
		joined.Reset()
		var want []row
		for step := range 5 {
			src.Reset()
			nulls := []float64{0, 0, 0.3, 1, 0}[(step+int(seed))%5]
			var from []row
			for range r.IntN(200) {
				x := randomRow(r, nulls)
				from = append(from, x)
				appendRow(t, src, x)
			}
			if step == 3 && src.Len > 0 { // one value for all rows
				x := randomRow(r, 0.5)
				src.Cols[0].SetInt32(x[0].(int32))
				if x[1] == nil {
					src.Cols[1].SetNull()
				} else {
					src.Cols[1].SetInt64(x[1].(int64))
				}
				if err := src.Cols[2].SetBytes(x[2].([]byte)); err != nil {
					t.Fatal(err)
				}
				for i := range from {
					copy(from[i][:3], x[:3])
				}
			}
			if err := src.Validate(); err != nil {
				t.Fatalf("seed %d: source: %v", seed, err)
			}
			for i := range from {
				if got := rowOf(src, i); !same(got, from[i]) {
					t.Fatalf("seed %d: source row %d is %v, want %v", seed, i, got, from[i])
				}
			}
			lo := r.IntN(src.Len + 1)
			hi := lo + r.IntN(src.Len-lo+1)
			for c := range joined.Cols {
				if err := joined.Cols[c].Concat(b.Len, &src.Cols[c], lo, hi); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
			}
			if err := b.Append(src, lo, hi); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			joined.Len = b.Len
			if err := joined.Validate(); err != nil && joined.Len > 0 {
				t.Fatalf("seed %d, step %d: concatenated: %v", seed, step, err)
			}
			want = append(want, from[lo:hi]...)
		}
		if err := b.Validate(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if b.Len != len(want) {
			t.Fatalf("seed %d: %d rows, want %d", seed, b.Len, len(want))
		}
		nulls := [5]int{}
		for i := range want {
			if got := rowOf(b, i); !same(got, want[i]) {
				t.Fatalf("seed %d: row %d is %v, want %v", seed, i, got, want[i])
			}
			if got := rowOf(joined, i); !same(got, want[i]) {
				t.Fatalf("seed %d: concatenated row %d is %v, want %v", seed, i, got, want[i])
			}
			for c := range nulls {
				if want[i][c] == nil {
					nulls[c]++
				}
			}
		}
		for c := range b.Cols {
			if got := b.Cols[c].Nulls(b.Len); got != nulls[c] {
				t.Fatalf("seed %d: column %d counts %d nulls, want %d", seed, c, got, nulls[c])
			}
		}
		if b.Size() > b.Capacity() {
			t.Fatalf("seed %d: uses %d bytes of %d held", seed, b.Size(), b.Capacity())
		}
	}
}

// TestValidateRefuses damages a good batch in one place a row.
func TestValidateRefuses(t *testing.T) {
	f := func(name string, damage func(*Batch)) {
		t.Helper()
		b, _ := New(schema)
		r := rand.New(rand.NewPCG(7, 7))
		for range 70 {
			appendRow(t, b, randomRow(r, 0.2))
		}
		if err := b.Validate(); err != nil {
			t.Fatalf("%s: before: %v", name, err)
		}
		damage(b)
		if err := b.Validate(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	f("length", func(b *Batch) { b.Len++ })
	f("negative length", func(b *Batch) { b.Len = -1 })
	f("column missing", func(b *Batch) { b.Cols = b.Cols[:4] })
	f("no schema", func(b *Batch) { b.Schema = nil })
	f("kind", func(b *Batch) { b.Cols[0].Kind = Int64 })
	f("short values", func(b *Batch) { b.Cols[1].Int64s = b.Cols[1].Int64s[:69] })
	f("const with many values", func(b *Batch) { b.Cols[0].Const = true })
	f("ends fall", func(b *Batch) { b.Cols[3].Ends[5] = 1 << 31 })
	f("ends beyond data", func(b *Batch) { b.Cols[2].Data = b.Cols[2].Data[:len(b.Cols[2].Data)-1] })
	f("bytes behind the last end", func(b *Batch) { b.Cols[2].Data = append(b.Cols[2].Data, 0) })
	f("null in a required column", func(b *Batch) { b.Cols[0].Valid = []uint64{^uint64(0) - 1, ^uint64(0)} })
	f("short validity", func(b *Batch) { b.Cols[1].Valid = b.Cols[1].Valid[:1] })
}

// Concatenated Const vectors stay Const while their values are equal.
func TestConcatStaysConst(t *testing.T) {
	set := [](func(*Vector)){
		func(v *Vector) { v.Kind = Int32; v.SetInt32(4) },
		func(v *Vector) { v.Kind = Int32; v.SetInt32(5) },
		func(v *Vector) { v.Kind = Int32; v.SetNull() },
		func(v *Vector) { v.Kind = Int64; v.SetInt64(4) },
		func(v *Vector) { v.Kind = Int64; v.SetInt64(5) },
		func(v *Vector) { v.Kind = Bytes; _ = v.SetBytes([]byte("four")) },
		func(v *Vector) { v.Kind = Bytes; _ = v.SetBytes([]byte("five")) },
		func(v *Vector) { v.Kind = Bytes; v.SetNull() },
		func(v *Vector) { v.Kind = Bytes; _ = v.SetBytes(nil) },
	}
	for i, first := range set {
		for j, second := range set {
			var a, b, v Vector
			first(&a)
			second(&b)
			if v.Kind = a.Kind; a.Kind != b.Kind {
				if err := v.Concat(0, &b, 0, 1); err == nil {
					t.Errorf("kind %d was added to kind %d", b.Kind, v.Kind)
				}
				continue
			}
			for _, step := range []struct {
				src    *Vector
				rows   int
				lo, hi int
			}{{&a, 0, 3, 3}, {&a, 0, 2, 5}, {&b, 3, 7, 7}, {&a, 3, 0, 70}, {&b, 73, 0, 80}, {&a, 153, 4, 6}} {
				if err := v.Concat(step.rows, step.src, step.lo, step.hi); err != nil {
					t.Fatal(err)
				}
			}
			if v.Const != (i == j) {
				t.Errorf("values %d and %d: const %t", i, j, v.Const)
			}
			for row := range 155 {
				want := &a
				if row >= 73 && row < 153 {
					want = &b
				}
				got := Vector{Kind: v.Kind}
				if err := got.Append(&v, row, row+1); err != nil {
					t.Fatal(err)
				}
				if !got.equals(want) {
					t.Fatalf("values %d and %d: row %d is another", i, j, row)
				}
			}
		}
	}
}

// A Const vector of no rows, as a caller may set it ahead, leaves nothing of its value behind.
func TestConcatToConstOfNoRows(t *testing.T) {
	for name, set := range map[string]func(*Vector){
		"value": func(v *Vector) { _ = v.SetBytes([]byte("ahead")) },
		"null":  func(v *Vector) { v.SetNull() },
	} {
		v, src := Vector{Kind: Bytes}, Vector{Kind: Bytes}
		set(&v)
		for _, x := range []string{"a", "bc"} {
			if err := src.AppendBytes([]byte(x)); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Concat(0, &src, 0, 2); err != nil {
			t.Fatal(err)
		}
		if v.Const || v.slots() != 2 || string(v.Bytes(0)) != "a" || string(v.Bytes(1)) != "bc" || v.Nulls(2) != 0 {
			t.Errorf("%s: const %t, %d values, %q", name, v.Const, v.slots(), v.Data)
		}
	}
}

func TestNewRefusesForeignTypes(t *testing.T) {
	if _, err := New(&iceberg.Schema{Fields: []iceberg.Field{{ID: 1, Name: "d", Type: "decimal(9,2)"}}}); err == nil {
		t.Fatal("a decimal column was accepted")
	}
}

func TestAppendRefuses(t *testing.T) {
	a, _ := New(schema)
	b, _ := New(&iceberg.Schema{Fields: schema.Fields[:2]})
	if err := a.Append(b, 0, 0); err == nil {
		t.Error("another schema was accepted")
	}
	if err := a.Append(a, 0, 1); err == nil {
		t.Error("rows that are not there were accepted")
	}
	v, w := Vector{Kind: Bytes}, Vector{Kind: Int32}
	if err := v.Append(&w, 0, 0); err == nil {
		t.Error("another kind was accepted")
	}
}

func TestTooLarge(t *testing.T) {
	one := Vector{Kind: Bytes}
	if err := one.SetBytes(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	v := Vector{Kind: Bytes}
	if err := v.Append(&one, 0, 4097); !errors.Is(err, ErrTooLarge) {
		t.Fatalf("4 GiB and 1 MiB: %v, want ErrTooLarge", err)
	}
	if len(v.Ends) != 0 || len(v.Data) != 0 {
		t.Fatal("a refused append changed the vector")
	}
}
