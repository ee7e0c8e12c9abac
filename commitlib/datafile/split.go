package datafile

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// Group is the rows of a batch that belong into one data file of a partitioned table.
type Group struct {
	Partition [][]byte // one value for each partition field, in single-value serialization; nil is null
	Rows      []uint32 // rising
}

// Split groups b's rows by the spec's partition tuple. Groups come in the order of their tuples (null first), rows
// keep theirs; a spec without fields gives one group. It checks b (column.Batch.Validate).
//
// Two passes look up each row's group, a first that counts and a second that places row numbers into one array,
// so that memory is 4 bytes a row and some 200 bytes a group. A row in a run of its group costs a comparison; a
// change of group costs one probe of a table that has an entry for each group, not for each row.
//
// Transforms: hour, day, month and year of a timestamptz, identity of an int, long or timestamptz, void. Others are
// refused: a table partitioned so takes its data from another writer.
func Split(b *column.Batch, spec iceberg.PartitionSpec) ([]Group, error) {
	if err := b.Validate(); err != nil {
		return nil, fmt.Errorf("split by partition: %w", err)
	}
	if b.Len > math.MaxInt32 {
		return nil, fmt.Errorf("split by partition: the batch has %d rows: cut it below 2^31", b.Len)
	}
	s := splitter{b: b}
	for _, f := range spec.Fields {
		l, err := newLane(b, f)
		if err != nil {
			return nil, fmt.Errorf("split by partition field %q: %w", f.Name, err)
		}
		s.lanes = append(s.lanes, l)
	}
	if b.Len == 0 {
		return nil, nil
	}
	return s.split(), nil
}

// splitBlock is how many rows are transformed at a time: their values stay in the first-level cache.
const splitBlock = 1024

// ordinal is a partition value as an integer, by which tuples are compared; null lies below all.
type ordinal struct {
	value int64
	valid bool
}

func compareOrdinals(a, b ordinal) int {
	switch {
	case a.valid && b.valid:
		return cmp.Compare(a.value, b.value)
	case a.valid:
		return 1
	case b.valid:
		return -1
	}
	return 0
}

// splitter finds groups; a tuple of ordinals stands for a group.
type splitter struct {
	b      *column.Batch
	lanes  []lane
	tuples []ordinal // of the groups, in the order of their first row, end to end
	counts []uint32  // rows of each group
	slots  []uint32  // open-addressing table: group plus 1; 0 is free
	last   int       // group of the row before
}

func (s *splitter) split() []Group {
	s.slots = make([]uint32, 64)
	s.last = -1
	s.walk(func(group, _, n int) { s.counts[group] += uint32(n) })

	order := make([]int, len(s.counts))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return slices.CompareFunc(s.tuple(a), s.tuple(b), compareOrdinals)
	})
	rows := make([]uint32, s.b.Len)
	groups := make([]Group, len(order))
	next := make([]uint32, len(order)) // where each group's next row number goes
	at := uint32(0)
	for i, g := range order {
		next[g] = at
		groups[i] = Group{Partition: s.partition(g), Rows: rows[at : at+s.counts[g] : at+s.counts[g]]}
		at += s.counts[g]
	}
	s.walk(func(group, row, n int) {
		to := rows[next[group]:][:n]
		for i := range to {
			to[i] = uint32(row + i)
		}
		next[group] += uint32(n)
	})
	return groups
}

// walk calls fn for each run of rows of one group.
func (s *splitter) walk(fn func(group, row, n int)) {
	if len(s.lanes) == 0 {
		fn(s.group(nil), 0, s.b.Len)
		return
	}
	tuple := make([]ordinal, len(s.lanes))
	for from := 0; from < s.b.Len; from += splitBlock {
		n := min(splitBlock, s.b.Len-from)
		for i := range s.lanes {
			s.lanes[i].fill(from, n)
		}
		for i := 0; i < n; {
			run := n - i
			for j := range s.lanes {
				tuple[j], run = s.lanes[j].run(i, run)
			}
			fn(s.group(tuple), from+i, run)
			i += run
		}
	}
}

func (s *splitter) tuple(g int) []ordinal {
	return s.tuples[g*len(s.lanes) : (g+1)*len(s.lanes)]
}

func (s *splitter) partition(g int) [][]byte {
	values := make([][]byte, len(s.lanes))
	for i, o := range s.tuple(g) {
		if o.valid {
			values[i] = plain(nil, o.value, s.lanes[i].kind)
		}
	}
	return values
}

// group returns the number of the tuple's group, and makes it when it is new.
func (s *splitter) group(tuple []ordinal) int {
	if s.last >= 0 && slices.Equal(s.tuple(s.last), tuple) {
		return s.last
	}
	i := hash(tuple) & uint64(len(s.slots)-1)
	for s.slots[i] != 0 {
		if g := int(s.slots[i]) - 1; slices.Equal(s.tuple(g), tuple) {
			s.last = g
			return g
		}
		i = (i + 1) & uint64(len(s.slots)-1)
	}
	s.last = len(s.counts)
	s.tuples = append(s.tuples, tuple...)
	s.counts = append(s.counts, 0)
	s.slots[i] = uint32(len(s.counts))
	if 2*len(s.counts) > len(s.slots) {
		s.grow()
	}
	return s.last
}

// grow doubles the table.
func (s *splitter) grow() {
	s.slots = make([]uint32, 2*len(s.slots))
	for g := range s.counts {
		i := hash(s.tuple(g)) & uint64(len(s.slots)-1)
		for s.slots[i] != 0 {
			i = (i + 1) & uint64(len(s.slots)-1)
		}
		s.slots[i] = uint32(g) + 1
	}
}

func hash(tuple []ordinal) uint64 {
	h := uint64(len(tuple))
	for _, o := range tuple {
		h ^= uint64(o.value)
		if !o.valid {
			h ^= 1 << 63
		}
		h *= 0x9E3779B97F4A7C15
		h ^= h >> 29
	}
	return h
}
