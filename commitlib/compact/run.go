package compact

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"firn/commitlib"
	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/objstore"
)

// wholeBytes is up to which size a file is fetched with one request; of a larger one its row groups are.
const wholeBytes = 8 << 20

// run is what a merge opens at a time: a row group of an opened file, or a small file that is not opened yet.
type run struct {
	low   int64 // no row's event time is below
	high  int64 // nor above
	rank  int   // of the file in the job, for a fixed order among equal times
	src   *source
	file  *datafile.File // nil: not opened yet
	at    *noting        // what file reads from
	group int
}

// noting is an object that remembers the store's error, by which it is told from damage.
type noting struct {
	io.ReaderAt
	err error
}

func (n *noting) ReadAt(p []byte, off int64) (int, error) {
	read, err := n.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		n.err = err
	}
	return read, err
}

func byLow(a, b *run) int {
	return cmp.Or(cmp.Compare(a.low, b.low), cmp.Compare(a.rank, b.rank), cmp.Compare(a.group, b.group))
}

// queue is the runs that are still to be opened, by the least time in them.
type queue []*run

func (q *queue) add(r *run) {
	at, _ := slices.BinarySearchFunc(*q, r, byLow)
	*q = slices.Insert(*q, at, r)
}

func (q *queue) next() *run {
	r := (*q)[0]
	*q = (*q)[1:]
	return r
}

// cursor is an open run: its rows in memory, in the order of their times.
type cursor struct {
	run   *run
	batch *column.Batch
	times []int64
	order []uint32 // of the rows; nil: as they are
	at    int      // the next one's place
}

// time is the next row's.
func (c *cursor) time() int64 { return c.timeAt(c.at) }

func (c *cursor) timeAt(place int) int64 {
	if c.order != nil {
		return c.times[c.order[place]]
	}
	return c.times[place]
}

func (c *cursor) row(place int) int {
	if c.order != nil {
		return int(c.order[place])
	}
	return place
}

// sort finds the order of the rows. Those of a segment are as they were acked, which is nearly by time.
func (c *cursor) sort() {
	if slices.IsSorted(c.times) {
		c.order = nil
		return
	}
	c.order = slices.Grow(c.order[:0], len(c.times))[:len(c.times)]
	for i := range c.order {
		c.order[i] = uint32(i)
	}
	slices.SortFunc(c.order, func(a, b uint32) int { return cmp.Or(cmp.Compare(c.times[a], c.times[b]), cmp.Compare(a, b)) })
}

// notingWriter likewise, of what is written.
type notingWriter struct {
	io.Writer
	err error
}

func (n *notingWriter) Write(p []byte) (int, error) {
	written, err := n.Writer.Write(p)
	if err != nil {
		n.err = err
	}
	return written, err
}

// begin fetches a file, if it is small, or else its footer, and queues its row groups.
func (m *merge) begin(ctx context.Context, r *run) error {
	key, ok := objstore.Key(m.store, r.src.path)
	if !ok {
		return fmt.Errorf("file %q lies outside the store %q", r.src.path, m.store.Root())
	}
	r.at = &noting{ReaderAt: objstore.ReaderAt(ctx, m.store, key)}
	if r.src.size <= wholeBytes {
		body, _, err := m.store.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("read %s: %w", r.src.path, err)
		}
		if int64(len(body)) != r.src.size {
			return &unreadable{r.src.path, fmt.Errorf("it has %d bytes, its manifest says %d", len(body), r.src.size)}
		}
		r.at.ReaderAt = bytes.NewReader(body)
	}
	f, err := datafile.Open(r.at, r.src.size, m.schema)
	if err != nil {
		return readError(ctx, r, err)
	}
	for g := range f.Groups() {
		if f.Rows(g) == 0 {
			continue
		}
		low, high := r.src.lo, r.src.hi
		if lo, hi, ok := f.Range(g, m.schema.Fields[m.timeColumn].ID); ok {
			low, high = lo, hi
		}
		m.queue.add(&run{low: low, high: high, rank: r.rank, src: r.src, file: f, at: r.at, group: g})
	}
	return nil
}

// copies reports whether a row group is taken over as its bytes are: it is sorted, as every file of ours is; no row of
// another lies between its own; and it is large. What is merged before it is written as a row group of its own, however
// small, so that those are at most as many as the large ones.
func (m *merge) copies(r *run) bool {
	if r.file == nil || len(m.open) > 0 || len(m.queue) > 0 && m.queue[0].low < r.high {
		return false
	}
	name := r.src.path[strings.LastIndexByte(r.src.path, '/')+1:]
	return strings.HasPrefix(name, commitlib.ObjectPrefix) && r.file.Bytes(r.group) <= m.memory-m.held() &&
		r.file.Bytes(r.group) >= int64(m.groupBytes/copyPart) && m.encoder.Copies(r.file)
}

// copyPart is the part of a full row group that one must have to be copied.
const copyPart = 4

// copy takes a row group over.
func (m *merge) copy(ctx context.Context, r *run, w *datafile.Writer) error {
	if m.out.Len > 0 {
		if err := m.pass(ctx, w); err != nil {
			return err
		}
	}
	if err := m.pause(ctx); err != nil {
		return err
	}
	hash := newHash()
	if err := w.Copy(r.file, r.group, hash); err != nil {
		if m.dst.err != nil {
			return err
		}
		return readError(ctx, r, err)
	}
	if err := m.read.addCopied(r.file, r.group, hash.Sum64()); err != nil {
		return readError(ctx, r, err)
	}
	m.copied = append(m.copied, w.Groups()-1)
	return nil
}

// load reads a row group into memory.
func (m *merge) load(ctx context.Context, r *run) (*cursor, error) {
	c := m.cursor()
	c.run = r
	if err := r.file.Read(r.group, c.batch, m.memory-m.held()); err != nil {
		return nil, readError(ctx, r, err)
	}
	v := &c.batch.Cols[m.timeColumn]
	if v.Const || len(v.Int64s) != c.batch.Len {
		return nil, &unreadable{r.src.path, errors.New("it has no event times")}
	}
	c.times = v.Int64s
	c.sort()
	c.at = 0
	m.read.add(c.batch)
	return c, nil
}

// cursor returns one without rows, that of an earlier run where there is one.
func (m *merge) cursor() *cursor {
	if n := len(m.spare); n > 0 {
		c := m.spare[n-1]
		m.spare = m.spare[:n-1]
		c.batch.Reset()
		return c
	}
	batch, err := column.New(m.schema)
	if err != nil {
		panic(err) // the output's batch was made over the same schema
	}
	return &cursor{batch: batch}
}

// give takes a cursor back. Its memory is kept for another run only where that is little.
func (m *merge) give(c *cursor) {
	c.run, c.times = nil, nil
	if len(m.spare) < 4 && int64(c.batch.Capacity()) < m.memory/16 {
		m.spare = append(m.spare, c)
	}
}

// held is what the open runs and the output hold.
func (m *merge) held() int64 {
	n := m.out.Capacity()
	for _, c := range m.open {
		n += c.batch.Capacity() + 4*cap(c.order)
	}
	for _, c := range m.spare {
		n += c.batch.Capacity() + 4*cap(c.order)
	}
	return int64(n)
}
