package datafile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// maxExpansion bounds what a compressed byte may claim to stand for: zstd's best case is a block of 128 KiB in 4 bytes.
const maxExpansion = 128 << 10 / 4

// plainDictionary is PLAIN_DICTIONARY, what older writers call RLE_DICTIONARY in data pages and PLAIN in dictionary
// pages.
const plainDictionary format.Encoding = 2

var errPageShort = errors.New("page ends early: damaged")

// chunkReader reads one column of one row group into its vector.
type chunkReader struct {
	f     *reader
	field iceberg.Field
	src   source
	v     *column.Vector
	rows  int64 // that are still to come

	codec format.CompressionCodec
	dict  *column.Vector // of the chunk, as kind Int64 or Bytes; nil: none
	index []uint32
	level []uint32
}

func (c *chunkReader) read(group *format.RowGroup) error {
	raw, err := c.fetch(&group.Columns[c.src.leaf].MetaData)
	if err != nil {
		return err
	}
	for c.rows > 0 {
		if raw, err = c.page(raw); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads the chunk's bytes.
func (c *chunkReader) fetch(m *format.ColumnMetaData) ([]byte, error) {
	c.codec = m.Codec
	if c.codec != format.Zstd && c.codec != format.Uncompressed {
		return nil, fmt.Errorf("compressed with %s: only zstd and none are read", c.codec)
	}
	start, n := m.DataPageOffset, m.TotalCompressedSize
	if d := m.DictionaryPageOffset; d > 0 && d < start {
		start = d
	}
	if start < int64(len(magic)) || n < 0 || n > c.f.unread || start > c.f.end-n {
		return nil, fmt.Errorf("%d bytes at %d lie outside the file's column chunks: damaged", n, start)
	}
	c.f.unread -= n
	raw := make([]byte, n)
	if err := c.f.readAt(raw, start); err != nil {
		return nil, fmt.Errorf("read column chunk: %w", err)
	}
	return raw, nil
}

// page reads the page at the start of raw and returns what follows it.
func (c *chunkReader) page(raw []byte) ([]byte, error) {
	n, err := thriftLen(raw, maxHeaderElements)
	if err != nil {
		return nil, fmt.Errorf("read page header: %w", err)
	}
	var h format.PageHeader
	if err := decodeThrift(raw[:n], &h); err != nil {
		return nil, fmt.Errorf("read page header: %w", err)
	}
	raw = raw[n:]
	dictionary := h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid
	data := h.Type == format.DataPage && h.DataPageHeader.Valid
	if !dictionary && !data {
		return nil, fmt.Errorf("page of type %s: only dictionaries and version 1 data pages are read", h.Type)
	}
	if h.CompressedPageSize < 0 || int64(h.CompressedPageSize) > int64(len(raw)) || h.UncompressedPageSize < 0 {
		return nil, fmt.Errorf("page of %d bytes, %d left: damaged", h.CompressedPageSize, len(raw))
	}
	body, rest := raw[:h.CompressedPageSize], raw[h.CompressedPageSize:]
	if h.CRC != 0 && h.CRC != int32(crc32.ChecksumIEEE(body)) {
		return nil, errors.New("page checksum does not match: damaged")
	}
	if body, err = c.decompress(body, int64(h.UncompressedPageSize)); err != nil {
		return nil, err
	}
	if dictionary {
		return rest, c.dictionary(&h.DictionaryPageHeader.V, body)
	}
	return rest, c.data(&h.DataPageHeader.V, body)
}

// decompress returns a page's n bytes; valid until the next call.
func (c *chunkReader) decompress(body []byte, n int64) ([]byte, error) {
	if c.codec == format.Uncompressed {
		if n != int64(len(body)) {
			return nil, fmt.Errorf("page of %d bytes claims %d: damaged", len(body), n)
		}
		return body, nil
	}
	if n > maxExpansion*int64(len(body)) || n > c.f.budget {
		return nil, fmt.Errorf("page of %d bytes claims to hold %d: %w", len(body), n, ErrTooLarge)
	}
	if int64(cap(c.f.body)) < n {
		c.f.body = make([]byte, n)
	}
	out, err := c.f.zstd.DecodeAll(body, c.f.body[:0:n])
	if err != nil {
		return nil, fmt.Errorf("decompress page: %w", err)
	}
	if int64(len(out)) != n {
		return nil, fmt.Errorf("page decompresses to %d bytes, not %d: damaged", len(out), n)
	}
	return out, nil
}

// dictionary reads the chunk's dictionary page.
func (c *chunkReader) dictionary(h *format.DictionaryPageHeader, body []byte) error {
	if h.Encoding != format.Plain && h.Encoding != plainDictionary {
		return fmt.Errorf("dictionary is encoded %s: only PLAIN is read", h.Encoding)
	}
	if c.dict != nil {
		return errors.New("a second dictionary: damaged")
	}
	if err := c.f.spend(int64(h.NumValues)*8 + int64(len(body))); h.NumValues < 0 || err != nil {
		return fmt.Errorf("dictionary of %d values: %w", h.NumValues, ErrTooLarge)
	}
	c.dict = &column.Vector{Kind: c.v.Kind}
	return c.plain(c.dict, body, int(h.NumValues), nil)
}

// data reads a version 1 data page.
func (c *chunkReader) data(h *format.DataPageHeader, body []byte) error {
	n := int(h.NumValues)
	if n < 0 || int64(n) > c.rows {
		return fmt.Errorf("page of %d rows where %d are left: damaged", n, c.rows)
	}
	if err := c.f.spend(int64(n)*8 + int64(n)/8); err != nil {
		return err
	}
	c.rows -= int64(n)
	valid, body, err := c.levels(h, body, n)
	if err != nil {
		return err
	}
	values := n
	if valid != nil {
		values = 0
		for _, l := range valid {
			values += int(l)
		}
		if c.field.Required && values < n {
			return fmt.Errorf("%d nulls in a required column", n-values)
		}
	}
	switch h.Encoding {
	case format.Plain:
		return c.plain(c.v, body, n, valid)
	case format.RLEDictionary, plainDictionary:
		return c.indexed(body, n, values, valid)
	}
	return fmt.Errorf("page is encoded %s: only PLAIN and dictionaries are read", h.Encoding)
}

// levels reads a page's definition levels: 0 for null, 1 for a value; nil stands for all 1. It returns the page's rest.
func (c *chunkReader) levels(h *format.DataPageHeader, body []byte, n int) ([]uint32, []byte, error) {
	if !c.src.optional {
		return nil, body, nil
	}
	if h.DefinitionLevelEncoding != format.RLE {
		return nil, nil, fmt.Errorf("definition levels are encoded %s: only RLE is read", h.DefinitionLevelEncoding)
	}
	if len(body) < 4 {
		return nil, nil, errPageShort
	}
	size := int64(binary.LittleEndian.Uint32(body))
	if size > int64(len(body)-4) {
		return nil, nil, errPageShort
	}
	var err error
	if c.level, err = decodeHybrid(c.level[:0], body[4:4+size], 1, n, 1); err != nil {
		return nil, nil, fmt.Errorf("read definition levels: %w", err)
	}
	body = body[4+size:]
	for _, l := range c.level {
		if l == 0 {
			return c.level, body, nil
		}
	}
	return nil, body, nil
}
