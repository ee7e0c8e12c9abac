package manifest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"firn/perf/tier"
)

// repacked returns the file with its blocks' bytes passed through fn and stored under a codec.
func repacked(t testing.TB, data []byte, codec string, pack func(plain []byte) []byte) []byte {
	t.Helper()
	c, err := openContainer(data)
	if err != nil {
		t.Fatal(err)
	}
	h := encoder{b: []byte(magic)}
	text := func(s string) {
		h.varint(int64(len(s)))
		h.b = append(h.b, s...)
	}
	h.varint(int64(len(c.meta)))
	for k, v := range c.meta {
		if k == keyCodec {
			v = codec
		}
		text(k)
		text(v)
	}
	h.varint(0)
	h.b = append(h.b, c.sync...)
	d := decoder{b: c.blocks}
	for len(d.b) > 0 {
		count := d.varint()
		plain, err := unpack(c.meta[keyCodec], d.take(d.varint()), maxExpanded)
		if err != nil {
			t.Fatal(err)
		}
		d.take(syncLength)
		packed := pack(plain)
		h.varint(count)
		h.varint(int64(len(packed)))
		h.b = append(append(h.b, packed...), c.sync...)
	}
	return h.b
}

func stored(plain []byte) []byte { return plain }

func TestEveryCodecIsRead(t *testing.T) {
	data := mustWrite(t, testSpec(t, "hour", "partition"), testEntries(300))
	want := describeAll(t, data)
	zw, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer zw.Close()
	for codec, pack := range map[string]func([]byte) []byte{
		codecNull:    stored,
		codecDeflate: deflated,
		codecSnappy: func(b []byte) []byte {
			return binary.BigEndian.AppendUint32(s2.EncodeSnappy(nil, b), crc32.ChecksumIEEE(b))
		},
		codecZstd: func(b []byte) []byte { return zw.EncodeAll(b, nil) },
	} {
		if got := describeAll(t, repacked(t, data, codec, pack)); got != want {
			t.Errorf("codec %s: entries differ", codec)
		}
	}
	if _, _, err := Read(repacked(t, data, "lzo", stored)); err == nil || !strings.Contains(err.Error(), `"lzo"`) {
		t.Errorf("an unknown codec gives %v", err)
	}
}

func describeAll(t *testing.T, data []byte) string {
	t.Helper()
	_, entries, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	l := ListEntry{SequenceNumber: 1, AddedSnapshotID: 1}
	if err := l.Inherit(entries); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range entries {
		describeEntry(&b, &entries[i])
	}
	return b.String()
}

func deflated(plain []byte) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(plain); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// A file that lies is refused, for memory of the order of what it holds.
func TestLiesCostNoMemory(t *testing.T) {
	spec := testSpec(t, "hour", "partition")
	good := repacked(t, mustWrite(t, spec, testEntries(1)), codecNull, stored)
	c, err := openContainer(good)
	if err != nil {
		t.Fatal(err)
	}
	header := good[:len(good)-len(c.blocks)]
	varints := func(ns ...int64) []byte {
		e := encoder{}
		for _, n := range ns {
			e.varint(n)
		}
		return e.b
	}
	with := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	block := func(count int64, plain []byte) []byte {
		return with(header, varints(count, int64(len(plain))), plain, c.sync)
	}
	const huge = 1 << 45
	start := varints(1)                                    // status
	path := with(start, []byte{0, 0, 0}, varints(0, huge)) // nulls, content, and a path without end
	for name, data := range map[string][]byte{
		"block length":           with(header, varints(1, huge)),
		"block length, greatest": with(header, varints(1, math.MaxInt64)),
		"block length below 0":   with(header, varints(1, -1), c.sync),
		"block count":            block(huge, []byte{1, 2, 3}),
		"block count below 0":    block(-huge, []byte{1, 2, 3}),
		"string length":          block(1, path),
		"wrong sync":             with(header, varints(0, 0), make([]byte, syncLength)),
		"bytes left over":        block(0, []byte{1}),
		"header's map":           with([]byte(magic), varints(huge)),
		"header's map, least":    with([]byte(magic), varints(math.MinInt64, 5)),
		"header's key":           with([]byte(magic), varints(1, huge)),
		"varint without end":     with([]byte(magic), bytes.Repeat([]byte{0xff}, 100)),
		"not avro":               []byte("PAR1"),
		"nothing":                nil,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := Read(data)
		_, listErr := ReadList(data)
		runtime.ReadMemStats(&after)
		if err == nil || listErr == nil {
			t.Errorf("%s: was read", name)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%s: took %d bytes", name, n)
		}
	}
}

func TestBombsAreRefused(t *testing.T) {
	const most = 1 << 16
	plain := make([]byte, most+1)
	zw, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer zw.Close()
	snappy := s2.EncodeSnappy(nil, plain)
	for codec, packed := range map[string][]byte{
		codecDeflate: deflated(plain),
		codecZstd:    zw.EncodeAll(plain, nil),
		codecSnappy:  binary.BigEndian.AppendUint32(snappy, crc32.ChecksumIEEE(plain)),
	} {
		if got, err := unpack(codec, packed, most+1); err != nil || len(got) != most+1 {
			t.Errorf("%s: %d bytes, %v, where there is room", codec, len(got), err)
		}
		if _, err := unpack(codec, packed, most); err == nil || !strings.Contains(err.Error(), "expands to more than") {
			t.Errorf("%s: a bomb gives %v", codec, err)
		}
	}
	lie := binary.BigEndian.AppendUint32(append(binary.AppendUvarint(nil, 1<<26), 0), 0)
	if _, err := unpack(codecSnappy, lie, maxExpanded); err == nil {
		t.Error("a snappy block that lies was read")
	}
}

// Many blocks that are each within the bound are refused once their sum is not.
func TestBombOfManyBlocksIsRefused(t *testing.T) {
	tier.Need(t, tier.CI) // it expands to the bound
	c, err := openContainer(mustWrite(t, testSpec(t, "hour", "partition"), testEntries(1)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := parse(`{"type":"record","name":"r","fields":[{"name":"a","type":"bytes"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	record := encoder{}
	record.varint(maxExpanded/8 - 8)
	record.b = append(record.b, make([]byte, maxExpanded/8-8)...)
	packed := deflated(record.b)
	block := encoder{}
	block.varint(1)
	block.varint(int64(len(packed)))
	block.b = append(append(block.b, packed...), c.sync...)
	read := 0
	c.blocks = bytes.Repeat(block.b, 10)
	err = c.each(l, func(d *decoder) { read++; d.skip(l) })
	if err == nil || !strings.Contains(err.Error(), "expands to more than") || read != 8 {
		t.Errorf("read %d blocks, then %v", read, err)
	}
}

// Cut between two blocks, a manifest is a good file of fewer entries; cut elsewhere it is refused. Its ListEntry tells
// in either case.
func TestCutManifestIsNoticed(t *testing.T) {
	spec := testSpec(t, "hour", "partition")
	entries := testEntries(200) // two blocks
	data := mustWrite(t, spec, entries)
	c, err := openContainer(data)
	if err != nil {
		t.Fatal(err)
	}
	header := len(data) - len(c.blocks)
	first := header + bytes.Index(c.blocks, c.sync) + syncLength
	l, err := Summarize(testSchema, spec, entries)
	if err != nil {
		t.Fatal(err)
	}
	l.SequenceNumber = 1
	cuts := []int{header, first}
	for n := range data {
		if n%397 == 0 || n > len(data)-100 || n > first-50 && n < first+50 {
			cuts = append(cuts, n)
		}
	}
	for _, n := range cuts {
		_, got, err := Read(data[:n])
		if well := n == header || n == first; well != (err == nil) || len(got) == len(entries) {
			t.Fatalf("%d of %d bytes gave %d entries, %v", n, len(data), len(got), err)
		}
		l.Length = int64(n)
		if _, _, err := l.Read(data[:n]); err == nil {
			t.Fatalf("%d of %d bytes were taken as whole", n, len(data))
		}
	}
	l.Length = int64(len(data))
	if _, got, err := l.Read(data); err != nil || len(got) != len(entries) {
		t.Errorf("the whole gives %d entries, %v", len(got), err)
	}
	if _, _, err := l.Read(append(data, 0)); err == nil {
		t.Error("a longer file was taken")
	}
}

func TestStrangeSchemasAreRefused(t *testing.T) {
	f := func(schema, want string) {
		t.Helper()
		_, err := parse(schema)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: error is %v, want %q in it", schema, err, want)
		}
	}
	record := func(fields string) string { return `{"type":"record","name":"r","fields":[` + fields + `]}` }
	field := func(typ string) string { return `{"name":"a","type":` + typ + `}` }
	f(`"int"`, "want a record")
	f(record(""), "not empty")
	f(record(field(`["null","int","string"]`)), "union other than null and one type")
	f(record(field(`["int","string"]`)), "union other than null and one type")
	f(record(field(`["null","r"]`)), "deeper")
	f(record(field(`{"type":"array","items":"null"}`)), "take no bytes")
	f(record(field(`{"type":"array","items":{"type":"fixed","name":"f","size":0}}`)), "take no bytes")
	f("{", "parse avro schema")
	// Each level holds the one before twice: few bytes of text, 2^14 parts.
	level := `{"type":"record","name":"r0","fields":[{"name":"a","type":"int"}]}`
	for i := range 7 {
		level = fmt.Sprintf(`{"type":"record","name":"r%d","fields":[{"name":"a","type":%s},{"name":"b","type":"r%d"},{"name":"c","type":"r%d"},{"name":"d","type":"r%d"},{"name":"e","type":"r%d"}]}`, i+1, level, i, i, i, i)
	}
	f(level, "parts")
}

func goldenFiles(f *testing.F, pattern string) {
	files, err := filepath.Glob("testdata/*/v*/" + pattern)
	if err != nil || len(files) < 3 {
		f.Fatalf("found %q, %v", files, err)
	}
	for _, name := range files {
		data := mustRead(f, name)
		f.Add(data)
		f.Add(repacked(f, data, codecNull, stored)) // where a changed byte reaches a value
	}
}

func FuzzRead(f *testing.F) {
	goldenFiles(f, "m*.avro")
	f.Add(repacked(f, mustWrite(f, testSpec(f, "hour", "partition"), testEntries(2)), codecNull, stored))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, entries, err := Read(data)
		if err != nil {
			return
		}
		l := ListEntry{SequenceNumber: 3, AddedSnapshotID: 4}
		if l.Inherit(entries) != nil {
			return
		}
		again, err := Write(h.Schema, h.Spec, entries)
		if err != nil {
			return // what others may write and Firn does not
		}
		if _, second, err := Read(again); err != nil || len(second) != len(entries) {
			t.Errorf("written again it reads as %d entries, %v; want %d", len(second), err, len(entries))
		}
	})
}

func FuzzReadList(f *testing.F) {
	goldenFiles(f, "list.avro")
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ReadList(data)
		if err != nil {
			return
		}
		again, err := WriteList(entries, 7, 6, math.MaxInt64)
		if err != nil {
			return
		}
		if second, err := ReadList(again); err != nil || len(second) != len(entries) {
			t.Errorf("written again it reads as %d entries, %v; want %d", len(second), err, len(entries))
		}
	})
}
