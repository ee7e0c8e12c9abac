package datafile

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"firn/commitlib/column"
	"firn/perf/tier"
)

var update = flag.Bool("update", false, "write testdata/golden.parquet anew")

// levels are those that the tier tests: the tables of the upper two, up to 40 MiB,
// take seconds under the race detector.
func levels() []Level {
	if tier.Now() == tier.Test {
		return []Level{Fastest, Normal}
	}
	return []Level{Fastest, Normal, Better, Best}
}

// TestDeterministic encodes equal input to equal bytes: with a fresh encoder, with a used one, and as a choice of rows
// as well as as a whole batch.
func TestDeterministic(t *testing.T) {
	for _, level := range levels() {
		cfg := Default()
		cfg.Level = level
		b := events(t, 2000, page, 3)
		e, err := NewEncoder(b.Schema, cfg)
		if err != nil {
			t.Fatal(err)
		}
		encode := func(e *Encoder, b *column.Batch, rows []uint32) []byte {
			t.Helper()
			var buf bytes.Buffer
			if _, err := e.Encode(&buf, b, rows); err != nil {
				t.Fatal(err)
			}
			return buf.Bytes()
		}
		first := encode(e, b, nil)
		encode(e, events(t, 1000, counter, 4), nil) // leaves its traces in every buffer
		if !bytes.Equal(first, encode(e, b, nil)) {
			t.Errorf("level %d: a used encoder gives other bytes", level)
		}
		fresh, err := NewEncoder(b.Schema, cfg)
		if err != nil {
			t.Fatal(err)
		}
		all := make([]uint32, b.Len)
		for i := range all {
			all[i] = uint32(i)
		}
		if !bytes.Equal(first, encode(fresh, b, all)) {
			t.Errorf("level %d: a fresh encoder gives other bytes", level)
		}
	}
}

// TestGolden compares with the bytes of earlier builds, and reads them. Where they differ, by our change or by one of
// zstd's encoder, raise createdBy and run with -update.
func TestGolden(t *testing.T) {
	b := edges(t)
	if err := b.Append(events(t, 300, counter, 11), 0, 300); err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(b.Schema, small)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if _, err := e.Encode(&buf, b, nil); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "golden.parquet")
	if *update {
		if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(buf.Bytes(), want) {
		t.Error("equal input gives other bytes than in earlier builds: raise createdBy, then run this test with -update")
	}
	got, err := Read(bytes.NewReader(want), int64(len(want)), b.Schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := equalRows(b, nil, got); err != nil {
		t.Fatal(err)
	}
}
