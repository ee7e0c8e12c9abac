package rest

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
)

// Swap implements catalog.Catalog: one POST, sent once; one GET before it where snapshots are to be removed.
//
//  1. The change is tried on the base here. What no reader would take is rejected without asking: services do not
//     check a snapshot's parent, for one. Where snapshots are to be removed the table is refreshed first, since
//     services drop a ref whose snapshot is removed, and no requirement shows that a new ref appeared: if anything
//     changed since the base, that is a conflict. A ref made in the round trip between the two requests is lost.
//  2. The commit is sent: the snapshot, main moved to it, the properties, and what is removed, on the requirement that
//     the table is the same (its UUID) and main is where the base has it; where snapshots are removed, every other ref
//     as well. The service applies all of it to its current metadata, or nothing. THIS IS THE COMMIT POINT.
//  3. The answer holds the state that came of it, which may contain what others changed beside main since the base.
//
// A crash or a lost answer around step 2 leaves one of two states; a load shows which. The properties are one update:
// of several, one service was seen to keep the last alone.
func (c *Catalog) Swap(ctx context.Context, base *catalog.Table, ch catalog.Change) (*catalog.Table, error) {
	t, err := c.swap(ctx, base, ch)
	if err != nil {
		return nil, fmt.Errorf("swap table %s: %w", base.Ident, err)
	}
	return t, nil
}

// commit is the specification's CommitTableRequest.
type commit struct {
	Identifier   identifier `json:"identifier"`
	Requirements []any      `json:"requirements"`
	Updates      []any      `json:"updates"`
}

// identifier is the specification's TableIdentifier.
type identifier struct {
	Namespace []string `json:"namespace"`
	Name      string   `json:"name"`
}

type assertTableUUID struct {
	Type string    `json:"type"`
	UUID uuid.UUID `json:"uuid"`
}

type assertRefSnapshotID struct {
	Type       string `json:"type"`
	Ref        string `json:"ref"`
	SnapshotID *int64 `json:"snapshot-id"` // null: there is no such ref
}

type addSnapshot struct {
	Action   string            `json:"action"`
	Snapshot *iceberg.Snapshot `json:"snapshot"`
}

type setProperties struct {
	Action  string            `json:"action"`
	Updates map[string]string `json:"updates"`
}

func (c *Catalog) swap(ctx context.Context, base *catalog.Table, ch catalog.Change) (*catalog.Table, error) {
	began := c.now()
	if _, err := base.Metadata.WithCommit(ch.Snapshot, nil, ch.RemoveSnapshots, "", began); err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrRejected, err)
	}
	if err := c.stillCurrent(ctx, base, ch); err != nil {
		return nil, err
	}
	body, err := newCommit(base, ch, began)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrRejected, err)
	}
	a, err := c.send(ctx, request{endpoint: commitTable, id: base.Ident, body: body, limit: MaxMetadataBytes})
	if err := answered(committing, a, err); err != nil {
		return nil, err
	}
	t, err := c.table(base.Ident, nil, base.Metadata, a, began)
	switch {
	case err != nil:
	case t.Metadata.TableUUID != base.Metadata.TableUUID:
		err = fmt.Errorf("the answer is about a table with UUID %s, not %s", t.Metadata.TableUUID, base.Metadata.TableUUID)
	case t.Metadata.Snapshot(ch.Snapshot.ID) == nil: // a rival's may be current by now, but ours must be there
		err = fmt.Errorf("the answer does not hold snapshot %d", ch.Snapshot.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", catalog.ErrUnknown, err)
	}
	return t, nil
}

// newCommit is step 2's request.
func newCommit(base *catalog.Table, ch catalog.Change, now time.Time) (*commit, error) {
	m, s := base.Metadata, ch.Snapshot
	if s.TimestampMs == 0 {
		own := *s
		own.TimestampMs = m.NextTimeMs(now)
		s = &own
	}
	onMain := assertRefSnapshotID{Type: "assert-ref-snapshot-id", Ref: iceberg.MainBranch}
	if m.CurrentSnapshotID != 0 {
		onMain.SnapshotID = &m.CurrentSnapshotID
	}
	move, err := moveMain(m, s.ID)
	if err != nil {
		return nil, err
	}
	body := &commit{
		Identifier:   identifier{[]string{base.Ident.Namespace}, base.Ident.Name},
		Requirements: []any{assertTableUUID{"assert-table-uuid", m.TableUUID}, onMain},
		Updates:      []any{addSnapshot{"add-snapshot", s}, move},
	}
	if len(ch.SetProperties) > 0 {
		body.Updates = append(body.Updates, setProperties{"set-properties", ch.SetProperties})
	}
	body.remove(m, ch.RemoveSnapshots)
	return body, nil
}
