package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// Keys of a manifest list's header.
const (
	keySnapshotID = "snapshot-id"
	keyParentID   = "parent-snapshot-id"
	keySequence   = "sequence-number"
)

// List is the manifest list of one snapshot, in the form that the next one is made from. Most of a list is the same in
// every snapshot after it, and compressing it is what an append would spend its time on: 2 µs for each manifest that the
// table ever got (20 ms with 10,000). So full blocks are kept as they stand in the file, compressed, and copied;
// what an append encodes is its own entries and those that do not fill a block yet, 64 KB at most.
//
// A List is immutable, and shares its blocks with those that were extended from it. The zero value has no entries.
type List struct {
	open   []ListEntry // the newest entries: what the first block holds, while it is not full
	blocks []listBlock // the rest of the file, newest first
	count  int
}

// listBlock is a block whose entries are all as they are to stand in every later list.
type listBlock struct {
	block
	sequence int64 // the greatest sequence number in it
}

// OpenList reads a manifest list to extend it. Every entry is read and checked, as ReadList does; of a list that this
// package wrote the full blocks are kept as they are. The result shares memory with data.
func OpenList(data []byte) (*List, error) {
	l, err := openList(data)
	if err != nil {
		return nil, fmt.Errorf("read manifest list: %w", err)
	}
	return l, nil
}

func openList(data []byte) (*List, error) {
	c, err := openContainer(data)
	if err != nil {
		return nil, err
	}
	var entries []ListEntry
	var blocks []listBlock
	open, begins := -1, 0 // entries before the first full block; where the block's entries begin
	err = c.eachEntry(func(e ListEntry) { entries = append(entries, e) }, func(b block, expanded int) {
		if open < 0 && expanded >= blockBytes {
			open = begins
		}
		if open >= 0 {
			blocks = append(blocks, listBlock{b, greatestSequence(entries[begins:])})
		}
		begins = len(entries)
	})
	if err != nil {
		return nil, err
	}
	// Blocks of another schema, or compressed otherwise, mean nothing in a file of ours. What no Extend could have
	// written is left to Extend, which says so.
	ours := c.meta[keySchema] == listSchema && c.meta[keyCodec] == codecDeflate &&
		!slices.ContainsFunc(entries, func(e ListEntry) bool { return !e.settled() })
	if open < 0 || !ours {
		return &List{open: entries, count: len(entries)}, nil
	}
	return &List{open: slices.Clone(entries[:open]), blocks: blocks, count: len(entries)}, nil
}

// settled says that an entry takes nothing from the snapshot whose list it stands in.
func (l *ListEntry) settled() bool {
	return l.check(l.SequenceNumber) == nil && l.SequenceNumber >= 0 && l.MinSequenceNumber >= 0 && l.AddedSnapshotID != 0
}

func greatestSequence(entries []ListEntry) (most int64) {
	for i := range entries {
		most = max(most, entries[i].SequenceNumber)
	}
	return most
}

// Len is the number of manifests in the list.
func (l *List) Len() int { return l.count }

// HeapBytes estimates what the list holds in memory.
func (l *List) HeapBytes() int64 {
	const perEntry, perBlock = 512, 128 // with its strings and bounds, as measured
	n := perEntry * int64(len(l.open))
	for i := range l.blocks {
		n += perBlock + int64(len(l.blocks[i].packed))
	}
	return n
}

// Extend returns the list of a snapshot that adds fresh entries to those of l, and its file. Fresh ones stand first, as
// readers that look for late files like it. Those with Unassigned numbers and without AddedSnapshotID take the
// snapshot's; neither fresh nor l is changed, so that both serve the next attempt.
func (l *List) Extend(fresh []ListEntry, snapshotID, parentID, sequence int64) (*List, []byte, error) {
	next, data, err := l.extend(fresh, snapshotID, parentID, sequence)
	if err != nil {
		return nil, nil, fmt.Errorf("write manifest list of snapshot %d: %w", snapshotID, err)
	}
	return next, data, nil
}

func (l *List) extend(fresh []ListEntry, snapshotID, parentID, sequence int64) (*List, []byte, error) {
	if snapshotID == 0 || sequence <= 0 {
		return nil, nil, fmt.Errorf("snapshot id %d and sequence number %d must be given", snapshotID, sequence)
	}
	for i := range l.blocks {
		if l.blocks[i].sequence > sequence {
			return nil, nil, fmt.Errorf("the list to extend has sequence number %d, beyond the snapshot's, %d", l.blocks[i].sequence, sequence)
		}
	}
	parent := "null"
	if parentID != 0 {
		parent = strconv.FormatInt(parentID, 10)
	}
	p := packer{meta: []string{
		keySchema, listSchema,
		keyCodec, codecDeflate,
		keySnapshotID, strconv.FormatInt(snapshotID, 10),
		keyParentID, parent,
		keySequence, strconv.FormatInt(sequence, 10),
		keyFormatVersion, "2",
	}}
	next := &List{open: make([]ListEntry, 0, len(fresh)+len(l.open)), blocks: l.blocks, count: len(fresh) + l.count}
	next.open = append(append(next.open, fresh...), l.open...)
	layout := listLayout()
	for i := range next.open {
		e := &next.open[i]
		e.settle(snapshotID, sequence)
		err := e.check(sequence)
		if err == nil {
			p.open.listEntry(layout, e)
			err = p.record()
		}
		if err != nil {
			return nil, nil, fmt.Errorf("entry %d, manifest %q: %w", i, e.Path, err)
		}
	}
	full := len(p.cuts) > 0
	after := make([]block, len(l.blocks))
	for i := range l.blocks {
		after[i] = l.blocks[i].block
	}
	data, err := p.finish(after)
	if err != nil {
		return nil, nil, err
	}
	if full { // also what is left after the last full block: it will not be first again
		next.seal(p.cuts)
	}
	return next, data, nil
}

// settle gives a fresh entry the snapshot's numbers.
func (l *ListEntry) settle(snapshotID, sequence int64) {
	if l.SequenceNumber == Unassigned {
		l.SequenceNumber = sequence
	}
	if l.MinSequenceNumber == Unassigned {
		l.MinSequenceNumber = sequence
	}
	if l.AddedSnapshotID == 0 {
		l.AddedSnapshotID = snapshotID
	}
}

// seal exchanges the open entries for the blocks that they were packed in.
func (l *List) seal(cuts []block) {
	blocks := make([]listBlock, 0, len(cuts)+len(l.blocks))
	most := greatestSequence(l.open)
	for _, b := range cuts {
		blocks = append(blocks, listBlock{b, most})
	}
	l.open, l.blocks = nil, append(blocks, l.blocks...)
}

var errNoPath = errors.New("it has no manifest path")

// eachEntry calls fn for every entry of a manifest list, and done after those of each block.
func (c container) eachEntry(fn func(ListEntry), done func(b block, expanded int)) error {
	layout, err := readLayout(c.meta[keySchema])
	if err != nil {
		return err
	}
	if layout.field(idManifestPath) == nil {
		return errors.New("its Avro schema lacks the field ids of a manifest list; is it one that Iceberg wrote?")
	}
	return c.eachBlock(layout, func(d *decoder) {
		e := ListEntry{
			AddedFiles: Unknown, ExistingFiles: Unknown, DeletedFiles: Unknown,
			AddedRows: Unknown, ExistingRows: Unknown, DeletedRows: Unknown,
		}
		d.listEntry(layout, &e)
		if d.err == nil && e.Path == "" {
			d.fail(errNoPath)
		}
		fn(e)
	}, done)
}
