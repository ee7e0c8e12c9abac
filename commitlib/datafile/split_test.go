package datafile

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
	"firn/perf/tier"
)

func spec(fields ...iceberg.PartitionField) iceberg.PartitionSpec {
	for i := range fields {
		fields[i].FieldID = iceberg.FirstPartitionFieldID + i
		fields[i].Name = fmt.Sprintf("f%d", i)
	}
	return iceberg.PartitionSpec{Fields: fields}
}

func field(source int, transform string) iceberg.PartitionField {
	return iceberg.PartitionField{SourceID: source, Transform: transform}
}

// keyOf is the tuple of one row as the row-at-a-time ApplyTransform has it, as a string.
func keyOf(t testing.TB, b *column.Batch, s iceberg.PartitionSpec, row int) string {
	t.Helper()
	var key strings.Builder
	for _, f := range s.Fields {
		src, _ := b.Schema.FieldByID(f.SourceID)
		v := b.Col(f.SourceID)
		var single []byte
		switch {
		case v.Null(row):
		case v.Kind == column.Int32:
			single = iceberg.EncodeInt(v.Int32(row))
		default:
			single = iceberg.EncodeLong(v.Int64(row))
		}
		out, err := iceberg.ApplyTransform(f.Transform, src.Type, single)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&key, "%v|", out)
	}
	return key.String()
}

// TestSplit compares with a map of rows by tuple, over random batches and every transform.
func TestSplit(t *testing.T) {
	specs := []iceberg.PartitionSpec{
		spec(),
		spec(field(1, "hour")),
		spec(field(8, "hour")),
		spec(field(1, "day"), field(900, "identity")),
		spec(field(8, "month"), field(6, "identity")),
		spec(field(1, "year")),
		spec(field(5, "identity"), field(1, "void"), field(8, "day")),
		spec(field(3, "identity")),
		spec(field(8, "identity")),
	}
	for seed := uint64(1); seed <= uint64(tier.Pick(45, 400, 4000)); seed++ {
		r := rand.New(rand.NewPCG(seed, 3))
		b := randomBatch(t, 1+r.IntN(5000), r)
		s := specs[seed%uint64(len(specs))]
		groups, err := Split(b, s)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want := map[string][]uint32{}
		for row := range b.Len {
			k := keyOf(t, b, s, row)
			want[k] = append(want[k], uint32(row))
		}
		if len(groups) != len(want) {
			t.Fatalf("seed %d: %d groups, want %d", seed, len(groups), len(want))
		}
		for i, g := range groups {
			if len(g.Partition) != len(s.Fields) {
				t.Fatalf("seed %d: group %d has %d partition values", seed, i, len(g.Partition))
			}
			var key strings.Builder
			for _, p := range g.Partition {
				fmt.Fprintf(&key, "%v|", p)
			}
			if !slices.Equal(g.Rows, want[key.String()]) {
				t.Fatalf("seed %d: group %q has rows %v, want %v", seed, key.String(), g.Rows, want[key.String()])
			}
			if i > 0 && compareTuples(t, b.Schema, s, groups[i-1].Partition, g.Partition) >= 0 {
				t.Fatalf("seed %d: group %d does not follow the one before", seed, i)
			}
		}
	}
}

func compareTuples(t testing.TB, schema *iceberg.Schema, s iceberg.PartitionSpec, a, b [][]byte) int {
	t.Helper()
	for i, f := range s.Fields {
		switch {
		case a[i] == nil && b[i] == nil:
			continue
		case a[i] == nil:
			return -1
		case b[i] == nil:
			return 1
		}
		src, _ := schema.FieldByID(f.SourceID)
		typ, err := iceberg.ResultType(f.Transform, src.Type)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := iceberg.CompareValues(typ, a[i], b[i]); err != nil || n != 0 {
			return n
		}
	}
	return 0
}

// TestSplitTimes places times around the edges of hours, before 1970 too.
func TestSplitTimes(t *testing.T) {
	const hour = 3_600_000_000
	b, err := column.New(&iceberg.Schema{Fields: []iceberg.Field{{ID: 1, Name: "t", Type: iceberg.TimestampTZ, Required: true}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, hour - 1, hour, -1, -hour, -hour - 1, 0, math.MinInt64, math.MaxInt64} {
		b.Cols[0].AppendInt64(at)
		b.Len++
	}
	groups, err := Split(b, spec(field(1, "hour")))
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		hour int32
		rows []uint32
	}{
		{math.MinInt32, []uint32{7}}, {-2, []uint32{5}}, {-1, []uint32{3, 4}}, {0, []uint32{0, 1, 6}}, {1, []uint32{2}}, {math.MaxInt32, []uint32{8}},
	}
	if len(groups) != len(want) {
		t.Fatalf("%d groups, want %d", len(groups), len(want))
	}
	for i, w := range want {
		if !bytes.Equal(groups[i].Partition[0], iceberg.EncodeInt(w.hour)) || !slices.Equal(groups[i].Rows, w.rows) {
			t.Errorf("group %d: %v %v, want hour %d %v", i, groups[i].Partition[0], groups[i].Rows, w.hour, w.rows)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	b := randomBatch(t, 5, rand.New(rand.NewPCG(1, 1)))
	f := func(name string, b *column.Batch, s iceberg.PartitionSpec) {
		t.Helper()
		if _, err := Split(b, s); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	f("bucket", b, spec(field(900, "bucket[16]")))
	f("unknown transform", b, spec(field(900, "moon phase")))
	f("hour of a long", b, spec(field(5, "hour")))
	f("identity of a string", b, spec(field(11, "identity")))
	f("source that is not there", b, spec(field(77, "identity")))
	short := *b
	short.Len++
	f("invalid batch", &short, spec())
	empty, _ := column.New(wideSchema)
	if groups, err := Split(empty, spec(field(1, "hour"))); err != nil || len(groups) != 0 {
		t.Errorf("no rows: %d groups, %v", len(groups), err)
	}
}

// scattered is the worst case: every row lies in another hour than the one before, over 8,736 hours.
func scattered(t testing.TB, n int) *column.Batch {
	b := events(t, n, counter, 9)
	times := b.Col(iceberg.FieldEventTime).Int64s
	r := rand.New(rand.NewPCG(9, 9))
	for i := range times {
		times[i] = firstTime + r.Int64N(8_736)*3_600_000_000
	}
	return b
}

// TestSplitMemory holds what Split allocates: 4 bytes a row, and little for each group.
func TestSplitMemory(t *testing.T) {
	const n = 50_000
	hourly := spec(field(iceberg.FieldEventTime, "hour"))
	f := func(name string, b *column.Batch, groups int) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		g, err := Split(b, hourly)
		runtime.ReadMemStats(&after)
		if err != nil || len(g) != groups {
			t.Fatalf("%s: %d groups, want %d: %v", name, len(g), groups, err)
		}
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(4*n+256*groups+64<<10); got > limit {
			t.Errorf("%s: %d bytes, want at most %d", name, got, limit)
		}
		if got, limit := after.Mallocs-before.Mallocs, uint64(3*groups+200); got > limit {
			t.Errorf("%s: %d allocations, want at most %d", name, got, limit)
		}
	}
	f("one hour", events(t, n, counter, 1), 1)
	hours := map[int64]bool{}
	b := scattered(t, n)
	for _, at := range b.Col(iceberg.FieldEventTime).Int64s {
		hours[at/3_600_000_000] = true
	}
	f("scattered", b, len(hours))
}

func BenchmarkSplit(b *testing.B) {
	const n = 200_000
	f := func(name string, batch *column.Batch, s iceberg.PartitionSpec) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(batch.Size()))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Split(batch, s); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/event")
		})
	}
	rising := events(b, n, counter, 1)
	f("none", rising, spec())
	f("hour/rising", rising, spec(field(iceberg.FieldEventTime, "hour")))
	f("month/rising", rising, spec(field(iceberg.FieldEventTime, "month")))
	f("hour+partition/rising", rising, spec(field(iceberg.FieldEventTime, "hour"), field(iceberg.FieldPartition, "identity")))
	f("hour/scattered", scattered(b, n), spec(field(iceberg.FieldEventTime, "hour")))
}
