package rest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

type removeSnapshots struct {
	Action      string  `json:"action"`
	SnapshotIDs []int64 `json:"snapshot-ids"`
}

// remove adds what takes snapshots of m out of the table. Each is an update of its own: servers made of Iceberg's Java
// library before 1.9 refuse more than one id in an update. Refs are asserted in the order of their names, so that
// equal changes are equal requests.
func (b *commit) remove(m *iceberg.Metadata, ids []int64) {
	if len(ids) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m.Refs)) {
		if name != iceberg.MainBranch { // which is asserted in every commit
			id := m.Refs[name].SnapshotID
			b.Requirements = append(b.Requirements, assertRefSnapshotID{"assert-ref-snapshot-id", name, &id})
		}
	}
	for _, id := range ids {
		if m.Snapshot(id) != nil { // of an unknown one services make what they like
			b.Updates = append(b.Updates, removeSnapshots{"remove-snapshots", []int64{id}})
		}
	}
}

// stillCurrent asks whether base is the table's current state, if ch removes snapshots. Nothing is sent that could
// change the table, so that whatever goes wrong but the caller's own end is a conflict.
func (c *Catalog) stillCurrent(ctx context.Context, base *catalog.Table, ch catalog.Change) error {
	if len(ch.RemoveSnapshots) == 0 {
		return nil
	}
	now, err := c.load(ctx, base.Ident, base)
	switch {
	case err == nil && now == base:
		return nil
	case err == nil:
		return fmt.Errorf("%w: the table changed, so that a new ref may name a snapshot that is to be removed", catalog.ErrConflict)
	case ctx.Err() != nil:
		return errors.Join(ctx.Err(), err)
	}
	return fmt.Errorf("%w: the commit was not sent: %w", catalog.ErrConflict, err)
}
