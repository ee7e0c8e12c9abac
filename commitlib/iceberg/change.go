package iceberg

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// MaxMetadataLog bounds the metadata log, in entries: the specification's default for how many earlier metadata files a
// table remembers, so that the metadata of a table that lives for years does not grow by its age.
const MaxMetadataLog = 100

// maxStepBackMs is how far a snapshot's time may lie before the one that was head before it. Java, Rust and Go readers
// refuse metadata beyond a minute.
const maxStepBackMs = 60_000

// WithSnapshot returns a copy of m with s as the head of main and the properties set. m stays as it is, and the copy
// shares with it all that did not change. s must name m's head as its parent and have a greater sequence number than
// m's last. A zero s.TimestampMs becomes the change's own time. prev is where m itself lies; "" leaves the metadata log
// as it is (catalogs that keep it themselves).
func (m *Metadata) WithSnapshot(s *Snapshot, setProps map[string]string, prev string, now time.Time) (*Metadata, error) {
	c, err := m.copied(prev, now)
	if err == nil {
		err = m.acceptsHead(s)
	}
	if err != nil {
		return nil, fmt.Errorf("add snapshot %d: %w", s.ID, err)
	}
	own := *s
	if own.TimestampMs == 0 {
		own.TimestampMs = c.LastUpdatedMs
	}
	if n := len(m.SnapshotLog); n > 0 && own.TimestampMs < m.SnapshotLog[n-1].TimestampMs-maxStepBackMs {
		return nil, fmt.Errorf("add snapshot %d: its time %d ms is more than a minute before the head's, %d ms, which readers refuse; take NextTimeMs",
			s.ID, own.TimestampMs, m.SnapshotLog[n-1].TimestampMs)
	}
	c.LastUpdatedMs = max(c.LastUpdatedMs, own.TimestampMs)
	c.LastSequenceNumber = own.SequenceNumber
	c.Snapshots = append(slices.Grow(slices.Clip(m.Snapshots), 1), own.sealed())
	c.setHead(own.ID, own.TimestampMs)
	if len(setProps) > 0 {
		c.Properties = maps.Clone(m.Properties)
		maps.Copy(c.Properties, setProps)
	}
	return c, nil
}

// WithCommit is WithSnapshot whose copy has forgotten other snapshots, as WithoutSnapshots forgets them: one change.
func (m *Metadata) WithCommit(s *Snapshot, setProps map[string]string, forget []int64, prev string, now time.Time) (*Metadata, error) {
	c, err := m.WithSnapshot(s, setProps, prev, now)
	if err != nil {
		return nil, err
	}
	if err := c.forget(forget); err != nil {
		return nil, err
	}
	return c, nil
}

// acceptsHead says why s cannot become the head of main.
func (m *Metadata) acceptsHead(s *Snapshot) error {
	switch {
	case s.ID == 0 || s.ID == -1:
		return errors.New("0 and -1 mean no snapshot")
	case s.ParentID != m.CurrentSnapshotID:
		return fmt.Errorf("its parent is %d, the head of main is %d", s.ParentID, m.CurrentSnapshotID)
	case s.SequenceNumber <= m.LastSequenceNumber:
		return fmt.Errorf("its sequence number is %d, want more than the table's last, %d", s.SequenceNumber, m.LastSequenceNumber)
	case s.ManifestList == "":
		return errors.New("it has no manifest list")
	case s.Summary["operation"] == "":
		return errors.New("its summary has no operation")
	case s.SchemaID != NoSchemaID && m.Schema(s.SchemaID) == nil:
		return fmt.Errorf("the table has no schema %d", s.SchemaID)
	case m.Snapshot(s.ID) != nil:
		return errors.New("the table has a snapshot of that id")
	}
	return nil
}

// WithProperties returns a copy of m with properties removed, then set.
func (m *Metadata) WithProperties(set map[string]string, remove []string, prev string, now time.Time) (*Metadata, error) {
	c, err := m.copied(prev, now)
	if err != nil {
		return nil, fmt.Errorf("change properties: %w", err)
	}
	c.Properties = maps.Clone(m.Properties)
	for _, key := range remove {
		delete(c.Properties, key)
	}
	maps.Copy(c.Properties, set)
	return c, nil
}

// WithoutSnapshots returns a copy of m that has forgotten the snapshots: what expiry does. A snapshot that a ref names
// is refused; unknown ids are ignored. The snapshot log loses its entries up to the last that names a forgotten one,
// since a log with holes would answer time travel wrongly. Statistics of forgotten snapshots go with them.
func (m *Metadata) WithoutSnapshots(ids []int64, prev string, now time.Time) (*Metadata, error) {
	c, err := m.copied(prev, now)
	if err != nil {
		return nil, fmt.Errorf("forget snapshots: %w", err)
	}
	if err := c.forget(ids); err != nil {
		return nil, err
	}
	return c, nil
}

// WithMain returns a copy of m whose main points at a snapshot that it has: what a roll-back does.
func (m *Metadata) WithMain(snapshotID int64, prev string, now time.Time) (*Metadata, error) {
	c, err := m.copied(prev, now)
	if err == nil && m.Snapshot(snapshotID) == nil {
		err = errors.New("the table has no such snapshot")
	}
	if err != nil {
		return nil, fmt.Errorf("point main at snapshot %d: %w", snapshotID, err)
	}
	c.setHead(snapshotID, c.LastUpdatedMs)
	return c, nil
}

// WithSchema returns a copy of m with the columns of s as its current schema, under the next free schema id.
func (m *Metadata) WithSchema(s *Schema, prev string, now time.Time) (*Metadata, error) {
	c, err := m.copied(prev, now)
	if err != nil {
		return nil, fmt.Errorf("add schema: %w", err)
	}
	own := *s
	own.ID = 0
	for _, have := range m.Schemas {
		own.ID = max(own.ID, have.ID+1)
	}
	c.Schemas = append(slices.Clip(m.Schemas), &own)
	c.CurrentSchemaID = own.ID
	c.LastColumnID = max(m.LastColumnID, own.highestID())
	return c, nil
}

// WithSpec returns a copy of m with the fields of s as its default partition spec, under the next free spec id.
func (m *Metadata) WithSpec(s PartitionSpec, prev string, now time.Time) (*Metadata, error) {
	c, err := m.copied(prev, now)
	if err != nil {
		return nil, fmt.Errorf("add partition spec: %w", err)
	}
	s.ID = 0
	for _, have := range m.Specs {
		s.ID = max(s.ID, have.ID+1)
	}
	c.Specs = append(slices.Clip(m.Specs), s)
	c.DefaultSpecID = s.ID
	c.LastPartitionID = max(m.LastPartitionID, s.lastFieldID())
	return c, nil
}

// copied is the start of every change: a shallow copy with its time and its entry in the metadata log. Nothing that m
// points to may be written through the copy.
func (m *Metadata) copied(prev string, now time.Time) (*Metadata, error) {
	if m.FormatVersion != FormatVersion {
		return nil, fmt.Errorf("%w: the table has version %d and Firn writes version %d", ErrFormatVersion, m.FormatVersion, FormatVersion)
	}
	c := *m
	c.LastUpdatedMs = m.NextTimeMs(now)
	if prev != "" {
		kept := m.MetadataLog[max(0, len(m.MetadataLog)-(MaxMetadataLog-1)):]
		c.MetadataLog = append(slices.Clip(kept), MetadataLogEntry{TimestampMs: m.LastUpdatedMs, MetadataFile: prev})
	}
	return &c, nil
}

// setHead moves main. Refs is replaced, not written to; the snapshot log is copied.
func (m *Metadata) setHead(id, timeMs int64) {
	m.CurrentSnapshotID = id
	refs := make(map[string]Ref, len(m.Refs)+1)
	maps.Copy(refs, m.Refs)
	head := refs[MainBranch] // keeps the branch's retention
	head.SnapshotID, head.Type = id, RefBranch
	refs[MainBranch] = head
	m.Refs = refs
	m.SnapshotLog = append(slices.Clip(m.SnapshotLog), SnapshotLogEntry{TimestampMs: timeMs, SnapshotID: id})
}
