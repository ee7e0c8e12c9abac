package zpage

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// page is what an encoder is given.
type page struct {
	name string
	raw  []byte
	rows Rows
}

// texts makes a page of n values by fn, as Parquet's PLAIN has them, behind head bytes that are none.
func texts(name string, head, n int, fn func(i int, r *rand.Rand) []byte) page {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	p := page{name: name, raw: bytes.Repeat([]byte{3, 1}, head)[:head]}
	for i := range n {
		p.rows.Starts = append(p.rows.Starts, uint32(len(p.raw)))
		x := fn(i, r)
		p.raw = append(binary.LittleEndian.AppendUint32(p.raw, uint32(len(x))), x...)
	}
	return p
}

// numbers makes a page of n numbers by fn behind head bytes that are none.
func numbers(name string, width, head, n int, fn func(i int, r *rand.Rand) uint64) page {
	r := rand.New(rand.NewPCG(8, uint64(n)))
	p := page{name: name, raw: make([]byte, head), rows: Rows{Stride: width, First: head}}
	for i := range n {
		if x := fn(i, r); width == 8 {
			p.raw = binary.LittleEndian.AppendUint64(p.raw, x)
		} else {
			p.raw = binary.LittleEndian.AppendUint32(p.raw, uint32(x))
		}
	}
	return p
}

// random makes n bytes that are hard to compress.
func random(n int, r *rand.Rand) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func counter(i int, r *rand.Rand) []byte {
	return fmt.Appendf(nil, `{"n":%09d,"device":"sensor-%04d","temp":%2d.%02d,"id":"%016x"}`, i, r.IntN(5000), 10+r.IntN(20), r.IntN(100), r.Uint64())
}

func document(i int, r *rand.Rand) []byte {
	b := fmt.Appendf(nil, `{"event":"view","user":%d,"path":"/p/%d","steps":[`, r.IntN(1e6), r.IntN(2e4))
	for range r.IntN(12) {
		b = fmt.Appendf(b, `%d.%d,`, r.IntN(2000), r.IntN(1000))
	}
	return append(hex.AppendEncode(append(b, `],"trace":"`...), random(r.IntN(200), r)), `"}`...)
}

func aTime(i int, r *rand.Rand) uint64 {
	return 1_790_000_000_000_000 + uint64(i)*9_000 + uint64(r.IntN(5000))
}

// pages are made once for all tests.
var pages = sync.OnceValue(makePages)

func makePages() []page {
	all := []page{
		texts("counter", 0, 3_000, counter),
		texts("counter behind levels", 11, 3_000, counter),
		texts("document", 0, 2_000, document),
		texts("random", 0, 1_000, func(_ int, r *rand.Rand) []byte { return random(200, r) }),
		texts("empty", 0, 1_000, func(int, *rand.Rand) []byte { return nil }),
		texts("same", 0, 9_000, func(int, *rand.Rand) []byte { return []byte("the same again") }),
		texts("one byte", 0, 20_000, func(_ int, r *rand.Rand) []byte { return random(1, r) }),
		texts("beyond the window", 0, 5, func(int, *rand.Rand) []byte { return bytes.Repeat([]byte("a long value;"), 30_000) }),
		texts("twice a large value", 0, 2, func(int, *rand.Rand) []byte { return random(window, rand.New(rand.NewPCG(1, 1))) }),
		{name: "larger than one buffer", raw: bytes.Repeat(texts("", 0, 500, counter).raw, 240)},
		numbers("sequence", 8, 0, 50_000, func(i int, _ *rand.Rand) uint64 { return uint64(i) + 1 }),
		numbers("sequence behind levels", 8, 13, 50_000, func(i int, _ *rand.Rand) uint64 { return uint64(i) + 1 }),
		numbers("times", 8, 0, 50_000, func(i int, r *rand.Rand) uint64 {
			return 1_790_000_000_000_000 + uint64(i)*9_000 + uint64(r.IntN(5000))
		}),
		numbers("random 8", 8, 0, 20_000, func(_ int, r *rand.Rand) uint64 { return r.Uint64() }),
		numbers("equal runs", 8, 0, 40_000, func(i int, _ *rand.Rand) uint64 { return uint64(i/1000) << 40 }),
		numbers("random 4", 4, 5, 20_000, func(_ int, r *rand.Rand) uint64 { return uint64(r.Uint32()) }),
		numbers("small 4", 4, 0, 70_000, func(_ int, r *rand.Rand) uint64 { return uint64(r.IntN(100)) }),
		{name: "nothing"},
		{name: "zeros", raw: make([]byte, 300<<10)},
		{name: "no rows", raw: random(5_000, rand.New(rand.NewPCG(2, 2)))},
		{name: "hexadecimal", raw: []byte(fmt.Sprintf("%x", random(200_000, rand.New(rand.NewPCG(2, 3)))))},
	}
	for n := 0; n < 300; n += 1 + n/16 { // around each change of a header's form
		r := rand.New(rand.NewPCG(4, uint64(n)))
		all = append(all, page{name: fmt.Sprintf("random of %d", n), raw: random(n, r)})
		p := texts(fmt.Sprintf("counters %d", n), n%7, n, counter)
		p.raw = p.raw[:len(p.raw)-min(len(p.raw), r.IntN(30))] // rows that are cut short are no error
		all = append(all, p)
	}
	return all
}

// A decoder that others wrote gives back what went in, whatever the encoder had before; a page costs at most a few bytes
// more than it has.
func TestRoundTrip(t *testing.T) {
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var used Encoder
	for _, p := range pages() {
		got := used.Append([]byte("before"), p.raw, p.rows)
		if want := new(Encoder).Append([]byte("before"), p.raw, p.rows); !bytes.Equal(got, want) {
			t.Errorf("%s: a used encoder gives other bytes", p.name)
		}
		if most := len("before") + len(p.raw) + 20 + 3*(len(p.raw)/maxBlock+1); len(got) > most {
			t.Errorf("%s: %d bytes become %d", p.name, len(p.raw), len(got))
		}
		back, err := d.DecodeAll(got[len("before"):], nil)
		if err != nil || !bytes.Equal(back, p.raw) {
			t.Errorf("%s: %d bytes back of %d: %v", p.name, len(back), len(p.raw), err)
		}
	}
}

// An encoder that has seen 4 GiB starts its numbering again.
func TestNumberingStartsAgain(t *testing.T) {
	p := pages()[0]
	want := new(Encoder).Append(nil, p.raw, p.rows)
	e := new(Encoder)
	e.Append(nil, p.raw, p.rows)
	e.base = math.MaxUint32 - uint32(len(p.raw)) - 2
	for range 3 {
		if got := e.Append(nil, p.raw, p.rows); !bytes.Equal(got, want) {
			t.Fatalf("other bytes with numbers from %d", e.base)
		}
	}
}

// After the first page an encoder allocates nothing but what the page grows to.
func TestAllocations(t *testing.T) {
	var e Encoder
	dst := make([]byte, 0, 1<<20)
	for _, p := range pages()[:3] {
		e.Append(dst, p.raw, p.rows)
		if n := testing.AllocsPerRun(10, func() { e.Append(dst, p.raw, p.rows) }); n > 0 {
			t.Errorf("%s: %v allocations a page", p.name, n)
		}
	}
}

// Every distribution of symbols adds up to the number of states, and leaves none that occurs without one.
func TestShares(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for range 20_000 {
		kinds := 2 + r.IntN(52)
		count := make([]uint32, kinds)
		total := uint32(0)
		for i := range count {
			if i < 2 || i == kinds-1 || r.IntN(3) > 0 {
				count[i] = 1 + uint32(r.IntN(1<<r.IntN(15)))
			}
			total += count[i]
		}
		log := uint(7 + r.IntN(3))
		var got [64]int16
		shares(&got, count, total, log)
		sum := 0
		for i, n := range got[:kinds] {
			sum += int(n)
			if (n > 0) != (count[i] > 0) {
				t.Fatalf("of %v symbol %d has %d states", count, i, n)
			}
		}
		if sum != 1<<log {
			t.Fatalf("of %v: %d states, want %d", count, sum, 1<<log)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, p := range pages() {
		if len(p.raw) < 4<<10 {
			f.Add(p.raw, uint8(p.rows.Stride), uint16(p.rows.First), uint16(90))
		}
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(d.Close)
	var e Encoder
	f.Fuzz(func(t *testing.T, raw []byte, stride uint8, first, every uint16) {
		rows := Rows{First: int(first)}
		switch {
		case stride%4 == 1:
			rows.Stride = 4
		case stride%4 == 2:
			rows.Stride = 8
		default:
			for at := int(first); at < len(raw); at += 1 + int(every) {
				rows.Starts = append(rows.Starts, uint32(at))
			}
		}
		for _, src := range [][]byte{raw, slices.Repeat(raw, 1+int(every)%50)} {
			got := e.Append(nil, src, rows)
			if back, err := d.DecodeAll(got, nil); err != nil || !bytes.Equal(back, src) {
				t.Fatalf("%d bytes back of %d: %v", len(back), len(src), err)
			}
		}
	})
}
