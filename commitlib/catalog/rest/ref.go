package rest

import (
	"encoding/json"
	"fmt"

	"firn/commitlib/iceberg"
)

// moveMain is the specification's SetSnapshotRefUpdate for main. It replaces the ref whole: the branch's retention
// settings (min-snapshots-to-keep and the like) are repeated, or they would be lost.
func moveMain(m *iceberg.Metadata, snapshotID int64) (map[string]any, error) {
	head := m.Refs[iceberg.MainBranch]
	head.SnapshotID, head.Type = snapshotID, iceberg.RefBranch
	text, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("encode ref main: %w", err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("encode ref main: %w", err)
	}
	update := map[string]any{"action": "set-snapshot-ref", "ref-name": iceberg.MainBranch}
	for name, value := range members {
		if string(value) != "null" {
			update[name] = value
		}
	}
	return update, nil
}
