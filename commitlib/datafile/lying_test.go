package datafile

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// refoot gives a file's pages another footer.
func refoot(t *testing.T, pages []byte, meta *format.FileMetaData) []byte {
	t.Helper()
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), meta)
	if err != nil {
		t.Fatal(err)
	}
	raw := append(bytes.Clone(pages), footer...)
	return append(binary.LittleEndian.AppendUint32(raw, uint32(len(footer))), magic...)
}

// refused reads a file that must be refused, with an error that says want, and within 1 MiB beside twice its size.
func refused(t *testing.T, raw []byte, schema *iceberg.Schema, want string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Read(bytes.NewReader(raw), int64(len(raw)), schema)
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(2*len(raw))+1<<20 {
		t.Errorf("%d bytes of memory for a file of %d", got, len(raw))
	}
}

// TestLyingFooter: a footer that claims much in few bytes does not cost memory.
func TestLyingFooter(t *testing.T) {
	good, _ := sample(t, 60)
	pages := good[:len(good)-8]

	many := open(t, good).Metadata()
	for range maxFooterElements { // empty structs: a byte each in the file, hundreds in memory
		many.RowGroups[0].Columns = append(many.RowGroups[0].Columns, format.ColumnChunk{})
	}
	refused(t, refoot(t, pages, many), wideSchema, "too many list elements")

	overlap := open(t, good).Metadata()
	for g := range overlap.RowGroups { // each column chunk claims all of the file: it would be read a hundred times
		for c := range overlap.RowGroups[g].Columns {
			m := &overlap.RowGroups[g].Columns[c].MetaData
			if m.DictionaryPageOffset == 0 {
				m.TotalCompressedSize = int64(len(pages)) - m.DataPageOffset
			}
		}
	}
	refused(t, refoot(t, pages, overlap), wideSchema, "lie outside")

	rows := open(t, good).Metadata()
	rows.RowGroups[0].NumRows = 1 << 40
	refused(t, refoot(t, pages, rows), wideSchema, "damaged")
}

// TestLyingPage: a page header that claims much in few bytes does not cost memory.
func TestLyingPage(t *testing.T) {
	b := events(t, 100, counter, 1)
	schema := &iceberg.Schema{Fields: b.Schema.Fields[1:2]}
	e, err := NewEncoder(schema, small)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := e.Encode(&buf, &column.Batch{Schema: schema, Len: b.Len, Cols: b.Cols[1:2]}, nil); err != nil {
		t.Fatal(err)
	}
	raw := buf.Bytes()
	f := func(want string, lie func(h *format.PageHeader)) {
		t.Helper()
		meta := open(t, raw).Metadata()
		m := &meta.RowGroups[0].Columns[0].MetaData
		n, err := thriftLen(raw[m.DataPageOffset:], maxHeaderElements)
		if err != nil {
			t.Fatal(err)
		}
		var h format.PageHeader
		if err := decodeThrift(raw[m.DataPageOffset:m.DataPageOffset+int64(n)], &h); err != nil {
			t.Fatal(err)
		}
		lie(&h)
		header, err := thrift.Marshal(new(thrift.CompactProtocol), &h)
		if err != nil {
			t.Fatal(err)
		}
		pages := append(append(bytes.Clone(raw[:m.DataPageOffset]), header...), raw[m.DataPageOffset+int64(n):m.DataPageOffset+m.TotalCompressedSize]...)
		m.TotalCompressedSize += int64(len(header) - n)
		refused(t, refoot(t, pages, meta), schema, want)
	}
	f("claims to hold", func(h *format.PageHeader) { h.UncompressedPageSize = 1 << 29 })
	f("decompress", func(h *format.PageHeader) { h.UncompressedPageSize -= 8 })
	f("not", func(h *format.PageHeader) { h.UncompressedPageSize += 8 })
	f("damaged", func(h *format.PageHeader) { h.UncompressedPageSize = -1 })
	f("damaged", func(h *format.PageHeader) { h.CompressedPageSize = 1 << 29 })
	f("checksum", func(h *format.PageHeader) { h.CRC ^= 1 })
	f("damaged", func(h *format.PageHeader) { h.DataPageHeader.V.NumValues = 1 << 30 })
	f("damaged", func(h *format.PageHeader) { h.DataPageHeader.V.NumValues = -1 })
	f("dictionary", func(h *format.PageHeader) { h.DataPageHeader.V.Encoding = format.RLEDictionary })
	f("DELTA_BINARY_PACKED", func(h *format.PageHeader) { h.DataPageHeader.V.Encoding = format.DeltaBinaryPacked })
	f("INDEX_PAGE", func(h *format.PageHeader) { h.Type = format.IndexPage })
}

// TestLyingHeaders: whatever page headers and the footer claim, it does not cost memory out of proportion.
func TestLyingHeaders(t *testing.T) {
	b := events(t, 1, counter, 1)
	e, err := NewEncoder(b.Schema, small)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := e.Encode(&buf, b, nil); err != nil {
		t.Fatal(err)
	}
	raw := buf.Bytes()
	r := rand.New(rand.NewPCG(1, 9))
	pages := pageBodies(t, raw)
	var before, after runtime.MemStats
	for range 2000 {
		bad := bytes.Clone(raw)
		for range 1 + r.IntN(3) { // in headers: claims of sizes, counts and offsets
			if i := r.IntN(len(bad)); !pages[i] {
				bad[i] = byte(r.Uint32())
			}
		}
		runtime.ReadMemStats(&before)
		_, err := Read(bytes.NewReader(bad), int64(len(bad)), b.Schema)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; err != nil && got > 8<<20 {
			t.Fatalf("%d bytes for a damaged file of %d: %v", got, len(bad), err)
		}
	}
}
