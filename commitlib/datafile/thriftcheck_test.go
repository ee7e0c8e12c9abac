package datafile

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go/format"
)

func TestThriftLenRefuses(t *testing.T) {
	f := func(name string, raw []byte, want string) {
		t.Helper()
		if n, err := thriftLen(raw, maxFooterElements); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d, %v, want an error with %q", name, n, err, want)
		}
	}
	f("nothing", nil, "ends early")
	f("no end", []byte{0x15, 2}, "ends early")
	f("string beyond the end", []byte{0x18, 5, 'a', 0}, "ends early")
	f("string of 2^63", []byte{0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0}, "ends early")
	f("varint without end", append([]byte{0x15}, bytes.Repeat([]byte{0xff}, 20)...), "ends early")
	f("list of 2^31 structs", []byte{0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0}, "too many")
	f("list that ends early", []byte{0x29, 0x2c, 0, 0x15}, "ends early")
	f("structs in structs", bytes.Repeat([]byte{0x1c}, 1000), "deeper")
	f("lists in lists", append([]byte{0x19}, bytes.Repeat([]byte{0x19}, 1000)...), "deeper")
	f("a map, which Parquet has none of", []byte{0x1b, 0, 0}, "unknown type")
	if n, err := thriftLen([]byte{0x11, 0x12, 0x13, 9, 0x15, 1, 0x17, 1, 2, 3, 4, 5, 6, 7, 8, 0x19, 0x21, 1, 2, 0x05, 40, 7, 0, 0xee}, 4); err != nil || n != 23 {
		t.Errorf("one of each: %d, %v, want 23", n, err)
	}
}

// TestLyingFooter: a footer that claims many columns in few bytes does not cost memory.
func TestLyingFooter(t *testing.T) {
	good, _ := sample(t, 60)
	meta := open(t, good).Metadata()
	for range maxFooterElements { // empty structs: a byte each in the file, hundreds in memory
		meta.RowGroups[0].Columns = append(meta.RowGroups[0].Columns, format.ColumnChunk{})
	}
	e, err := NewEncoder(wideSchema, small)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	buf.Write(good[:len(good)-8])
	e.begin(&buf)
	e.file.base = 0
	n, err := e.put(meta)
	if err != nil {
		t.Fatal(err)
	}
	buf.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)})
	buf.WriteString(magic)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Read(bytes.NewReader(buf.Bytes()), int64(buf.Len()), wideSchema); err == nil {
		t.Fatal("accepted")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(2*buf.Len())+1<<20 {
		t.Fatalf("%d bytes for a file of %d", got, buf.Len())
	}
}

// TestLyingPages: a page header's claims do not cost memory out of proportion.
func TestLyingPages(t *testing.T) {
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
