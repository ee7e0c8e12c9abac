package datafile

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
	"firn/commitlib/datafile/zpage"
)

// order follows whether the pages' bounds rise or fall.
type order struct {
	pages        int
	rises, falls bool
	min, max     int64
	lower, upper []byte
}

// add notes the next page's exact bounds.
func (o *order) add(b *bounds, k column.Kind) {
	if o.pages == 0 {
		o.rises, o.falls = true, true
	} else if k != column.Bytes {
		o.rises = o.rises && b.min >= o.min && b.max >= o.max
		o.falls = o.falls && b.min <= o.min && b.max <= o.max
	} else {
		low, top := bytes.Compare(b.low, o.lower), bytes.Compare(b.top, o.upper)
		o.rises = o.rises && low >= 0 && top >= 0
		o.falls = o.falls && low <= 0 && top <= 0
	}
	o.pages++
	o.min, o.max, o.lower, o.upper = b.min, b.max, b.low, b.top
}

func (o *order) boundary() format.BoundaryOrder {
	switch {
	case o.rises:
		return format.Ascending
	case o.falls:
		return format.Descending
	}
	return format.Unordered
}

// dictionaryPage writes e.raw as the chunk's dictionary of n values.
func (c *chunk) dictionaryPage(n int) error {
	c.meta.DictionaryPageOffset = c.e.file.at()
	h := format.PageHeader{
		Type:                 format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(n), Encoding: format.Plain}),
	}
	_, err := c.page(&h, format.Plain, zpage.Rows{})
	return err
}

// dataPage writes e.raw as a version 1 data page of n rows, which lie in it as rows says, and whose values have bounds b.
func (c *chunk) dataPage(n int, encoding format.Encoding, b bounds, rows zpage.Rows) error {
	at := c.e.file.at()
	if c.meta.DataPageOffset == 0 {
		c.meta.DataPageOffset = at
	}
	h := format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues:               int32(n),
			Encoding:                encoding,
			DefinitionLevelEncoding: format.RLE,
			RepetitionLevelEncoding: format.RLE,
			// parquet-go writes the count also where it is not set: as 0, which a reader may believe.
			Statistics: format.Statistics{NullCount: int64(b.nulls)},
		}),
	}
	size, err := c.page(&h, encoding, rows)
	if err != nil {
		return err
	}
	c.pages.PageLocations = append(c.pages.PageLocations, format.PageLocation{
		Offset: at, CompressedPageSize: int32(size), FirstRowIndex: c.meta.NumValues,
	})
	c.meta.NumValues += int64(n)
	c.indexPage(b)
	c.bounds.merge(b, c.kind)
	return nil
}

// page compresses e.raw, in which rows lie as rows says, and writes it behind its header. It returns the page's size with the header.
func (c *chunk) page(h *format.PageHeader, encoding format.Encoding, rows zpage.Rows) (int, error) {
	e := c.e
	if len(e.raw) > math.MaxInt32 {
		return 0, fmt.Errorf("page of %d bytes: Parquet's limit is 2^31", len(e.raw))
	}
	if e.fastest != nil {
		e.packed = e.fastest.Append(e.packed[:0], e.raw, rows)
	} else {
		e.packed = e.zstd.EncodeAll(e.raw, e.packed[:0])
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(e.raw)), int32(len(e.packed))
	h.CRC = int32(crc32.ChecksumIEEE(e.packed))
	n, err := e.put(h)
	if err != nil {
		return 0, fmt.Errorf("write page header: %w", err)
	}
	e.file.dst.Write(e.packed)
	c.meta.TotalUncompressedSize += int64(n + len(e.raw))
	c.meta.TotalCompressedSize += int64(n + len(e.packed))
	c.count(h.Type, encoding)
	return n + len(e.packed), nil
}

// count notes a page of that type and encoding, for readers that choose by it.
func (c *chunk) count(t format.PageType, encoding format.Encoding) {
	for i := range c.meta.EncodingStats {
		if s := &c.meta.EncodingStats[i]; s.PageType == t && s.Encoding == encoding {
			s.Count++
			return
		}
	}
	c.meta.EncodingStats = append(c.meta.EncodingStats, format.PageEncodingStats{PageType: t, Encoding: encoding, Count: 1})
	for _, have := range c.meta.Encoding {
		if have == encoding {
			return
		}
	}
	c.meta.Encoding = append(c.meta.Encoding, encoding)
}

// indexPage adds a data page to the column index.
func (c *chunk) indexPage(b bounds) {
	lower, upper := []byte{}, []byte{}
	if b.any {
		lower, upper = b.iceberg(c.field.Type, c.kind)
		c.order.add(&b, c.kind)
	}
	if upper == nil {
		if len(b.top) > maxExactBound {
			c.noIndex = true
			return
		}
		upper = bytes.Clone(b.top)
	}
	c.index.NullPages = append(c.index.NullPages, !b.any)
	c.index.MinValues = append(c.index.MinValues, lower)
	c.index.MaxValues = append(c.index.MaxValues, upper)
	c.index.NullCounts = append(c.index.NullCounts, int64(b.nulls))
}

// finish sums the chunk up.
func (c *chunk) finish() {
	c.index.BoundaryOrder = c.order.boundary()
	c.meta.Statistics.NullCount = int64(c.bounds.nulls)
	if !c.bounds.any {
		return
	}
	if lower, upper, ok := c.bounds.exact(c.kind); ok {
		c.meta.Statistics.MinValue, c.meta.Statistics.MaxValue = lower, upper
	}
}
