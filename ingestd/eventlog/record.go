package eventlog

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// The records' layouts are FORMAT.md's; each decoder checks the length of what it is given and trusts nothing else.

// indexEntry says where a block lies and what it holds.
type indexEntry struct {
	first    Seq // from the key
	position int64
	count    uint32 // events, without dropped rows
	raw      uint32 // bytes of the block before compression
	ingest   int64  // microseconds
	length   uint32 // bytes of the block
}

const indexEntryBytes = 8 + 4 + 4 + 8 + 4

func (e indexEntry) last() Seq { return e.first + Seq(e.count) - 1 }

func (e indexEntry) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.position))
	dst = binary.BigEndian.AppendUint32(dst, e.count)
	dst = binary.BigEndian.AppendUint32(dst, e.raw)
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.ingest))
	return binary.BigEndian.AppendUint32(dst, e.length)
}

func decodeIndex(k, v []byte) (Track, indexEntry, error) {
	if len(k) != 12 || len(v) != indexEntryBytes {
		return 0, indexEntry{}, fmt.Errorf("decode index entry: key of %d bytes, value of %d", len(k), len(v))
	}
	e := indexEntry{
		first:    Seq(binary.BigEndian.Uint64(k[4:])),
		position: int64(binary.BigEndian.Uint64(v)),
		count:    binary.BigEndian.Uint32(v[8:]),
		raw:      binary.BigEndian.Uint32(v[12:]),
		ingest:   int64(binary.BigEndian.Uint64(v[16:])),
		length:   binary.BigEndian.Uint32(v[24:]),
	}
	if e.count == 0 || e.first == 0 || e.position < 0 || e.last() < e.first {
		return 0, indexEntry{}, fmt.Errorf("decode index entry: %d events from sequence %d at position %d", e.count, e.first, e.position)
	}
	return Track(binary.BigEndian.Uint32(k)), e, nil
}

// trackRecord names a track.
func appendTrack(dst []byte, log uuid.UUID, table Table) []byte {
	dst = append(dst, log[:]...)
	dst = append(dst, table.UUID[:]...)
	return append(dst, table.Name...)
}

func decodeTrack(v []byte) (log uuid.UUID, table Table, err error) {
	if len(v) < 32 {
		return log, table, fmt.Errorf("decode track: %d bytes", len(v))
	}
	copy(log[:], v)
	copy(table.UUID[:], v[16:])
	table.Name = string(v[32:])
	return log, table, nil
}

// stateRecord holds the watermarks that the index does not.
func appendState(dst []byte, committed, low Seq) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(committed))
	return binary.BigEndian.AppendUint64(dst, uint64(low))
}

func decodeState(v []byte) (committed, low Seq, err error) {
	if len(v) != 16 {
		return 0, 0, fmt.Errorf("decode watermarks: %d bytes", len(v))
	}
	return Seq(binary.BigEndian.Uint64(v)), Seq(binary.BigEndian.Uint64(v[8:])), nil
}

const cutBytes = 8 + 8 + 4 + 4 + 4 + 8

func (c Cut) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.First))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.Last))
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.SchemaID))
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.SpecID))
	dst = binary.BigEndian.AppendUint32(dst, uint32(c.Attempt))
	var staged int64
	if !c.StagedAt.IsZero() {
		staged = c.StagedAt.UnixMilli()
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(staged))
	return append(dst, c.Request...)
}

func decodeCut(v []byte) (Cut, error) {
	if len(v) < cutBytes {
		return Cut{}, fmt.Errorf("decode cut: %d bytes", len(v))
	}
	c := Cut{
		First:    Seq(binary.BigEndian.Uint64(v)),
		Last:     Seq(binary.BigEndian.Uint64(v[8:])),
		SchemaID: int(int32(binary.BigEndian.Uint32(v[16:]))),
		SpecID:   int(int32(binary.BigEndian.Uint32(v[20:]))),
		Attempt:  int(int32(binary.BigEndian.Uint32(v[24:]))),
	}
	if ms := int64(binary.BigEndian.Uint64(v[28:])); ms != 0 {
		c.StagedAt = time.UnixMilli(ms)
	}
	if len(v) > cutBytes {
		c.Request = append([]byte(nil), v[cutBytes:]...)
	}
	if c.First == 0 || c.Last < c.First {
		return Cut{}, fmt.Errorf("decode cut: [%d, %d] is no range", c.First, c.Last)
	}
	return c, nil
}
