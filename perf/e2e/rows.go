package e2e

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Row is one event as a table's reader gives it back.
type Row struct {
	Log        string
	Sequence   int64
	Partition  int32
	EventTime  int64 // microseconds since 1970
	IngestTime int64
	HasKey     bool
	Key        string
	Payload    string // its bytes, whatever the column's type
}

// ID names an event: no two rows of a table may have the same.
type ID struct {
	Log      string
	Sequence int64
}

// Engines are the readers of the quick tier, and SlowEngines those that make slow adds; see perf/readers.
var (
	Engines     = []string{"pyiceberg", "duckdb-folder", "duckdb-metadata", "iceberg-go"}
	SlowEngines = []string{"clickhouse", "spark"}
)

// icebergReader builds the iceberg-go reader, which is a module of its own.
func icebergReader(t testing.TB) string {
	t.Helper()
	return Build(t, "icebergreader", "perf/readers/icebergreader", ".")
}

// ReadRows reads a whole table of a local folder with an engine and calls fn for each row, in no particular order.
func ReadRows(t testing.TB, engine, table string, fn func(Row)) {
	t.Helper()
	readRows(t, nil, engine, table, fn)
}

func readRows(t testing.TB, env []string, engine, table string, fn func(Row)) {
	t.Helper()
	out := filepath.Join(t.TempDir(), engine+".ndjson")
	switch engine {
	case "iceberg-go":
		output(t, exec.Command(icebergReader(t), "rows", table, out))
	default:
		RunPython(t, env, "read_rows.py", engine, table, out)
	}
	rowsOf(t, out, fn)
}

// rowsOf calls fn for each row of an engine's dump, and removes it.
func rowsOf(t testing.TB, dump string, fn func(Row)) {
	t.Helper()
	f, err := os.Open(dump)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer os.Remove(dump)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		row, err := parseRow(lines.Bytes())
		if err != nil {
			t.Fatalf("%s: row %d: %v", dump, n, err)
		}
		fn(row)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// parseRow refuses null where the table's columns are required.
func parseRow(line []byte) (Row, error) {
	var in struct {
		Log            *string `json:"log"`
		Sequence       *int64  `json:"sequence"`
		Partition      *int32  `json:"partition"`
		EventTime      *int64  `json:"event_time"`
		IngestTime     *int64  `json:"ingest_time"`
		IdempotencyKey *string `json:"idempotency_key"`
		Payload        *string `json:"payload"`
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return Row{}, err
	}
	if in.Log == nil || in.Sequence == nil || in.Partition == nil || in.EventTime == nil || in.IngestTime == nil || in.Payload == nil {
		return Row{}, fmt.Errorf("a required column is null: %.300s", line)
	}
	payload, err := hex.DecodeString(*in.Payload)
	if err != nil {
		return Row{}, fmt.Errorf("payload: %w", err)
	}
	r := Row{Log: *in.Log, Sequence: *in.Sequence, Partition: *in.Partition, EventTime: *in.EventTime, IngestTime: *in.IngestTime, Payload: string(payload)}
	if in.IdempotencyKey != nil {
		key, err := hex.DecodeString(*in.IdempotencyKey)
		if err != nil {
			return Row{}, fmt.Errorf("idempotency_key: %w", err)
		}
		r.HasKey, r.Key = true, string(key)
	}
	return r, nil
}

// FileCounts is how many data files a table has, and how many an engine opens for each filter.
type FileCounts struct {
	Total int
	Read  []int
}

// CountFiles asks an engine. A filter is "column,from,to": from inclusive, to exclusive, times in microseconds.
func CountFiles(t testing.TB, engine, table string, filters ...string) FileCounts {
	t.Helper()
	var text []byte
	if engine == "iceberg-go" {
		text = output(t, exec.Command(icebergReader(t), append([]string{"files", table}, filters...)...))
	} else {
		text = RunPython(t, nil, "pruning.py", append([]string{engine, table}, filters...)...)
	}
	var c FileCounts
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatalf("%s: %v: %s", engine, err, text)
	}
	if len(c.Read) != len(filters) {
		t.Fatalf("%s: %d counts for %d filters", engine, len(c.Read), len(filters))
	}
	return c
}

// CheckStatistics recomputes all statistics of the table's manifests from its data files, and returns what stats.py
// prints: the totals.
func CheckStatistics(t testing.TB, table string) string {
	t.Helper()
	return strings.TrimSpace(string(RunPython(t, nil, "stats.py", table)))
}
