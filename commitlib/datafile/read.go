package datafile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

const (
	// MaxDecodedBytes bounds the batch that Read makes: a file of a few bytes can stand for billions of rows.
	MaxDecodedBytes = 1 << 30

	// maxFooterBytes bounds a file's metadata; Firn's own take some 100 bytes for each column of each row group.
	maxFooterBytes = 16 << 20
)

// ErrTooLarge says that a file decodes to more than MaxDecodedBytes.
var ErrTooLarge = fmt.Errorf("file decodes to more than %d bytes", int64(MaxDecodedBytes))

// Read decodes a Parquet file into a batch over schema. Columns are matched by field id: one that the file does not
// have is null in every row, or an error when it is required; those that the schema does not have are not read; an int
// column may have become long since. It reads flat columns of Firn's types in version 1 data pages, PLAIN or dictionary
// encoded, plain or zstd: what Firn writes, and what PyIceberg and Iceberg's Java writers do by default. All else is an
// error, as is any damage that it can see; page checksums are verified where there are any.
func Read(r io.ReaderAt, size int64, schema *iceberg.Schema) (*column.Batch, error) {
	return read(r, size, schema, MaxDecodedBytes)
}

func read(r io.ReaderAt, size int64, schema *iceberg.Schema, limit int64) (b *column.Batch, err error) {
	f := reader{r: r, size: size, unread: size, budget: limit}
	err = guarded("read data file", func() (err error) {
		b, err = f.read(schema)
		return err
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

// decoders are kept between files: one costs more than a small file. Their output
// never outgrows the buffer they are given.
var decoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}}

// reader reads one file.
type reader struct {
	r      io.ReaderAt
	size   int64
	end    int64 // where the column chunks must end: the footer's start
	unread int64 // bytes of column chunks that may still be read: chunks do not overlap
	budget int64 // decoded bytes that may still be made

	zstd *zstd.Decoder
	body []byte // a page, decompressed
}

// spend takes n decoded bytes from the budget.
func (f *reader) spend(n int64) error {
	if n > f.budget {
		return ErrTooLarge
	}
	f.budget -= n
	return nil
}

func (f *reader) read(schema *iceberg.Schema) (*column.Batch, error) {
	b, err := column.New(schema)
	if err != nil {
		return nil, err
	}
	l, err := f.layout(schema)
	if err != nil {
		return nil, err
	}
	for g := range l.meta.RowGroups {
		if err := f.group(l, g, b); err != nil {
			return nil, err
		}
	}
	if int64(b.Len) != l.meta.NumRows {
		return nil, fmt.Errorf("row groups have %d rows, the footer says %d: damaged", b.Len, l.meta.NumRows)
	}
	return b, nil
}

// layout is what a file's footer says of where a schema's columns are.
type layout struct {
	meta    *format.FileMetaData
	schema  *iceberg.Schema
	leaves  []int    // places of the leaf columns in the footer's schema
	sources []source // of each of the schema's columns
}

func (f *reader) layout(schema *iceberg.Schema) (*layout, error) {
	meta, err := f.footer()
	if err != nil {
		return nil, err
	}
	l := &layout{meta: meta, schema: schema, sources: make([]source, len(schema.Fields))}
	if l.leaves, err = leavesOf(meta.Schema); err != nil {
		return nil, err
	}
	for i, field := range schema.Fields {
		if l.sources[i], err = sourceOf(field, meta.Schema, l.leaves); err != nil {
			return nil, fmt.Errorf("column %q: %w", field.Name, err)
		}
	}
	for g := range meta.RowGroups {
		if group := &meta.RowGroups[g]; len(group.Columns) != len(l.leaves) || group.NumRows < 0 {
			return nil, fmt.Errorf("row group %d has %d columns and %d rows, the schema %d columns: damaged", g, len(group.Columns), group.NumRows, len(l.leaves))
		}
	}
	return l, nil
}

// group appends the rows of row group g to b.
func (f *reader) group(l *layout, g int, b *column.Batch) error {
	group := &l.meta.RowGroups[g]
	if group.NumRows > math.MaxInt32-int64(b.Len) {
		return fmt.Errorf("row group %d has %d rows behind %d: damaged", g, group.NumRows, b.Len)
	}
	f.zstd = decoders.Get().(*zstd.Decoder)
	defer decoders.Put(f.zstd)
	for i, field := range l.schema.Fields {
		if l.sources[i].leaf < 0 {
			b.Cols[i].SetNull()
			continue
		}
		c := chunkReader{f: f, field: field, src: l.sources[i], v: &b.Cols[i], rows: group.NumRows}
		if err := c.read(group); err != nil {
			return fmt.Errorf("row group %d, column %q: %w", g, field.Name, err)
		}
	}
	b.Len += int(group.NumRows)
	return nil
}

// footer reads the file's metadata.
func (f *reader) footer() (*format.FileMetaData, error) {
	const around = 2*len(magic) + 4 // magic, and the footer's length and magic
	if f.size < int64(around) {
		return nil, fmt.Errorf("%d bytes are no Parquet file", f.size)
	}
	var head [4]byte
	var tail [8]byte
	if err := f.readAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("read magic: %w", err)
	}
	if err := f.readAt(tail[:], f.size-8); err != nil {
		return nil, fmt.Errorf("read footer length: %w", err)
	}
	if string(head[:]) != magic || string(tail[4:]) != magic {
		return nil, errors.New("not a Parquet file, or cut off: the magic bytes are missing")
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if n > f.size-int64(around) || n > maxFooterBytes {
		return nil, fmt.Errorf("footer of %d bytes in a file of %d: damaged", n, f.size)
	}
	f.end = f.size - 8 - n
	raw := make([]byte, n)
	if err := f.readAt(raw, f.end); err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	if _, err := thriftLen(raw, maxFooterElements); err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	meta := new(format.FileMetaData)
	if err := decodeThrift(raw, meta); err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	return meta, nil
}

// readAt fills p; reading up to the very end may come with io.EOF.
func (f *reader) readAt(p []byte, at int64) error {
	n, err := f.r.ReadAt(p, at)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// decodeThrift decodes a struct that thriftLen has passed. Strings and bytes of the result share raw.
func decodeThrift(raw []byte, v any) error {
	return thrift.NewDecoder(new(thrift.CompactProtocol).NewReaderFromBytes(raw)).Decode(v)
}
