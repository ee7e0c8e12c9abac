package compact

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"

	"firn/commitlib/column"
	"firn/commitlib/datafile"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

// errMemory says that a merge would need more memory than it may have: its times overlap too much.
var errMemory = errors.New("the files' times overlap too much for the memory to merge them in")

// unreadable says that a file is damaged, or of a form that package datafile does not read.
type unreadable struct {
	path string
	err  error
}

func (u *unreadable) Error() string { return fmt.Sprintf("file %s: %v", u.path, u.err) }
func (u *unreadable) Unwrap() error { return u.err }

// merge writes the rows of many files as one, by event time; of equal times in the order of the files, and within one in
// its own. It holds the runs whose times overlap, and one row group of output. Large row groups of files that were merged
// before, between whose rows no other's lie, are copied as bytes.
type merge struct {
	store      objstore.Store
	schema     *iceberg.Schema
	timeColumn int
	memory     int64
	groupBytes int // of the output
	encoder    *datafile.Encoder
	dst        *notingWriter // what the output's writer writes to
	pause      func(context.Context) error

	rows   int64   // of the files, as their manifests say
	read   *digest // of all rows, as they were read
	copied []int   // row groups of the output that were taken over by their bytes
	queue  queue
	open   cursors
	spare  []*cursor

	out      *column.Batch
	reserved bool // out has room
}

// cursors is a heap by the next row's time.
type cursors []*cursor

func (h cursors) Len() int      { return len(h) }
func (h cursors) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h cursors) Less(i, j int) bool {
	a, b := h[i].time(), h[j].time()
	return a < b || a == b && h[i].before(h[j])
}
func (h *cursors) Push(x any) { *h = append(*h, x.(*cursor)) }
func (h *cursors) Pop() any {
	old := *h
	c := old[len(old)-1]
	*h = old[:len(old)-1]
	return c
}

func (c *cursor) before(o *cursor) bool {
	return c.run.rank < o.run.rank || c.run.rank == o.run.rank && c.run.group < o.run.group
}

// write merges the files into w.
func (m *merge) write(ctx context.Context, files []*source, w *datafile.Writer) (err error) {
	if m.out, err = column.New(m.schema); err != nil {
		return err
	}
	for i, f := range files {
		r := &run{low: f.lo, rank: i, src: f}
		if f.size > wholeBytes { // its row groups are taken one by one, and have times of their own
			if err := m.begin(ctx, r); err != nil {
				return err
			}
			continue
		}
		m.queue.add(r)
	}
	for {
		if err := m.advance(ctx, w); err != nil {
			return err
		}
		if len(m.open) == 0 {
			break
		}
		if err := m.take(); err != nil {
			return err
		}
		if m.out.Size() >= m.groupBytes/16*15 {
			if err := m.pass(ctx, w); err != nil {
				return err
			}
		}
	}
	return m.pass(ctx, w)
}

// pass writes the output's rows as a row group.
func (m *merge) pass(ctx context.Context, w *datafile.Writer) error {
	if err := m.pause(ctx); err != nil {
		return err
	}
	if err := w.Write(m.out, nil); err != nil {
		return err
	}
	m.out.Reset()
	return nil
}

// advance opens every run that may hold a row which comes before, or beside, the next of those that are open. Runs that
// can be are copied instead.
func (m *merge) advance(ctx context.Context, w *datafile.Writer) error {
	for len(m.queue) > 0 && (len(m.open) == 0 || m.queue[0].low <= m.open[0].time()) {
		r := m.queue.next()
		if r.file == nil {
			if err := m.begin(ctx, r); err != nil {
				return err
			}
			continue
		}
		if m.copies(r) {
			if err := m.copy(ctx, r, w); err != nil {
				return err
			}
			continue
		}
		if err := m.pause(ctx); err != nil {
			return err
		}
		c, err := m.load(ctx, r)
		if err != nil {
			return err
		}
		if !m.reserved {
			m.reserve(c.batch)
		}
		heap.Push(&m.open, c)
	}
	return nil
}

// reserve makes room in the output for a row group, or for all rows if they are fewer, going by the first rows: growing by
// appending would copy each value three times.
func (m *merge) reserve(like *column.Batch) {
	m.reserved = true
	times := float64(m.rows) / float64(max(1, like.Len))
	times = 1.05 * min(times, float64(m.groupBytes)/float64(max(1, like.Size())))
	room := func(n int) int { return min(int(times*float64(n)), m.groupBytes) }
	for i := range m.out.Cols {
		v, of := &m.out.Cols[i], &like.Cols[i]
		switch v.Kind {
		case column.Int32:
			v.Int32s = make([]int32, 0, room(len(of.Int32s)))
		case column.Int64:
			v.Int64s = make([]int64, 0, room(len(of.Int64s)))
		default:
			v.Ends, v.Data = make([]uint32, 0, room(len(of.Ends))), make([]byte, 0, room(len(of.Data)))
		}
	}
}

// take moves the first open run's rows to the output: as many as come before every other's.
func (m *merge) take() error {
	c := m.open[0]
	n := c.batch.Len
	// Beyond most rows the output's size is looked at again.
	most := max(1, min(4096, m.groupBytes/16*n/max(1, c.batch.Size())))
	until, first := m.until(c)
	to := c.at + 1
	for end := min(n, c.at+most); to < end; to++ {
		if t := c.timeAt(to); t > until || t == until && !first {
			break
		}
	}
	if err := m.append(c, c.at, to); err != nil {
		return err
	}
	if c.at = to; c.at < n {
		heap.Fix(&m.open, 0)
		return nil
	}
	heap.Pop(&m.open)
	m.give(c)
	return nil
}

// until is the time up to which the rows of c, the first of the open runs, come next; first says that those of that very
// time do as well.
func (m *merge) until(c *cursor) (until int64, first bool) {
	until, first = math.MaxInt64, true
	if len(m.queue) > 0 {
		until = m.queue[0].low
	}
	for i := 1; i < min(3, len(m.open)); i++ { // the second of a heap is one of these
		o := m.open[i]
		if t := o.time(); t < until || t == until && !c.before(o) {
			until, first = t, c.before(o)
		}
	}
	return until, first
}

// append adds places [from, to) of a run's order to the output, in stretches of rows that lie side by side.
func (m *merge) append(c *cursor, from, to int) error {
	for from < to {
		row, n := c.row(from), 1
		for from+n < to && c.row(from+n) == row+n {
			n++
		}
		if err := m.out.Append(c.batch, row, row+n); err != nil {
			return err
		}
		from += n
	}
	return nil
}

// readError tells what a failed read of a file means.
func readError(ctx context.Context, r *run, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case r.at.err != nil:
		return fmt.Errorf("read %s: %w", r.src.path, r.at.err)
	case errors.Is(err, datafile.ErrTooLarge):
		return fmt.Errorf("%w: %s", errMemory, r.src.path)
	}
	return &unreadable{r.src.path, err}
}
