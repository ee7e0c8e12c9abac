package commitlib

import (
	"fmt"

	"github.com/google/uuid"

	"firn/commitlib/iceberg"
)

// traces is the greatest last sequence that any retained summary names, of each log.
type traces map[uuid.UUID]Seq

func readTraces(m *iceberg.Metadata) (traces, error) {
	found := make(traces)
	for _, s := range m.Snapshots {
		ranges, err := ParseRanges(s)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrWatermarksLost, err)
		}
		for log, list := range ranges {
			for _, r := range list {
				found[log] = max(found[log], r[1])
			}
		}
	}
	return found, nil
}

// lineage is what is retained of main's history.
type lineage struct {
	root int64 // the first snapshot; 0 if main is empty, rootLost if it has expired
	ours bool  // a retained one is a commit or a rewrite of ours
}

// readLineage walks main from its head to the first snapshot that has no parent.
func readLineage(m *iceberg.Metadata) (l lineage) {
	if m.CurrentSnapshotID == 0 {
		return l
	}
	snapshots := make(map[int64]*iceberg.Snapshot, len(m.Snapshots))
	for _, s := range m.Snapshots {
		snapshots[s.ID] = s
	}
	l.root = rootLost
	id := m.CurrentSnapshotID
	for range len(m.Snapshots) { // bounded: foreign metadata may hold a cycle
		s, retained := snapshots[id]
		if !retained {
			return l
		}
		if _, ranges := s.Summary[PropRanges]; ranges {
			l.ours = true
		}
		if s.ParentID == 0 {
			l.root = id
			return l
		}
		id = s.ParentID
	}
	return l
}

// checkLineage detects that the table was replaced since w was written. CREATE OR REPLACE TABLE keeps the table's UUID,
// its old snapshots and its properties, watermarks included; what it cannot keep is main's history, which begins anew.
// A roll-back keeps its root, and stands. Where main's first snapshot has expired nothing can be told.
//
// Another root alone proves nothing: PyIceberg's expiry takes the parent from the oldest snapshot that it leaves. But
// a history that holds a commit or a rewrite of ours is one that this check has passed before.
func (w *Watermarks) checkLineage(l lineage) error {
	if !w.used() || w.Root == 0 || l.root == w.Root || l.root == rootLost || l.ours {
		return nil
	}
	if l.root == 0 {
		return fmt.Errorf("%w: main is empty although logs have committed to it", ErrReplaced)
	}
	return fmt.Errorf("%w: main begins at snapshot %d, the watermarks were written on a history that begins at %d", ErrReplaced, l.root, w.Root)
}

// rootAfter returns the Root to record with a commit of snapshot id on a main that
// has passed the check and begins at root.
func (w *Watermarks) rootAfter(root, id int64) int64 {
	switch {
	case root == 0:
		return id
	case root == rootLost && w.used() && w.Root != 0:
		return w.Root
	}
	return root
}
