package manifest

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"sync"
)

// blockBytes is where a block is cut, in bytes before compression: the reference implementation's size. Readers expand
// a block at a time.
const blockBytes = 64 << 10

// Compressors weigh half a megabyte and more, so they are kept: a new one for each file nearly doubled the time of a
// manifest of ten files (0.9 to 1.7 ms, on a busy host).
var (
	deflaters = sync.Pool{New: func() any {
		w, err := flate.NewWriter(io.Discard, flate.DefaultCompression)
		if err != nil {
			panic(err) // the level is a constant
		}
		return w
	}}
	inflaters = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}
)

// block is a block of a container file as it stands there: it does not depend on the file around it, so that it can be
// copied into another of the same schema and codec.
type block struct {
	count  int64 // records
	packed []byte
}

// packer writes a container file. Deflate is the codec that the specification's readers all have.
type packer struct {
	meta  []string // keys and values in turn
	open  encoder  // the records that no block holds yet
	count int64    // how many they are
	head  []byte   // the file's start, sync marker included; nil before the first block
	cuts  []block
}

// start writes the file's start. The sync marker is drawn from the header and the first block's records, so that equal
// input gives an equal file.
func (p *packer) start() {
	h := encoder{}
	h.b = append(h.b, magic...)
	h.varint(int64(len(p.meta) / 2))
	for _, s := range p.meta {
		h.varint(int64(len(s)))
		h.b = append(h.b, s...)
	}
	h.varint(0)
	sum := sha256.New()
	sum.Write(h.b)
	sum.Write(p.open.b)
	p.head = append(h.b, sum.Sum(nil)[:syncLength]...)
}

// record says that one more record stands in open, and cuts a block when that is full.
func (p *packer) record() error {
	p.count++
	if p.open.err == nil && len(p.open.b) >= blockBytes {
		return p.cut()
	}
	return p.open.err
}

func (p *packer) cut() error {
	if p.open.err != nil {
		return p.open.err
	}
	if p.head == nil {
		p.start()
	}
	if p.count == 0 {
		return nil
	}
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	var packed bytes.Buffer
	packed.Grow(len(p.open.b)/2 + 64)
	w.Reset(&packed)
	if _, err := w.Write(p.open.b); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	p.cuts = append(p.cuts, block{p.count, packed.Bytes()})
	p.open.b, p.count = p.open.b[:0], 0
	return nil
}

// finish returns the file: what was recorded, and after it the blocks of another file.
func (p *packer) finish(after []block) ([]byte, error) {
	if err := p.cut(); err != nil {
		return nil, err
	}
	size := len(p.head)
	for _, b := range p.cuts {
		size += b.fileBytes()
	}
	for _, b := range after {
		size += b.fileBytes()
	}
	out := append(make([]byte, 0, size), p.head...)
	sync := p.head[len(p.head)-syncLength:]
	for _, b := range p.cuts {
		out = b.appendTo(out, sync)
	}
	for _, b := range after {
		out = b.appendTo(out, sync)
	}
	return out, nil
}

// fileBytes is the most that a block takes in a file.
func (b block) fileBytes() int { return 2*binary.MaxVarintLen64 + len(b.packed) + syncLength }

func (b block) appendTo(out, sync []byte) []byte {
	e := encoder{b: out}
	e.varint(b.count)
	e.varint(int64(len(b.packed)))
	return append(append(e.b, b.packed...), sync...)
}
