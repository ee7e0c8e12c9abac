package datafile

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// open opens a file with parquet-go's reader, which also reads the page indexes.
func open(t testing.TB, raw []byte) *parquet.File {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// pageBodies reports for each byte of a file whether it belongs to a page's compressed bytes.
func pageBodies(t testing.TB, raw []byte) []bool {
	t.Helper()
	in := make([]bool, len(raw))
	for _, g := range open(t, raw).Metadata().RowGroups {
		for _, c := range g.Columns {
			at := c.MetaData.DataPageOffset
			if d := c.MetaData.DictionaryPageOffset; d > 0 {
				at = d
			}
			for stop := at + c.MetaData.TotalCompressedSize; at < stop; {
				n, err := thriftLen(raw[at:], maxHeaderElements)
				if err != nil {
					t.Fatal(err)
				}
				var h format.PageHeader
				if err := decodeThrift(raw[at:at+int64(n)], &h); err != nil {
					t.Fatal(err)
				}
				at += int64(n)
				for end := at + int64(h.CompressedPageSize); at < end; at++ {
					in[at] = true
				}
			}
		}
	}
	return in
}

// TestPageIndex compares the page indexes with the rows of each page, and row groups and pages with their limits.
func TestPageIndex(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		b := randomBatch(t, 2500, rand.New(rand.NewPCG(seed, 6)))
		e, err := NewEncoder(wideSchema, small)
		if err != nil {
			t.Fatal(err)
		}
		var buf bytes.Buffer
		if _, err := e.Encode(&buf, b, nil); err != nil {
			t.Fatal(err)
		}
		f := open(t, buf.Bytes())
		columns := len(wideSchema.Fields)
		first, indexed := 0, 0
		for g, group := range f.Metadata().RowGroups {
			rows := int(group.NumRows)
			if size := rawBytes(b, first, first+rows, -1); size > small.RowGroupBytes && rows > 1 {
				t.Fatalf("seed %d: row group %d has %d bytes in %d rows", seed, g, size, rows)
			}
			for c := range columns {
				chunk := group.Columns[c]
				var offsets format.OffsetIndex
				var index format.ColumnIndex
				section(t, buf.Bytes(), chunk.OffsetIndexOffset, chunk.OffsetIndexLength, &offsets)
				section(t, buf.Bytes(), chunk.ColumnIndexOffset, chunk.ColumnIndexLength, &index)
				pages := offsets.PageLocations
				if chunk.ColumnIndexOffset == 0 { // left out: an upper bound has no short form
					if k := b.Cols[c].Kind; k != column.Bytes {
						t.Fatalf("seed %d: row group %d, column %d has no column index", seed, g, c)
					}
				} else {
					indexed++
				}
				for p, at := range pages {
					to := rows
					if p+1 < len(pages) {
						to = int(pages[p+1].FirstRowIndex)
					}
					lo, hi := first+int(at.FirstRowIndex), first+to
					v := &b.Cols[c]
					if size := rawBytes(b, lo, hi, c); size > small.PageBytes && hi-lo > 1 && !v.Const && chunk.MetaData.DictionaryPageOffset == 0 {
						t.Fatalf("seed %d: page of %d bytes in %d rows", seed, size, hi-lo)
					}
					var h format.PageHeader
					if err := decodeThrift(buf.Bytes()[at.Offset:], &h); err != nil {
						t.Fatal(err)
					}
					nulls := int64(0)
					for row := lo; row < hi; row++ {
						if v.Null(row) {
							nulls++
						}
					}
					if got := h.DataPageHeader.V.Statistics.NullCount; got != nulls {
						t.Fatalf("seed %d: the header of a page with %d nulls says %d", seed, nulls, got)
					}
					if chunk.ColumnIndexOffset != 0 {
						checkPage(t, index, p, b, c, lo, hi)
					}
				}
				if chunk.ColumnIndexOffset != 0 {
					checkOrder(t, index)
				}
			}
			first += rows
		}
		if first != b.Len || indexed == 0 {
			t.Fatalf("seed %d: %d rows in row groups, want %d; %d column indexes", seed, first, b.Len, indexed)
		}
	}
}

// section decodes a part of the page index; offset 0 says that there is none.
func section(t *testing.T, raw []byte, at int64, n int32, v any) {
	t.Helper()
	if at == 0 {
		return
	}
	if used, err := thriftLen(raw[at:at+int64(n)], maxFooterElements); err != nil || used != int(n) {
		t.Fatalf("page index of %d bytes: %d used, %v", n, used, err)
	}
	if err := decodeThrift(raw[at:at+int64(n)], v); err != nil {
		t.Fatal(err)
	}
}

// rawBytes counts the values' bytes of rows [lo, hi), of one column or (-1) of all that are not Const.
func rawBytes(b *column.Batch, lo, hi, only int) int {
	n := 0
	for c := range b.Cols {
		v := &b.Cols[c]
		if only >= 0 && c != only || only < 0 && v.Const {
			continue
		}
		for row := lo; row < hi; row++ {
			switch v.Kind {
			case column.Int32:
				n += 4
			case column.Int64:
				n += 8
			default:
				n += 4 + len(v.Bytes(row))
			}
		}
	}
	return n
}

func checkPage(t *testing.T, x format.ColumnIndex, p int, b *column.Batch, c, lo, hi int) {
	t.Helper()
	field, v := b.Schema.Fields[c], &b.Cols[c]
	nulls := 0
	for row := lo; row < hi; row++ {
		if v.Null(row) {
			nulls++
			continue
		}
		var value []byte
		switch v.Kind {
		case column.Int32:
			value = iceberg.EncodeInt(v.Int32(row))
		case column.Int64:
			value = iceberg.EncodeLong(v.Int64(row))
		default:
			value = v.Bytes(row)
		}
		low, _ := iceberg.CompareValues(field.Type, x.MinValues[p], value)
		high, _ := iceberg.CompareValues(field.Type, value, x.MaxValues[p])
		if low > 0 || high > 0 {
			t.Fatalf("column %q, page %d: %q lies outside %q to %q", field.Name, p, value, x.MinValues[p], x.MaxValues[p])
		}
	}
	if x.NullCounts[p] != int64(nulls) || x.NullPages[p] != (nulls == hi-lo) {
		t.Fatalf("column %q, page %d: %d nulls (page of nulls: %t), want %d of %d", field.Name, p, x.NullCounts[p], x.NullPages[p], nulls, hi-lo)
	}
}

// checkOrder holds a claimed order against the bytes of string bounds; numbers are compared by the encoder's own order.
func checkOrder(t *testing.T, x format.ColumnIndex) {
	t.Helper()
	var mins, maxs [][]byte
	for p := range x.NullPages {
		if !x.NullPages[p] {
			mins, maxs = append(mins, x.MinValues[p]), append(maxs, x.MaxValues[p])
		}
	}
	if len(mins) == 0 || len(mins[0]) == 4 || len(mins[0]) == 8 {
		return
	}
	switch x.BoundaryOrder {
	case format.Ascending:
		if !slices.IsSortedFunc(mins, bytes.Compare) || !slices.IsSortedFunc(maxs, bytes.Compare) {
			t.Fatalf("bounds do not rise: %q, %q", mins, maxs)
		}
	case format.Descending:
		slices.Reverse(mins)
		slices.Reverse(maxs)
		if !slices.IsSortedFunc(mins, bytes.Compare) || !slices.IsSortedFunc(maxs, bytes.Compare) {
			t.Fatalf("bounds do not fall: %q, %q", mins, maxs)
		}
	}
}

// TestOrder says what the pages' bounds do.
func TestOrder(t *testing.T) {
	f := func(want format.BoundaryOrder, pages ...bounds) {
		t.Helper()
		for _, k := range []column.Kind{column.Int64, column.Bytes} {
			var o order
			for _, p := range pages {
				p.low, p.top = []byte{byte(p.min)}, []byte{byte(p.max)}
				o.add(&p, k)
			}
			if got := o.boundary(); got != want {
				t.Errorf("kind %d, pages %v: %s, want %s", k, pages, got, want)
			}
		}
	}
	page := func(lo, hi int64) bounds { return bounds{any: true, min: lo, max: hi} }
	f(format.Unordered)
	f(format.Ascending, page(1, 2))
	f(format.Ascending, page(1, 2), page(1, 3), page(4, 4))
	f(format.Descending, page(5, 9), page(5, 8), page(1, 8))
	f(format.Unordered, page(1, 9), page(2, 8))
	f(format.Unordered, page(1, 2), page(3, 4), page(2, 5))
}
