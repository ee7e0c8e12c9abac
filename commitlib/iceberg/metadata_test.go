package iceberg

import (
	"testing"
	"time"

	"github.com/google/uuid"
)

var testTime = time.UnixMilli(1_790_000_000_000)

func newTestMetadata(t testing.TB) *Metadata {
	t.Helper()
	spec, err := EventSpec([]string{PartitionHour, EachPartition})
	if err != nil {
		t.Fatal(err)
	}
	return NewMetadata(uuid.MustParse("018f3b1e-0000-7000-8000-000000000001"), "s3://bucket/default/clicks/", EventSchema(String), spec,
		map[string]string{"firn.protocol": "1"}, testTime)
}

func mustEncode(t testing.TB, m *Metadata) string {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestNewMetadataSurvivesARoundTrip(t *testing.T) {
	m := newTestMetadata(t)
	first := mustEncode(t, m)
	again, err := ParseMetadata([]byte(first))
	if err != nil {
		t.Fatalf("parse %s: %v", first, err)
	}
	if second := mustEncode(t, again); second != first {
		t.Errorf("encoded again:\n%s\nwant\n%s", second, first)
	}
	if again.Location != "s3://bucket/default/clicks" {
		t.Errorf("location is %q", again.Location)
	}
	if again.LastPartitionID != 1001 || again.LastColumnID != FieldPayload {
		t.Errorf("last partition id %d, last column id %d", again.LastPartitionID, again.LastColumnID)
	}
}
