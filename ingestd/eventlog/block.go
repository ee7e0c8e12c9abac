package eventlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"sync"

	"github.com/klauspost/compress/s2"

	"firn/commitlib/column"
)

// A block is one append's events: a header that the writer patches, the compressed columns, and, where some rows were
// duplicates, a bitmap of the rows that were dropped (encoding the rest again would cost the writer a decompression).
// FORMAT.md has the layout; big endian.
const (
	blockVersion = 1

	codecPlain = 0
	codecS2    = 1

	offVersion = 0  // 1
	offCodec   = 1  // 1
	offZero    = 2  // 2, zero
	offSum     = 4  // 4, CRC32C of the rest of the header and the bitmap
	offTrack   = 8  // 4
	offFirst   = 12 // 8
	offRows    = 20 // 4, with dropped ones
	offDropped = 24 // 4
	offIngest  = 28 // 8, microseconds
	offRaw     = 36 // 4, bytes of the columns before compression
	offStored  = 40 // 4, bytes of the columns as stored
	offBodySum = 44 // 4, CRC32C of the columns as stored
	offBody    = 48
)

const (
	maxBlockRows = 1 << 24 // rows; what a block's bitmaps may cost in memory, and far beyond any request
	maxBlockRaw  = 1 << 30 // bytes before compression; the bound on a request is far lower
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// scratch lends the buffers of encoding and decoding.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the most, in bytes, that a pooled buffer keeps: larger ones are rare and left to the collector.
const maxScratch = 4 << 20

func release(buf *[]byte, b []byte) {
	if cap(b) <= maxScratch {
		*buf = b[:0]
		scratch.Put(buf)
	}
}

// encodeBlock turns a batch into a block in memory of its own, all but what place fills in: track, first
// sequence, dropped rows. The length before compression is what a segment's size is measured in.
func encodeBlock(b *column.Batch, ingest int64) (block []byte, rawBytes int, err error) {
	if b.Len == 0 || b.Len > maxBlockRows || b.Size() > maxBlockRaw/2 {
		return nil, 0, ErrTooLarge
	}
	rawBuf, outBuf := scratch.Get().(*[]byte), scratch.Get().(*[]byte)
	raw, out := encodeColumns((*rawBuf)[:0], b), *outBuf
	defer func() { release(rawBuf, raw); release(outBuf, out) }()
	if len(raw) > maxBlockRaw {
		return nil, 0, ErrTooLarge
	}
	if need := s2.MaxEncodedLen(len(raw)); cap(out) < need {
		out = make([]byte, need)
	}
	out = s2.Encode(out[:cap(out)], raw)
	body, codec := out, byte(codecS2)
	if len(out) >= len(raw) {
		body, codec = raw, codecPlain
	}
	v := make([]byte, offBody, offBody+len(body))
	v[offVersion], v[offCodec] = blockVersion, codec
	binary.BigEndian.PutUint32(v[offRows:], uint32(b.Len))
	binary.BigEndian.PutUint64(v[offIngest:], uint64(ingest))
	binary.BigEndian.PutUint32(v[offRaw:], uint32(len(raw)))
	binary.BigEndian.PutUint32(v[offStored:], uint32(len(body)))
	binary.BigEndian.PutUint32(v[offBodySum:], crc32.Checksum(body, castagnoli))
	return append(v, body...), len(raw), nil
}

// place completes a block where its place in the order is known. dropped has a bit for
// each row, nil when all rows are kept.
func place(v []byte, t Track, first Seq, dropped []uint64) []byte {
	binary.BigEndian.PutUint32(v[offTrack:], uint32(t))
	binary.BigEndian.PutUint64(v[offFirst:], uint64(first))
	body := len(v)
	n := 0
	for _, w := range dropped {
		n += bits.OnesCount64(w)
		v = binary.BigEndian.AppendUint64(v, w)
	}
	binary.BigEndian.PutUint32(v[offDropped:], uint32(n))
	binary.BigEndian.PutUint32(v[offSum:], headerSum(v, v[body:]))
	return v
}

func headerSum(v, bitmap []byte) uint32 {
	sum := crc32.Checksum(v[:offSum], castagnoli)
	sum = crc32.Update(sum, castagnoli, v[offTrack:offBody])
	return crc32.Update(sum, castagnoli, bitmap)
}

// blockHeader is a verified header.
type blockHeader struct {
	track   Track
	first   Seq
	rows    int
	count   int // rows that were not dropped
	ingest  int64
	raw     int
	codec   byte
	body    []byte
	dropped []byte // bitmap of 8-byte words, empty when none was dropped
}

// parseHeader verifies everything but the columns.
func parseHeader(v []byte) (blockHeader, error) {
	var h blockHeader
	if len(v) < offBody {
		return h, fmt.Errorf("decode block: %d bytes are no header", len(v))
	}
	if v[offVersion] != blockVersion {
		return h, fmt.Errorf("decode block: version %d, and this ingestd knows %d: start the newer one again", v[offVersion], blockVersion)
	}
	rows, dropped := binary.BigEndian.Uint32(v[offRows:]), binary.BigEndian.Uint32(v[offDropped:])
	raw, stored := binary.BigEndian.Uint32(v[offRaw:]), binary.BigEndian.Uint32(v[offStored:])
	words := 0
	if dropped > 0 {
		words = (int(rows) + 63) / 64
	}
	if rows == 0 || rows > maxBlockRows || dropped >= rows || raw > maxBlockRaw || int64(len(v)) != offBody+int64(stored)+8*int64(words) {
		return h, fmt.Errorf("decode block: %d rows, %d dropped, %d bytes stored, %d raw, in a value of %d", rows, dropped, stored, raw, len(v))
	}
	h = blockHeader{
		track: Track(binary.BigEndian.Uint32(v[offTrack:])), first: Seq(binary.BigEndian.Uint64(v[offFirst:])),
		rows: int(rows), count: int(rows - dropped), ingest: int64(binary.BigEndian.Uint64(v[offIngest:])),
		raw: int(raw), codec: v[offCodec], body: v[offBody : offBody+stored], dropped: v[offBody+stored:],
	}
	if headerSum(v, h.dropped) != binary.BigEndian.Uint32(v[offSum:]) {
		return h, errors.New("decode block: the header's checksum is wrong")
	}
	set := 0
	for i := 0; i < len(h.dropped); i += 8 {
		w := binary.BigEndian.Uint64(h.dropped[i:])
		if rest := h.rows - i*8; rest < 64 && w>>uint(rest) != 0 {
			return h, errors.New("decode block: rows are dropped that it does not have")
		}
		set += bits.OnesCount64(w)
	}
	if set != int(dropped) {
		return h, fmt.Errorf("decode block: %d rows dropped, header says %d", set, dropped)
	}
	if crc32.Checksum(h.body, castagnoli) != binary.BigEndian.Uint32(v[offBodySum:]) {
		return h, errors.New("decode block: the columns' checksum is wrong")
	}
	return h, nil
}

// decodeBlock reads a block into dst, whose schema says which columns, without the dropped rows. tmp serves as a
// second batch when rows have to be left out.
func decodeBlock(v []byte, dst, tmp *column.Batch) (blockHeader, error) {
	h, err := parseHeader(v)
	if err != nil {
		return h, err
	}
	buf := scratch.Get().(*[]byte)
	raw := *buf
	defer func() { release(buf, raw) }()
	switch h.codec {
	case codecPlain:
		raw = append(raw[:0], h.body...)
	case codecS2:
		if n, err := s2.DecodedLen(h.body); err != nil || n != h.raw {
			return h, fmt.Errorf("decode block: %d bytes unpacked, header says %d", n, h.raw)
		}
		if raw, err = s2.Decode(raw[:cap(raw)], h.body); err != nil {
			return h, fmt.Errorf("decode block: %w", err)
		}
	default:
		return h, fmt.Errorf("decode block: codec %d is not known", h.codec)
	}
	into := dst
	if len(h.dropped) > 0 {
		into = tmp
	}
	into.Reset()
	if err := decodeColumns(raw, into, h.rows); err != nil {
		return h, err
	}
	if len(h.dropped) > 0 {
		dst.Reset()
		return h, keep(dst, tmp, h.dropped)
	}
	return h, nil
}

// keep copies the rows of src that the bitmap does not drop.
func keep(dst, src *column.Batch, dropped []byte) error {
	isDropped := func(row int) bool {
		return binary.BigEndian.Uint64(dropped[row/64*8:])>>(row%64)&1 != 0
	}
	for lo := 0; lo < src.Len; {
		if isDropped(lo) {
			lo++
			continue
		}
		hi := lo + 1
		for hi < src.Len && !isDropped(hi) {
			hi++
		}
		if err := dst.Append(src, lo, hi); err != nil {
			return fmt.Errorf("decode block: %w", err)
		}
		lo = hi
	}
	return nil
}
