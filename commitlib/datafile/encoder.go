package datafile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"firn/commitlib/column"
	"firn/commitlib/datafile/zpage"
	"firn/commitlib/iceberg"
)

// createdBy names the encoder's output, in the form that parquet-java parses (else it distrusts string statistics).
// Raise it when equal input begins to give other bytes.
const createdBy = "firn version 1.0.0 (build 2)"

const magic = "PAR1"

// ErrNoRows refuses an empty data file: Iceberg has no use for one, and readers disagree about it.
var ErrNoRows = errors.New("no rows chosen: a data file needs one at least")

// Encoder writes batches of one schema as Parquet files, one after the other. It keeps its buffers between files: a
// page before and after compression, its values, and zstd's tables: in all 3 MiB at Fastest, 6 at Normal, 9 at Better
// and 40 at Best with pages of 1 MiB, whatever the number of rows (TestEncoderMemory); a value longer than a page makes
// them grow to it. The file itself grows in the caller's buffer. Not safe for concurrent use.
type Encoder struct {
	schema *iceberg.Schema
	kinds  []column.Kind
	cfg    Config

	fastest  *zpage.Encoder // nil at other levels than Fastest
	zstd     *zstd.Encoder  // nil at Fastest
	elements []format.SchemaElement
	orders   []format.ColumnOrder

	// The file being written; file.dst is nil between files.
	file file

	// Scratch, reused by every page.
	raw, packed []byte   // a page before and after compression
	ints        []int64  // its values, when they do not lie side by side in the batch
	indexes     []int32  // its values' places in the dictionary
	levels      []byte   // its definition levels
	starts      []uint32 // where its values begin, of strings
	dict        dict
	header      bytes.Buffer
	thrift      *thrift.Encoder // writes to header
}

// file is what an Encoder knows of the file that it writes.
type file struct {
	dst     *bytes.Buffer
	base    int // where the file starts in dst
	groups  []format.RowGroup
	columns []format.ColumnIndex // row group by row group, column by column; as groups has them
	pages   []format.OffsetIndex // likewise
	noIndex []bool               // likewise: columns holds nothing for it
	bounds  []bounds             // by column, over all row groups
	// unbounded columns have a row group that was copied, with values whose bounds it does not state.
	unbounded []bool
}

// at is the place in the file of what is written next.
func (f *file) at() int64 { return int64(f.dst.Len() - f.base) }

// NewEncoder makes an encoder for schema. It fails on types that Firn does not write and on field ids that are not
// positive and distinct.
func NewEncoder(schema *iceberg.Schema, cfg Config) (*Encoder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("make data file encoder: %w", err)
	}
	if len(schema.Fields) == 0 {
		return nil, errors.New("make data file encoder: the schema has no columns")
	}
	leaves, err := elements(schema)
	if err != nil {
		return nil, fmt.Errorf("make data file encoder: %w", err)
	}
	e := &Encoder{schema: schema, cfg: cfg, elements: leaves}
	for _, f := range schema.Fields {
		kind, _ := column.KindOf(f.Type) // checked by elements
		e.kinds = append(e.kinds, kind)
		e.orders = append(e.orders, format.ColumnOrder{Value: new(format.TypeDefinedOrder)})
	}
	if cfg.Level == Fastest {
		e.fastest = new(zpage.Encoder)
	} else if e.zstd, err = zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.EncoderLevel(cfg.Level)),
		zstd.WithEncoderConcurrency(1),
		// A page: the default, 4 to 32 MiB by level, is held twice and never filled.
		zstd.WithWindowSize(1<<bits.Len(uint(cfg.PageBytes-1))),
		zstd.WithEncoderCRC(false), // pages carry a CRC of their own
		zstd.WithZeroFrames(true)); err != nil {
		return nil, fmt.Errorf("make data file encoder: %w", err)
	}
	e.thrift = thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&e.header))
	return e, nil
}

// Encode appends to dst a Parquet file with the rows of b that are chosen by rows, which rise, or all rows when rows
// is nil. b's columns must have the kinds of the encoder's schema, and must be valid (column.Batch.Validate; Split has
// checked it): Encode checks the shape only, so that thousands of small files from one large batch stay cheap. Path
// and Partition of the result are the caller's to set. After an error dst is as before.
func (e *Encoder) Encode(dst *bytes.Buffer, b *column.Batch, rows []uint32) (iceberg.DataFile, error) {
	data, err := e.encode(dst, b, rows)
	if err != nil {
		dst.Truncate(e.file.base)
		err = fmt.Errorf("encode data file: %w", err)
	}
	e.file.dst = nil
	clear(e.file.bounds) // they share b's memory
	return data, err
}

func (e *Encoder) encode(dst *bytes.Buffer, b *column.Batch, rows []uint32) (iceberg.DataFile, error) {
	e.begin(dst)
	if err := e.fits(b); err != nil {
		return iceberg.DataFile{}, err
	}
	p, err := newPick(b, rows)
	if err != nil {
		return iceberg.DataFile{}, err
	}
	if p.len() == 0 {
		return iceberg.DataFile{}, ErrNoRows
	}
	dst.WriteString(magic)
	if err := p.rowGroups(b, e.cfg.RowGroupBytes, func(p pick) error { return e.rowGroup(b, p) }); err != nil {
		return iceberg.DataFile{}, err
	}
	if err := e.footer(int64(p.len())); err != nil {
		return iceberg.DataFile{}, err
	}
	return e.describe(int64(p.len())), nil
}

func (e *Encoder) begin(dst *bytes.Buffer) {
	f := &e.file
	f.dst, f.base = dst, dst.Len()
	f.groups, f.columns, f.pages, f.noIndex = f.groups[:0], f.columns[:0], f.pages[:0], f.noIndex[:0]
	f.bounds = append(f.bounds[:0], make([]bounds, len(e.kinds))...)
	f.unbounded = append(f.unbounded[:0], make([]bool, len(e.kinds))...)
}

// fits checks b's shape against the encoder's schema.
func (e *Encoder) fits(b *column.Batch) error {
	if len(b.Cols) != len(e.kinds) {
		return fmt.Errorf("the batch has %d columns, the schema %d", len(b.Cols), len(e.kinds))
	}
	if b.Len > math.MaxInt32 {
		return fmt.Errorf("the batch has %d rows: cut it below 2^31", b.Len)
	}
	for i := range b.Cols {
		if b.Cols[i].Kind != e.kinds[i] {
			return fmt.Errorf("column %q is of kind %d, the schema's %s needs %d", e.schema.Fields[i].Name, b.Cols[i].Kind, e.schema.Fields[i].Type, e.kinds[i])
		}
	}
	return nil
}

// rowGroup writes one row group, column after column.
func (e *Encoder) rowGroup(b *column.Batch, p pick) error {
	f := &e.file
	if len(f.groups) == math.MaxInt16 {
		return fmt.Errorf("more than %d row groups: raise RowGroupBytes or cut smaller segments", math.MaxInt16)
	}
	group := format.RowGroup{
		Columns:    make([]format.ColumnChunk, len(b.Cols)),
		NumRows:    int64(p.len()),
		FileOffset: f.at(),
		Ordinal:    int16(len(f.groups)),
	}
	for i := range b.Cols {
		c := chunk{e: e, field: e.schema.Fields[i], kind: e.kinds[i], v: &b.Cols[i], p: p}
		if err := c.write(); err != nil {
			return fmt.Errorf("column %q: %w", c.field.Name, err)
		}
		group.Columns[i].MetaData = c.meta
		group.TotalByteSize += c.meta.TotalUncompressedSize
		group.TotalCompressedSize += c.meta.TotalCompressedSize
		f.columns, f.pages, f.noIndex = append(f.columns, c.index), append(f.pages, c.pages), append(f.noIndex, c.noIndex)
		f.bounds[i].merge(c.bounds, c.kind)
	}
	f.groups = append(f.groups, group)
	return nil
}

// footer writes the page index and the file's metadata.
func (e *Encoder) footer(rows int64) error {
	f, columns := &e.file, len(e.kinds)
	for i := range f.columns {
		if f.noIndex[i] {
			continue
		}
		c := &f.groups[i/columns].Columns[i%columns]
		n, err := e.put(&f.columns[i])
		if err != nil {
			return fmt.Errorf("write column index: %w", err)
		}
		c.ColumnIndexOffset, c.ColumnIndexLength = f.at()-int64(n), int32(n)
	}
	for i := range f.pages {
		c := &f.groups[i/columns].Columns[i%columns]
		n, err := e.put(&f.pages[i])
		if err != nil {
			return fmt.Errorf("write offset index: %w", err)
		}
		c.OffsetIndexOffset, c.OffsetIndexLength = f.at()-int64(n), int32(n)
	}
	n, err := e.put(&format.FileMetaData{
		Version:      2, // RLE_DICTIONARY is of version 2; data pages of version 1, as Arrow combines them
		Schema:       e.elements,
		NumRows:      rows,
		RowGroups:    f.groups,
		CreatedBy:    createdBy,
		ColumnOrders: e.orders,
	})
	if err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	var tail [8]byte
	binary.LittleEndian.PutUint32(tail[:], uint32(n))
	copy(tail[4:], magic)
	f.dst.Write(tail[:])
	return nil
}

// put appends a Thrift struct to the file and returns its length.
func (e *Encoder) put(v any) (int, error) {
	e.header.Reset()
	if err := e.thrift.Encode(v); err != nil {
		return 0, err
	}
	return e.file.dst.Write(e.header.Bytes())
}

// describe sums the file up for a manifest.
func (e *Encoder) describe(rows int64) iceberg.DataFile {
	f, columns := &e.file, len(e.kinds)
	d := iceberg.DataFile{
		RecordCount:     rows,
		FileSizeInBytes: f.at(),
		ColumnSizes:     make(map[int]int64, columns),
		ValueCounts:     make(map[int]int64, columns),
		NullValueCounts: make(map[int]int64, columns),
		LowerBounds:     make(map[int][]byte, columns),
		UpperBounds:     make(map[int][]byte, columns),
	}
	for i := range f.groups {
		d.SplitOffsets = append(d.SplitOffsets, f.groups[i].FileOffset)
		for j := range f.groups[i].Columns {
			d.ColumnSizes[e.schema.Fields[j].ID] += f.groups[i].Columns[j].MetaData.TotalCompressedSize
		}
	}
	for i, field := range e.schema.Fields {
		b := &f.bounds[i]
		d.ValueCounts[field.ID], d.NullValueCounts[field.ID] = rows, int64(b.nulls)
		if !b.any || f.unbounded[i] {
			continue
		}
		lower, upper := b.iceberg(field.Type, e.kinds[i])
		d.LowerBounds[field.ID] = lower
		if upper != nil {
			d.UpperBounds[field.ID] = upper
		}
	}
	return d
}
