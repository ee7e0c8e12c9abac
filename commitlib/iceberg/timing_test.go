package iceberg

import (
	"fmt"
	"testing"
	"time"
)

// Metadata is read on a cold commit, changed and written on every one.
func BenchmarkMetadata(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		m := agedTestMetadata(b, n)
		data := []byte(mustEncode(b, m))
		run := func(name string, fn func() error) {
			b.Run(fmt.Sprintf("%s/snapshots=%d", name, n), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					if err := fn(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("parse", func() error { _, err := ParseMetadata(data); return err })
		run("encode", func() error { _, err := m.Encode(); return err })
		run("with-snapshot", func() error {
			_, err := m.WithSnapshot(nextSnapshot(m), map[string]string{"firn.watermarks": "{}"}, "s3://b/v1.metadata.json", time.Now())
			return err
		})
	}
}

// agedTestMetadata has so many snapshots, made quickly: not by copies of copies.
func agedTestMetadata(b *testing.B, snapshots int) *Metadata {
	m := newTestMetadata(b)
	for range snapshots {
		s := nextSnapshot(m)
		s.TimestampMs = m.LastUpdatedMs
		m.Snapshots = append(m.Snapshots, s.sealed())
		m.SnapshotLog = append(m.SnapshotLog, SnapshotLogEntry{s.TimestampMs, s.ID})
		m.CurrentSnapshotID, m.LastSequenceNumber = s.ID, s.SequenceNumber
		m.Refs[MainBranch] = Ref{SnapshotID: s.ID, Type: RefBranch}
	}
	return m
}
