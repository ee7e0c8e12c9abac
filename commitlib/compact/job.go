package compact

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// job is files of one partition that become one file.
type job struct {
	table     *catalog.Table
	schema    *iceberg.Schema // the table's current one
	spec      iceberg.PartitionSpec
	partition [][]byte
	files     []*source
}

// made is a job's file, verified.
type made struct {
	file   *iceberg.DataFile
	began  time.Time
	copied int64 // rows of it that were taken over as bytes
}

// errDiffers says that what was read back is not what was read: nothing was changed.
var errDiffers = errors.New("the rewritten file does not hold what was read")

// make makes the job's file, and compares it with what it was made of.
//
//  1. Merge the files into a new object, and sum up their rows as they are read.
//  2. Compare the sum with what the manifests state of the files.
//  3. Read the new object back from the store, and compare its sum, and what a manifest is to say of it.
//
// What follows is a commit (Compactor.commit). A crash before it, or a difference, leaves an orphan.
func (c *Compactor) make(ctx context.Context, j *job) (*made, error) {
	began := c.cfg.Clock()
	prefix, ok := objstore.Key(c.Store, j.table.Location)
	if !ok {
		return nil, fmt.Errorf("table lies at %q, the store is %q", j.table.Location, c.Store.Root())
	}
	key := prefix + "/data/"
	if path := iceberg.PartitionPath(j.spec, j.schema, j.partition); path != "" {
		key += path + "/"
	}
	key += commitlib.ObjectPrefix + c.newUUID().String() + ".parquet"

	read, copied, out, err := c.join(ctx, j, key)
	if err != nil {
		return nil, err
	}
	if err := stated(read, j.files); err != nil {
		return nil, err
	}
	back, err := c.readBack(ctx, j, key, out, copied)
	if err != nil {
		return nil, err
	}
	if err := read.differs(back); err != nil {
		return nil, fmt.Errorf("%w: %w", errDiffers, err)
	}
	if err := back.states(out); err != nil {
		return nil, fmt.Errorf("%w: %w", errDiffers, err)
	}
	out.Path, out.Partition = objstore.Location(c.Store, key), j.partition
	return &made{out, began, read.copied}, nil
}

// join is step 1. It returns the sum of what was read, and which row groups of the file were copied.
func (c *Compactor) join(ctx context.Context, j *job, key string) (*digest, []int, *iceberg.DataFile, error) {
	cfg := c.cfg.encoder()
	if c.encoder == nil || !sameColumns(c.encodes, j.schema) {
		e, err := datafile.NewEncoder(j.schema, cfg)
		if err != nil {
			return nil, nil, nil, err
		}
		c.encoder, c.encodes = e, j.schema
	}
	object, err := objstore.Create(ctx, c.Store, key, objstore.Condition{Absent: true})
	if err != nil {
		return nil, nil, nil, fmt.Errorf("create %s: %w", key, err)
	}
	defer object.Abort()
	m := &merge{
		store: c.Store, schema: j.schema, timeColumn: timeColumn(j.schema), memory: c.cfg.MemoryBytes,
		groupBytes: cfg.RowGroupBytes, encoder: c.encoder, dst: &notingWriter{Writer: object}, pause: c.cfg.Pause, read: newDigest(j.schema),
	}
	for _, f := range j.files {
		m.rows += f.rows
	}
	w := c.encoder.Begin(m.dst)
	if err := m.write(ctx, j.files, w); err != nil {
		return nil, nil, nil, err
	}
	out, err := w.Close()
	if err != nil {
		return nil, nil, nil, err
	}
	if _, err := object.Close(); err != nil {
		return nil, nil, nil, fmt.Errorf("create %s: %w", key, err)
	}
	return m.read, m.copied, &out, nil
}

// stated compares what was read with what the manifests say of the files: a file of which another has rows, or fewer, is
// none to rewrite.
func stated(read *digest, files []*source) error {
	var rows int64
	for _, f := range files {
		rows += f.rows
	}
	if rows != read.rows {
		return fmt.Errorf("%w: the files hold %d rows, their manifests say %d", errDiffers, read.rows, rows)
	}
	for i, field := range read.schema.Fields {
		var nulls int64
		known := true
		for _, f := range files {
			n, ok := f.nulls[field.ID]
			nulls, known = nulls+n, known && ok
		}
		if known && nulls != read.cols[i].nulls {
			return fmt.Errorf("%w: the files hold %d nulls in column %q, their manifests say %d", errDiffers, read.cols[i].nulls, field.Name, nulls)
		}
	}
	return nil
}

// readBack is step 3.
func (c *Compactor) readBack(ctx context.Context, j *job, key string, out *iceberg.DataFile, copied []int) (*digest, error) {
	info, err := c.Store.Head(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	if info.Size != out.FileSizeInBytes {
		return nil, fmt.Errorf("%w: it has %d bytes, %d were written", errDiffers, info.Size, out.FileSizeInBytes)
	}
	f, err := datafile.Open(objstore.ReaderAt(ctx, c.Store, key), info.Size, j.schema)
	if err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	batch, err := column.New(j.schema)
	if err != nil {
		return nil, err
	}
	d := newDigest(j.schema)
	for g := range f.Groups() {
		if err := c.cfg.Pause(ctx); err != nil {
			return nil, err
		}
		if slices.Contains(copied, g) {
			if err := addRaw(d, f, g); err != nil {
				return nil, fmt.Errorf("read back: %w", err)
			}
			continue
		}
		batch.Reset()
		if err := f.Read(g, batch, datafile.MaxDecodedBytes); err != nil {
			return nil, fmt.Errorf("read back: %w", err)
		}
		d.add(batch)
	}
	return d, nil
}

// addRaw takes in a row group that was copied, from the new file.
func addRaw(d *digest, f *datafile.File, group int) error {
	hash := newHash()
	for i := range d.cols {
		if err := f.Chunk(group, i, hash); err != nil {
			return err
		}
	}
	return d.addCopied(f, group, hash.Sum64())
}

func timeColumn(s *iceberg.Schema) int {
	return slices.IndexFunc(s.Fields, func(f iceberg.Field) bool { return f.ID == iceberg.FieldEventTime && f.Type == iceberg.TimestampTZ })
}

func sameColumns(a, b *iceberg.Schema) bool {
	return a.ID == b.ID && commitlib.SchemaHash(a) == commitlib.SchemaHash(b)
}

func (c *Compactor) newUUID() (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], c.cfg.Rand())
	binary.BigEndian.PutUint64(id[8:], c.cfg.Rand())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}
