package iceberg

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestStatisticsFiles(t *testing.T) {
	f := func(member string, want ...string) {
		t.Helper()
		doc := mustEncode(t, newTestMetadata(t))
		m, err := ParseMetadata([]byte(strings.TrimSuffix(doc, "}") + member + "}"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.StatisticsFiles()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", member, got, err, want)
		}
	}
	f("")
	f(`,"statistics":null`)
	f(`,"statistics":[],"other":[{"statistics-path":"x"}]`)
	f(`,"statistics":[{"snapshot-id":1,"statistics-path":"s3://b/a.puffin"},{"statistics-path":"s3://b/b.puffin"}],"partition-statistics":[{"statistics-path":"s3://b/p.parquet"}]`,
		"s3://b/a.puffin", "s3://b/b.puffin", "s3://b/p.parquet")

	doc := strings.TrimSuffix(mustEncode(t, newTestMetadata(t)), "}") + `,"statistics":[{"statistics-path":7}]}`
	m, err := ParseMetadata([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.StatisticsFiles(); err == nil {
		t.Errorf("a path that is none: %q", got)
	}

	everything, err := os.ReadFile("testdata/everything.metadata.json")
	if err != nil {
		t.Fatal(err)
	}
	if m, err = ParseMetadata(everything); err != nil {
		t.Fatal(err)
	}
	if got, err := m.StatisticsFiles(); err != nil || len(got) != strings.Count(string(everything), `"statistics-path"`) {
		t.Errorf("of another writer's metadata: %q, %v", got, err)
	}
}
