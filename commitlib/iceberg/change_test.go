package iceberg

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// grow adds n snapshots to m, a second apart.
func grow(t testing.TB, m *Metadata, n int) *Metadata {
	t.Helper()
	for range n {
		next, err := m.WithSnapshot(nextSnapshot(m), nil, fmt.Sprintf("s3://b/v%d.metadata.json", m.LastSequenceNumber), time.UnixMilli(m.LastUpdatedMs+1000))
		if err != nil {
			t.Fatal(err)
		}
		m = next
	}
	return m
}

func nextSnapshot(m *Metadata) *Snapshot {
	seq := m.LastSequenceNumber + 1
	return &Snapshot{
		ID: 1000 + seq, ParentID: m.CurrentSnapshotID, SequenceNumber: seq, ManifestList: fmt.Sprintf("s3://b/snap-%d.avro", seq),
		Summary: map[string]string{"operation": OpAppend, "added-records": "12345", "firn.ranges": `{"018f3b1e-0000-7000-8000-000000000001":[[1,5]]}`},
	}
}

func TestWithSnapshot(t *testing.T) {
	base := grow(t, newTestMetadata(t), 2)
	s := nextSnapshot(base)
	m, err := base.WithSnapshot(s, map[string]string{"k": "v"}, "s3://b/base.json", testTime.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	at := testTime.Add(time.Hour).UnixMilli()
	if m.LastUpdatedMs != at || m.CurrentSnapshot().TimestampMs != at {
		t.Errorf("times are %d and %d, want %d", m.LastUpdatedMs, m.CurrentSnapshot().TimestampMs, at)
	}
	if m.CurrentSnapshotID != s.ID || m.Refs[MainBranch] != (Ref{SnapshotID: s.ID, Type: RefBranch}) || m.LastSequenceNumber != 3 {
		t.Errorf("head is %d, main %+v, last sequence number %d", m.CurrentSnapshotID, m.Refs[MainBranch], m.LastSequenceNumber)
	}
	if got := m.SnapshotLog[len(m.SnapshotLog)-1]; len(m.SnapshotLog) != 3 || got != (SnapshotLogEntry{at, s.ID}) {
		t.Errorf("snapshot log is %v", m.SnapshotLog)
	}
	if got := m.MetadataLog[len(m.MetadataLog)-1]; len(m.MetadataLog) != 3 || got != (MetadataLogEntry{base.LastUpdatedMs, "s3://b/base.json"}) {
		t.Errorf("metadata log is %v", m.MetadataLog)
	}
	if m.Properties["k"] != "v" || m.Properties["firn.protocol"] != "1" {
		t.Errorf("properties are %v", m.Properties)
	}
	if s.TimestampMs != 0 {
		t.Error("the caller's snapshot was changed")
	}
	if _, err := ParseMetadata([]byte(mustEncode(t, m))); err != nil {
		t.Error(err)
	}
}

// Every change leaves its base as it was, and two changes of one base don't see each other.
func TestChangesDoNotTouchTheirBase(t *testing.T) {
	base := grow(t, newTestMetadata(t), 3)
	base.Snapshots = slices.Grow(base.Snapshots, 10) // room that a careless append would write into
	base.SnapshotLog = slices.Grow(base.SnapshotLog, 10)
	base.MetadataLog = slices.Grow(base.MetadataLog, 10)
	base.Schemas = slices.Grow(base.Schemas, 10)
	base.Specs = slices.Grow(base.Specs, 10)
	before := mustEncode(t, base)
	now := testTime.Add(time.Minute)
	changes := map[string]func(i int) (*Metadata, error){
		"snapshot": func(i int) (*Metadata, error) {
			s := nextSnapshot(base)
			s.ID += int64(i)
			return base.WithSnapshot(s, map[string]string{"i": fmt.Sprint(i)}, fmt.Sprint("prev", i), now)
		},
		"properties": func(i int) (*Metadata, error) {
			return base.WithProperties(map[string]string{"i": fmt.Sprint(i)}, []string{"firn.protocol"}, fmt.Sprint("prev", i), now)
		},
		"forget": func(i int) (*Metadata, error) {
			return base.WithoutSnapshots([]int64{base.Snapshots[i].ID}, fmt.Sprint("prev", i), now)
		},
		"roll-back": func(i int) (*Metadata, error) {
			return base.WithMain(base.Snapshots[i].ID, fmt.Sprint("prev", i), now)
		},
		"schema": func(i int) (*Metadata, error) {
			return base.WithSchema(&Schema{Fields: []Field{{ID: 50 + i, Name: "c", Type: Int}}}, fmt.Sprint("prev", i), now)
		},
		"spec": func(i int) (*Metadata, error) {
			return base.WithSpec(PartitionSpec{Fields: []PartitionField{{SourceID: 1, FieldID: 1100 + i, Name: "p", Transform: TransformVoid}}}, fmt.Sprint("prev", i), now)
		},
	}
	for name, change := range changes {
		first, err := change(0)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		alone := mustEncode(t, first)
		if _, err := change(1); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if mustEncode(t, first) != alone {
			t.Errorf("%s: a second change of the same base changed the first", name)
		}
		if mustEncode(t, base) != before {
			t.Fatalf("%s: the base was changed", name)
		}
		if alone == before || first.LastUpdatedMs <= base.LastUpdatedMs {
			t.Errorf("%s: nothing changed, or time did not pass", name)
		}
		if _, err := ParseMetadata([]byte(alone)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimeNeverGoesBack(t *testing.T) {
	base := grow(t, newTestMetadata(t), 1)
	long := time.UnixMilli(base.LastUpdatedMs).Add(-48 * time.Hour)
	m, err := base.WithSnapshot(nextSnapshot(base), nil, "", long)
	if err != nil {
		t.Fatal(err)
	}
	if m.LastUpdatedMs != base.LastUpdatedMs+1 || m.CurrentSnapshot().TimestampMs != base.LastUpdatedMs+1 {
		t.Errorf("a clock that is slow gave %d after %d", m.LastUpdatedMs, base.LastUpdatedMs)
	}
	s := nextSnapshot(m)
	s.TimestampMs = m.LastUpdatedMs + 5000 // stamped by a clock ahead of this one
	if m, err = m.WithSnapshot(s, nil, "", long); err != nil || m.LastUpdatedMs != s.TimestampMs {
		t.Errorf("last-updated-ms is %d, %v, below its newest snapshot's %d", m.LastUpdatedMs, err, s.TimestampMs)
	}
	s = nextSnapshot(m)
	s.TimestampMs = m.LastUpdatedMs - 61_000
	if _, err := m.WithSnapshot(s, nil, "", long); err == nil {
		t.Error("a snapshot that readers refuse was taken")
	}
}

func TestHeadsThatAreRefused(t *testing.T) {
	base := grow(t, newTestMetadata(t), 1)
	f := func(want string, change func(s *Snapshot)) {
		t.Helper()
		s := nextSnapshot(base)
		change(s)
		_, err := base.WithSnapshot(s, nil, "", testTime)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q in it", err, want)
		}
	}
	f("mean no snapshot", func(s *Snapshot) { s.ID = 0 })
	f("its parent is 0", func(s *Snapshot) { s.ParentID = 0 })
	f("want more than the table's last, 1", func(s *Snapshot) { s.SequenceNumber = 1 })
	f("no manifest list", func(s *Snapshot) { s.ManifestList = "" })
	f("no operation", func(s *Snapshot) { s.Summary = nil })
	f("no schema 9", func(s *Snapshot) { s.SchemaID = 9 })
	f("a snapshot of that id", func(s *Snapshot) { s.ID = base.CurrentSnapshotID })
	three := *base
	three.FormatVersion = 3
	if _, err := three.WithSnapshot(nextSnapshot(base), nil, "", testTime); err == nil {
		t.Error("a table of format version 3 was changed")
	}
	if _, err := base.WithMain(12345, "", testTime); err == nil {
		t.Error("main was pointed at nothing")
	}
	if _, err := base.WithoutSnapshots([]int64{base.CurrentSnapshotID}, "", testTime); err == nil {
		t.Error("the head was forgotten")
	}
}

func TestLogsStayBounded(t *testing.T) {
	m := grow(t, newTestMetadata(t), MaxMetadataLog+30)
	if len(m.MetadataLog) != MaxMetadataLog || m.MetadataLog[0].MetadataFile != "s3://b/v30.metadata.json" {
		t.Errorf("metadata log has %d entries from %s", len(m.MetadataLog), m.MetadataLog[0].MetadataFile)
	}
	var ids []int64
	for _, s := range m.Snapshots[:100] {
		ids = append(ids, s.ID)
	}
	m, err := m.WithMain(m.Snapshots[120].ID, "", testTime)
	if err != nil {
		t.Fatal(err)
	}
	m, err = m.WithoutSnapshots(ids, "", testTime)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Snapshots) != 30 || len(m.SnapshotLog) != 31 || m.SnapshotLog[0].SnapshotID != m.Snapshots[0].ID {
		t.Errorf("kept %d snapshots and %d log entries", len(m.Snapshots), len(m.SnapshotLog))
	}
	// One from the middle: what lies before it in the log would answer time travel wrongly.
	m, err = m.WithoutSnapshots([]int64{m.Snapshots[10].ID}, "", testTime)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Snapshots) != 29 || len(m.SnapshotLog) != 20 {
		t.Errorf("kept %d snapshots and %d log entries, want 29 and 20", len(m.Snapshots), len(m.SnapshotLog))
	}
}

// A commit that forgets is one change: one time, one entry in the metadata log, and all of it or nothing.
func TestCommitForgets(t *testing.T) {
	base := grow(t, newTestMetadata(t), 5)
	before, err := base.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s := nextSnapshot(base)
	ids := []int64{base.Snapshots[0].ID, base.Snapshots[2].ID, base.CurrentSnapshotID, 12345}
	m, err := base.WithCommit(s, map[string]string{"k": "v"}, ids, "s3://b/base.json", testTime.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Snapshots) != 3 || m.CurrentSnapshotID != s.ID || m.Properties["k"] != "v" || m.LastUpdatedMs != m.CurrentSnapshot().TimestampMs {
		t.Errorf("%d snapshots, head %d, updated at %d, the head's time is %d", len(m.Snapshots), m.CurrentSnapshotID, m.LastUpdatedMs, m.CurrentSnapshot().TimestampMs)
	}
	if len(m.SnapshotLog) != 1 || len(m.MetadataLog) != len(base.MetadataLog)+1 {
		t.Errorf("snapshot log of %d entries, metadata log of %d", len(m.SnapshotLog), len(m.MetadataLog))
	}
	if text, err := m.Encode(); err != nil {
		t.Error(err)
	} else if _, err := ParseMetadata(text); err != nil {
		t.Error(err)
	}
	if _, err := base.WithCommit(s, nil, []int64{s.ID}, "", testTime.Add(time.Hour)); err == nil {
		t.Error("a commit forgot its own snapshot")
	}
	if after, _ := base.Encode(); string(after) != string(before) {
		t.Error("the change changed its base")
	}
}

// Statistics files belong to a snapshot and go with it; the rest of what is carried stays to the letter.
func TestForgottenSnapshotsTakeTheirStatistics(t *testing.T) {
	m := grow(t, newTestMetadata(t), 3)
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	first, head := m.Snapshots[0].ID, m.CurrentSnapshotID
	about := func(id int64) string {
		return fmt.Sprintf(`{"snapshot-id": %d, "statistics-path": "s3://b/%d.puffin"}`, id, id)
	}
	members := `,"future":{"a": [1, 2.50]},"statistics":[` + about(first) + "," + about(head) + `],"partition-statistics":[` + about(first) + `]}`
	m, err = ParseMetadata([]byte(strings.TrimSuffix(string(text), "}") + members))
	if err != nil {
		t.Fatal(err)
	}
	if m, err = m.WithoutSnapshots([]int64{first}, "", testTime); err != nil {
		t.Fatal(err)
	}
	if text, err = m.Encode(); err != nil {
		t.Fatal(err)
	}
	want := `,"future":{"a": [1, 2.50]},"statistics":[` + about(head) + `],"partition-statistics":[]}`
	if !strings.HasSuffix(string(text), want) {
		t.Errorf("metadata ends with\n%s\nwant\n%s", text[max(0, len(text)-len(want)):], want)
	}
	if _, err := ParseMetadata(text); err != nil {
		t.Error(err)
	}
}

func TestSchemasAndSpecsTakeTheNextID(t *testing.T) {
	m, err := newTestMetadata(t).WithSchema(&Schema{Fields: []Field{
		{ID: 8, Name: "n", Type: `{"type":"list","element-id":40,"element":"int","element-required":true}`},
	}}, "", testTime)
	if err != nil {
		t.Fatal(err)
	}
	if m.CurrentSchemaID != 1 || m.CurrentSchema().Fields[0].Name != "n" || m.LastColumnID != 40 {
		t.Errorf("current schema is %d, last column id %d", m.CurrentSchemaID, m.LastColumnID)
	}
	m, err = m.WithSpec(PartitionSpec{Fields: []PartitionField{{SourceID: 8, FieldID: 1007, Name: "v", Transform: TransformVoid}}}, "", testTime)
	if err != nil {
		t.Fatal(err)
	}
	if m.DefaultSpecID != 1 || m.DefaultSpec().Fields[0].Name != "v" || m.LastPartitionID != 1007 {
		t.Errorf("default spec is %d, last partition id %d", m.DefaultSpecID, m.LastPartitionID)
	}
	m, err = m.WithSpec(PartitionSpec{}, "", testTime) // unpartitioned
	if err != nil {
		t.Fatal(err)
	}
	if m.LastPartitionID != 1007 || !strings.Contains(mustEncode(t, m), `{"spec-id":2,"fields":[]}`) {
		t.Errorf("last partition id %d in %s", m.LastPartitionID, mustEncode(t, m))
	}
}

// A changed copy of a snapshot must not be encoded as what it was copied from.
func TestCopiedSnapshotIsEncodedAnew(t *testing.T) {
	m := grow(t, newTestMetadata(t), 1)
	c := *m.CurrentSnapshot()
	c.Summary = map[string]string{"operation": OpReplace}
	b, err := c.MarshalJSON()
	if err != nil || !strings.Contains(string(b), OpReplace) {
		t.Errorf("encoded as %s, %v", b, err)
	}
}
