package zpage

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// plain makes a page of n literals and no match, in which symbols bytes occur, the first of them the most.
func plain(n, symbols int, r *rand.Rand) page {
	b := make([]byte, n)
	for i := range b {
		if b[i] = byte(r.IntN(symbols)); r.IntN(4) > 0 {
			b[i] /= 9
		}
	}
	return page{name: fmt.Sprintf("%d literals of %d", n, symbols), raw: b, rows: Rows{Stride: 8, First: n}}
}

// borders makes pages at each border of each form that a frame has.
func borders() (all []page) {
	r := rand.New(rand.NewPCG(9, 9))
	for _, n := range []int{1, 31, 32, 33, 63, 255, 256, 257, 1023, 1024, 1025, 4095, 4096, 16383, 16384, 16385, maxBlock - 1, maxBlock, maxBlock + 1} {
		for _, symbols := range []int{2, 3, 17, 100, 128, 129, 130, 256} {
			all = append(all, plain(n, symbols, r))
		}
		all = append(all,
			page{name: fmt.Sprintf("%d equal literals", n), raw: bytes.Repeat([]byte{7}, n), rows: Rows{Stride: 8, First: n}},
			page{name: fmt.Sprintf("%d equal", n), raw: bytes.Repeat([]byte{7}, n)},
			page{name: fmt.Sprintf("%d random", n), raw: random(n, r)})
		two := plain(n, 2, r)
		for i, x := range two.raw {
			two.raw[i] = -x // 0 and 255
		}
		all = append(all, two)
	}
	for _, n := range []int{1, 2, 63, 64, 127, 128, 129, 255, 256, 0x7eff, 0x7f00, 0x7fff, 0xffff} { // so many sequences
		all = append(all, numbers(fmt.Sprintf("%d sequences", n), 4, 0, n+1, func(i int, _ *rand.Rand) uint64 { return uint64(i & 0xff) }))
	}
	for _, n := range []int{255, 256, 65791, 65792, 65793, largestWhole, largestWhole + 1} { // frame headers
		all = append(all, page{name: fmt.Sprintf("size %d", n), raw: bytes.Repeat([]byte("sixteen letters."), n/16+1)[:n]})
	}
	for n := 1; n <= 64; n++ { // of each period
		all = append(all, page{name: fmt.Sprintf("period %d", n), raw: bytes.Repeat(random(n, r), 300/n+30)})
	}
	for _, far := range []int{window - 1, window, window + 1, 4, 70_000} { // how far a match reaches, across blocks
		for _, n := range []int{0, largestWhole} {
			if n > 0 && far != window && far != window+1 {
				continue // in a frame that has a window, only at its bound
			}
			raw := append(random(far, r), make([]byte, n)...)
			for i := 0; i < 3_000; i += 40 {
				raw = append(raw, raw[len(raw)-far:][:min(far, 39)]...)
				raw = append(raw, byte(r.Uint32()))
			}
			all = append(all, page{name: fmt.Sprintf("%d back behind %d", far, n), raw: raw})
		}
	}
	for _, head := range []int{0, 1, 2, 3, 65535, 65536, 65537, 100_000, maxBlock - 40} { // long literals, then a long match
		for _, back := range []int{1, 2, 3} {
			raw := random(head+back, r)
			for len(raw) < maxBlock {
				raw = append(raw, raw[len(raw)-back])
			}
			all = append(all, page{name: fmt.Sprintf("%d, then period %d", head, back), raw: raw})
		}
	}
	return all
}

// Every form is of RFC 8878, none is missing, and what other decoders make of each is what went in.
func TestForms(t *testing.T) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(largestWhole))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	got := forms{}
	var e Encoder
	var frame, back []byte
	for _, p := range append(borders(), pages()...) {
		if len(p.raw) > 1<<20 && len(p.rows.Starts) > 0 {
			continue // TestRoundTrip has it, and it has no other forms
		}
		frame = e.Append(frame[:0], p.raw, p.rows)
		if err := got.frame(frame, len(p.raw)); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		if back, err = d.DecodeAll(frame, back[:0]); err != nil || !bytes.Equal(back, p.raw) {
			t.Errorf("%s: %d bytes back of %d: %v", p.name, len(back), len(p.raw), err)
		}
	}
	for _, form := range []string{
		"frame 20", "frame 60", "frame a0", "frame 80", "block 0", "block 2",
		"literals 0/1", "literals 0/3", "literals 1/1", "literals 1/3", "literals 2/0", "literals 2/1", "literals 2/2", "literals 2/3",
		"literals 0 of 0", "literals 0 of 1", "literals 0 of 31", "literals 1 of 32", "literals 1 of 4095", "literals 1 of 4096",
		"literals 2 of 255", "literals 2 of 256", "literals 2 of 1023", "literals 2 of 1024", "literals 2 of 16383", "literals 2 of 16384",
		fmt.Sprintf("literals 2 of %d", maxBlock-1), fmt.Sprintf("literals 1 of %d", maxBlock), fmt.Sprintf("literals 2 of %d", maxBlock),
		"tree by halves", "tree by entropy",
		"sequences 0", "sequences 1", "sequences 127", "sequences 128", "sequences 32511", "sequences 32512", "sequences 32768",
		"sequences of 1 bytes", "sequences of 2 bytes", "sequences of 3 bytes",
		"literal mode 0", "literal mode 1", "literal mode 2", "offset mode 0", "offset mode 1", "offset mode 2", "match mode 0", "match mode 1", "match mode 2",
		"literal log 5", "literal log 9", "offset log 5", "offset log 8", "match log 5", "match log 9",
	} {
		if got[form] == 0 {
			t.Errorf("no page is written with %s", form)
		}
	}
}

// Rows that are wrong make a frame larger, and nothing else.
func TestWrongRows(t *testing.T) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	r := rand.New(rand.NewPCG(6, 6))
	text := texts("counter", 0, 3_000, counter).raw
	few := bytes.Repeat([]byte{1, 2, 3, 4, 9, 9, 9, 9, 5, 5, 5, 5, 5, 5, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0}, 7_000)
	var e Encoder
	f := func(raw []byte, rows Rows) {
		t.Helper()
		got := e.Append(nil, raw, rows)
		if back, err := d.DecodeAll(got, nil); err != nil || !bytes.Equal(back, raw) {
			t.Fatalf("stride %d, first %d, starts %d: %d bytes back of %d: %v", rows.Stride, rows.First, rows.Starts, len(back), len(raw), err)
		}
	}
	for _, raw := range [][]byte{nil, text[:7], text[:50], text, few} {
		n := len(raw)
		for _, stride := range []int{-8, -1, 0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 24, 1 << 40} {
			for _, first := range []int{-1 << 62, -9, -1, 0, 1, n - 1, n, n + 1, 1<<63 - 1} {
				f(raw, Rows{Stride: stride, First: first})
			}
		}
		for _, starts := range [][]uint32{{0}, {0, 0, 0}, {9, 4, 2}, {1<<32 - 1, 0, 5}, {1 << 31, 1<<31 + 24}, {uint32(n), uint32(n) + 24}, {24, 1<<32 - 1}} {
			f(raw, Rows{Starts: starts})
		}
		for range 50 {
			starts := make([]uint32, r.IntN(200))
			for i := range starts {
				starts[i] = r.Uint32N(uint32(n) + 9)
			}
			f(raw, Rows{Starts: starts})
		}
	}
}
