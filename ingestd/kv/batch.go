package kv

import (
	"encoding/binary"
	"fmt"
)

// Batch collects operations in one arena, in RocksDB's write-batch representation, so that a whole group commit crosses
// into C in one call and nothing is allocated once the arena has grown:
//
//	8 bytes sequence (RocksDB's own, filled in by it) · 4 bytes count, little endian · records
//	record: tag · family (varint32) · key length (varint32) · key [· value length (varint32) · value]
//
// The zero Batch is ready to use. Keys and values are copied.
type Batch struct {
	rep   []byte
	count uint32
}

// Record tags of RocksDB's write batch (db/dbformat.h), those with a column family id; part of the released WAL format.
const (
	tagDelete = 0x4
	tagPut    = 0x5

	repHeader = 12 // sequence and count
)

func (b *Batch) record(tag byte, f Family, k []byte) {
	if len(b.rep) == 0 {
		b.rep = append(b.rep, make([]byte, repHeader)...)
	}
	b.rep = append(b.rep, tag)
	b.rep = binary.AppendUvarint(b.rep, uint64(f))
	b.bytes(k)
	b.count++
}

func (b *Batch) bytes(v []byte) {
	b.rep = binary.AppendUvarint(b.rep, uint64(len(v)))
	b.rep = append(b.rep, v...)
}

// Put sets k to v.
func (b *Batch) Put(f Family, k, v []byte) {
	b.record(tagPut, f, k)
	b.bytes(v)
}

// Delete removes k; it need not exist.
func (b *Batch) Delete(f Family, k []byte) { b.record(tagDelete, f, k) }

// Reset empties the batch and keeps its arena.
func (b *Batch) Reset() { b.rep, b.count = b.rep[:0], 0 }

// Len is the number of operations.
func (b *Batch) Len() int { return int(b.count) }

// Bytes is the size of what a Write sends to the write-ahead log.
func (b *Batch) Bytes() int { return len(b.rep) }

// Cap is the memory that the arena holds.
func (b *Batch) Cap() int { return cap(b.rep) }

// Rep is the batch in RocksDB's representation, valid until the next change of the batch.
func (b *Batch) Rep() []byte {
	if len(b.rep) == 0 {
		b.rep = append(b.rep, make([]byte, repHeader)...)
	}
	binary.LittleEndian.PutUint32(b.rep[8:], b.count)
	return b.rep
}

// op is one decoded operation; its slices point into the representation.
type op struct {
	tag    byte
	family Family
	key    []byte
	value  []byte // of a put
}

// each decodes a representation. It is what the twin replays, so that both stores read the same bytes.
func each(rep []byte, fn func(op)) error {
	if len(rep) < repHeader {
		return fmt.Errorf("decode write batch: %d bytes are no header", len(rep))
	}
	count := binary.LittleEndian.Uint32(rep[8:])
	r := rep[repHeader:]
	next := func() ([]byte, bool) {
		n, size := binary.Uvarint(r)
		if size <= 0 || n > uint64(len(r)-size) {
			return nil, false
		}
		v := r[size : size+int(n) : size+int(n)]
		r = r[size+int(n):]
		return v, true
	}
	var seen uint32
	for ; len(r) > 0; seen++ {
		o := op{tag: r[0]}
		f, size := binary.Uvarint(r[1:])
		if size <= 0 || f >= uint64(Families) {
			return fmt.Errorf("decode write batch: record %d names no family", seen)
		}
		o.family, r = Family(f), r[1+size:]
		ok := false
		if o.key, ok = next(); ok && o.tag == tagPut {
			o.value, ok = next()
		}
		if !ok || o.tag != tagDelete && o.tag != tagPut {
			return fmt.Errorf("decode write batch: record %d (tag %#x) is cut short or unknown", seen, o.tag)
		}
		fn(o)
	}
	if seen != count {
		return fmt.Errorf("decode write batch: %d records, header says %d", seen, count)
	}
	return nil
}
