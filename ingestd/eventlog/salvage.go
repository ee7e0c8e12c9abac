package eventlog

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/google/uuid"

	"firn/ingestd/kv"
)

// Lost is a range of acked events that salvaging a damaged directory gives up.
type Lost struct {
	Log         uuid.UUID
	Table       Table
	First, Last Seq
}

func (l Lost) String() string {
	return fmt.Sprintf("table %s (log %v): events %d to %d", l.Table.Name, l.Log, l.First, l.Last)
}

// Loss compares two views of a damaged store (rocks.Inspect): what survives a salvage, and all that is
// still readable behind the damage. It names the events that are known to be given up; the damaged record
// itself, where nothing readable follows it, may hold more, of any table. Events that a table counts
// already are no loss, which only the table can tell.
func Loss(survives, readable kv.Store) ([]Lost, error) {
	before, err := highs(survives)
	if err != nil {
		return nil, fmt.Errorf("estimate loss: what survives: %w", err)
	}
	after, err := highs(readable)
	if err != nil {
		return nil, fmt.Errorf("estimate loss: what is readable: %w", err)
	}
	var lost []Lost
	for id, t := range after {
		if t.high > before[id].high {
			lost = append(lost, Lost{t.log, t.table, before[id].high + 1, t.high})
		}
	}
	slices.SortFunc(lost, func(a, b Lost) int {
		return cmp.Or(compareIDs(a.Log, b.Log), cmp.Compare(a.Table.Name, b.Table.Name), compareIDs(a.Table.UUID, b.Table.UUID))
	})
	return lost, nil
}

// extent is a track's identity and its last event.
type extent struct {
	log   uuid.UUID
	table Table
	high  Seq
}

// highs reads the last event of each track without verifying anything else. A track whose record was in
// the damage keeps its number for a name.
func highs(s kv.Store) (map[Track]extent, error) {
	found := map[Track]extent{}
	err := s.Iterate(kv.Meta, []byte(metaTrack), afterPrefix(metaTrack), false, func(k, v []byte) error {
		log, table, err := decodeTrack(v)
		if err != nil || len(k) != len(metaTrack)+4 {
			return fmt.Errorf("track %q: %w", k, err)
		}
		found[Track(binary.BigEndian.Uint32(k[len(metaTrack):]))] = extent{log: log, table: table}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for t := Track(0); ; {
		next := Track(0)
		err := s.Iterate(kv.Index, indexKey(nil, t, 0), nil, false, func(k, _ []byte) error {
			if len(k) == 12 {
				next = Track(binary.BigEndian.Uint32(k))
			}
			return kv.ErrStop
		})
		if err != nil {
			return nil, err
		}
		if next == 0 {
			return found, nil
		}
		e, known := found[next]
		if !known {
			e.table.Name = fmt.Sprintf("(track %d, whose name is lost)", next)
		}
		err = s.Iterate(kv.Index, indexKey(nil, next, 0), indexKey(nil, next, math.MaxUint64), true, func(k, v []byte) error {
			_, last, err := decodeIndex(k, v)
			if err != nil {
				return err
			}
			e.high = last.last()
			return kv.ErrStop
		})
		if err != nil {
			return nil, err
		}
		found[next] = e
		if next == math.MaxUint32 {
			return found, nil
		}
		t = next + 1
	}
}
