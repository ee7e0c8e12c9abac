package commitlib

import (
	"fmt"

	"github.com/google/uuid"

	"firn/commitlib/iceberg"
)

// history is what a table's retained snapshots say about Firn, computed once for each loaded metadata: it costs as
// much as the metadata's snapshots are long, and a warm commit carries it forward instead.
type history struct {
	traces map[uuid.UUID]Seq // the greatest last sequence that any retained summary names, of each log
	root   int64             // the first snapshot of main's history; 0 if main is empty, rootLost if it has expired
}

func readHistory(m *iceberg.Metadata) (*history, error) {
	h := &history{traces: make(map[uuid.UUID]Seq), root: mainRoot(m)}
	for _, s := range m.Snapshots {
		ranges, err := ParseRanges(s)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrWatermarksLost, err)
		}
		h.add(ranges)
	}
	return h, nil
}

// add notes the ranges of one more snapshot.
func (h *history) add(ranges Ranges) {
	for log, list := range ranges {
		for _, r := range list {
			h.traces[log] = max(h.traces[log], r[1])
		}
	}
}

// mainRoot walks main from its head to the first snapshot that has no parent.
func mainRoot(m *iceberg.Metadata) int64 {
	if m.CurrentSnapshotID == 0 {
		return 0
	}
	parents := make(map[int64]int64, len(m.Snapshots))
	for _, s := range m.Snapshots {
		parents[s.ID] = s.ParentID
	}
	id := m.CurrentSnapshotID
	for range len(m.Snapshots) { // bounded: foreign metadata may hold a cycle
		parent, retained := parents[id]
		if !retained {
			return rootLost
		}
		if parent == 0 {
			return id
		}
		id = parent
	}
	return rootLost
}

// checkRoot detects that the table was replaced since w was written. CREATE OR REPLACE TABLE keeps the table's UUID, its
// old snapshots and its properties, watermarks included; what it cannot keep is main's history, which
// begins anew. A roll-back keeps its root, and stands. Where main's first snapshot has expired nothing can be told.
func (w *Watermarks) checkRoot(root int64) error {
	if !w.used() || w.Root == 0 || root == w.Root || root == rootLost {
		return nil
	}
	if root == 0 {
		return fmt.Errorf("%w: main is empty although logs have committed to it", ErrReplaced)
	}
	return fmt.Errorf("%w: main begins at snapshot %d, the watermarks were written on a history that begins at %d", ErrReplaced, root, w.Root)
}

// rootAfter returns the Root to record with a commit of snapshot id on a main that begins at root.
func (w *Watermarks) rootAfter(root, id int64) int64 {
	if w.used() && w.Root != 0 {
		return w.Root
	}
	if root == 0 {
		return id
	}
	return root
}
