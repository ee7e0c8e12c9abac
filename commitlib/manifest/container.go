package manifest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// An Avro object container file is: the magic, a map of metadata, a sync marker of 16 bytes, and blocks of a count, a
// size, that many bytes (compressed), and the marker again.
const (
	magic      = "Obj\x01"
	syncLength = 16

	keySchema = "avro.schema"
	keyCodec  = "avro.codec"

	codecNull    = "null"
	codecDeflate = "deflate"
	codecSnappy  = "snappy"
	codecZstd    = "zstandard"
)

const (
	// maxExpanded bounds what the blocks of one file expand to, in bytes. Engines cut manifests at 8 MB compressed,
	// which expand tenfold at most; a file that is made to expand without end must not take the process's memory.
	maxExpanded = 128 << 20

	// maxRecords bounds the records of one file: a million entries take about 400 MB in memory.
	maxRecords = 1 << 20
)

// container is a file's header and what follows it.
type container struct {
	meta   map[string]string
	sync   []byte
	blocks []byte
}

func openContainer(data []byte) (container, error) {
	c := container{meta: map[string]string{}}
	if !bytes.HasPrefix(data, []byte(magic)) {
		return c, errors.New("it is not an Avro file")
	}
	d := decoder{b: data[len(magic):]}
	entry := &layout{kind: "bytes", least: 1}
	for d.err == nil {
		n := d.varint()
		if n < 0 {
			d.varint()
			n = -n
		}
		if n == 0 {
			break
		}
		for ; n != 0 && d.err == nil; n-- {
			key := string(d.bytes(entry))
			c.meta[key] = string(d.bytes(entry))
		}
	}
	c.sync = d.take(syncLength)
	c.blocks = d.b
	if d.err != nil {
		return c, fmt.Errorf("read its header: %w", d.err)
	}
	return c, nil
}

// each calls fn for every record, with d at its start. fn consumes the record.
func (c container) each(l *layout, fn func(d *decoder)) error {
	return c.eachBlock(l, fn, func(block, int) {})
}

// eachBlock is each that calls done after the records of each block, with the size to which the block expanded.
func (c container) eachBlock(l *layout, fn func(d *decoder), done func(b block, expanded int)) error {
	d := decoder{b: c.blocks}
	expanded, records := int64(0), int64(0)
	for n := 0; len(d.b) > 0; n++ {
		count := d.varint()
		packed := d.take(d.varint())
		sync := d.take(syncLength)
		if d.err == nil && !bytes.Equal(sync, c.sync) {
			d.err = errors.New("it does not end with the file's sync marker")
		}
		if d.err != nil {
			return fmt.Errorf("read block %d: %w", n, d.err)
		}
		plain, err := unpack(c.meta[keyCodec], packed, maxExpanded-expanded)
		if err != nil {
			return fmt.Errorf("read block %d: %w", n, err)
		}
		expanded += int64(len(plain))
		records += count
		if count < 0 || count > int64(len(plain)) || records > maxRecords {
			return fmt.Errorf("read block %d: it claims %d records in %d bytes; a file may have %d", n, count, len(plain), maxRecords)
		}
		body := decoder{b: plain}
		for i := range count {
			if fn(&body); body.err != nil {
				return fmt.Errorf("read record %d of block %d: %w", i, n, body.err)
			}
		}
		if len(body.b) > 0 {
			return fmt.Errorf("read block %d: %d bytes are left after its %d records", n, len(body.b), count)
		}
		done(block{count, packed}, len(plain))
	}
	return d.err
}

var errExpands = fmt.Errorf("the file expands to more than %d bytes", maxExpanded)

// unpack decompresses a block to at most most bytes.
func unpack(codec string, packed []byte, most int64) ([]byte, error) {
	switch codec {
	case "", codecNull:
		return packed, nil
	case codecDeflate:
		r := inflaters.Get().(io.ReadCloser)
		defer inflaters.Put(r)
		if err := r.(flate.Resetter).Reset(bytes.NewReader(packed), nil); err != nil {
			return nil, err
		}
		plain, err := io.ReadAll(io.LimitReader(r, most+1))
		if err == nil && int64(len(plain)) > most {
			err = errExpands
		}
		return plain, err
	case codecSnappy:
		const sum = 4 // bytes: a CRC-32 of the plain block, big-endian, follows it
		if len(packed) < sum {
			return nil, errShort
		}
		body, want := packed[:len(packed)-sum], binary.BigEndian.Uint32(packed[len(packed)-sum:])
		// The format expands at most 64-fold for a copy of three bytes; a length beyond it is a lie.
		n, err := s2.DecodedLen(body)
		if err != nil || int64(n) > most || n > 64*len(body) {
			return nil, fmt.Errorf("a snappy block claims %d bytes: %w", n, errExpands)
		}
		plain, err := s2.Decode(nil, body)
		if err == nil && crc32.ChecksumIEEE(plain) != want {
			err = errors.New("its checksum does not match")
		}
		return plain, err
	case codecZstd:
		r, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxExpanded), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		plain, err := io.ReadAll(io.LimitReader(r, most+1))
		if err == nil && int64(len(plain)) > most {
			err = errExpands
		}
		return plain, err
	}
	return nil, fmt.Errorf("codec %q is not one that Firn reads: want null, deflate, snappy or zstandard", codec)
}
