package iceberg

import (
	"fmt"
	"slices"
)

// forget takes snapshots out of a copy that nobody else has yet; see WithoutSnapshots.
func (m *Metadata) forget(ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	gone := make(map[int64]bool, len(ids))
	for _, id := range ids {
		gone[id] = true
	}
	for _, name := range sortedKeys(m.Refs) {
		if id := m.Refs[name].SnapshotID; gone[id] {
			return fmt.Errorf("forget snapshot %d: ref %q names it", id, name)
		}
	}
	kept := make([]*Snapshot, 0, len(m.Snapshots))
	for _, s := range m.Snapshots {
		if !gone[s.ID] {
			kept = append(kept, s)
		}
	}
	m.Snapshots = kept
	for i, e := range slices.Backward(m.SnapshotLog) {
		if gone[e.SnapshotID] {
			m.SnapshotLog = m.SnapshotLog[i+1:]
			break
		}
	}
	extra, err := m.extra.withoutStatistics(gone)
	if err != nil {
		return fmt.Errorf("forget snapshots: %w", err)
	}
	m.extra = extra
	return nil
}

// withoutStatistics is x less what other engines computed about the snapshots that are gone (spec: "Table Statistics",
// "Partition Statistics").
func (x extras) withoutStatistics(gone map[int64]bool) (extras, error) {
	if x == "" {
		return x, nil
	}
	changed := false
	var out []byte
	_, err := eachMember("{"+string(x)+"}", func(key, value string) error {
		if len(out) > 0 {
			out = append(out, ',')
		}
		out = append(appendString(out, key), ':')
		if key != "statistics" && key != "partition-statistics" || value == "null" {
			out = append(out, value...)
			return nil
		}
		out = append(out, '[')
		first := true
		err := eachElement(value, func(file string) error {
			about, err := snapshotOf(file)
			if err != nil {
				return err
			}
			if gone[about] {
				changed = true
				return nil
			}
			if !first {
				out = append(out, ',')
			}
			first = false
			out = append(out, file...)
			return nil
		})
		out = append(out, ']')
		return err
	})
	if err != nil || !changed {
		return x, err // as it was read, to the letter
	}
	return extras(out), nil
}

// snapshotOf returns the snapshot that a statistics file is about.
func snapshotOf(file string) (id int64, err error) {
	_, err = eachMember(file, func(key, value string) (err error) {
		if key == "snapshot-id" {
			id, err = asInt64(value)
		}
		return err
	})
	return id, err
}
