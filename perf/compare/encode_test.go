package compare

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"firn/perf/e2e"
	"firn/perf/tier"
)

// encodeRounds and queryRounds are those that count; more than the commits', since these have no server to wait for.
const (
	encodeRounds = 9
	queryRounds  = 9
)

// events are the kinds of events that are encoded: how many, and the bytes of a payload.
var events = []struct {
	kind       string
	rows, size int
}{
	{"82B", 200_000, 82},
	{"1KiB", 30_000, 1024},
}

// questions are what DuckDB is asked of a file; %s is the file.
var questions = []struct{ name, query string }{
	{"all columns ms", `SELECT count(*), sum(sequence), epoch_us(max(event_time)), epoch_us(min(ingest_time)), sum("partition"), sum(length(payload)), max(log), count(idempotency_key) FROM '%s'`},
	{"payloads ms", `SELECT count(*) FROM '%s' WHERE payload LIKE '%%"n":100%%' OR contains(payload, 'kettle')`},
	{"a few rows ms", `SELECT count(*), sum(length(payload)) FROM '%s' WHERE sequence BETWEEN 12000 AND 12100`},
}

// TestEncode has Firn, arrow-go and pyarrow encode the same rows, in memory, on one thread, with zstd's level 1, and DuckDB
// read what came of it.
func TestEncode(t *testing.T) {
	tier.Need(t, tier.Slow)
	ours := e2e.Build(t, "ours", ".", "./perf/compare/ours")
	peers := e2e.Build(t, "peers", "perf/compare/peers", ".")
	for _, e := range events {
		t.Run(e.kind, func(t *testing.T) {
			dir := t.TempDir()
			rows := filepath.Join(dir, "events.parquet")
			if out, err := exec.Command(ours, "events", e.kind, strconv.Itoa(e.rows), rows).CombinedOutput(); err != nil {
				t.Fatalf("make events: %v\n%s", err, out)
			}
			one := []string{"GOMAXPROCS=1"}
			all := []*subject{
				start(t, "Firn", exec.Command(ours, "encode", e.kind, strconv.Itoa(e.rows)), one),
				start(t, "arrow-go", exec.Command(peers, "encode", rows), one),
				start(t, "pyarrow", pythonCommand(t, "encode", rows), nil),
			}
			files := make([]string, len(all))
			for i, s := range all {
				files[i] = filepath.Join(dir, s.name+".parquet")
			}
			for round := range warmups + encodeRounds {
				for i := range all {
					n := (round + i) % len(all)
					a := all[n].do(t, job{To: files[n]})
					if round >= warmups {
						all[n].count(a)
					}
				}
			}
			var table []Row
			megabytes := float64(e.rows*e.size) / 1e6
			for _, s := range all {
				table = append(table, Row{
					Comparison: "encoding Parquet on one core", Setting: fmt.Sprintf("%d events of %s", e.rows, e.kind), Subject: s.name, Rounds: len(s.wall),
					Figures: map[string]float64{
						"MB/s of payload": megabytes / (Median(s.cpu) / 1e9), "CPU ms": Median(s.cpu) / 1e6, "file KB": float64(s.bytes) / 1e3, "peak MiB": s.peak(t),
					},
				})
			}
			publish(t, table, []Figure{{"MB/s of payload", false}, {"CPU ms", true}, {"file KB", true}, {"peak MiB", true}})
			query(t, table[0].Setting, all, files)
		})
	}
}

// query asks DuckDB the same of each file, and wants the same answers.
func query(t *testing.T, setting string, by []*subject, files []string) {
	t.Helper()
	duck := start(t, "DuckDB", pythonCommand(t, "query"), nil)
	rows := make([]Row, len(files))
	for i, s := range by {
		rows[i] = Row{Comparison: "read by DuckDB on one thread", Setting: setting, Subject: s.name, Figures: map[string]float64{}, Rounds: queryRounds}
	}
	var figures []Figure
	for _, q := range questions {
		figures = append(figures, Figure{q.name, true})
		taken := make([][]float64, len(files))
		var first []string
		for round := range warmups + queryRounds {
			for i := range files {
				n := (round + i) % len(files)
				a := duck.do(t, job{Query: fmt.Sprintf(q.query, files[n])})
				if first == nil {
					first = a.Rows
				}
				if !slices.Equal(a.Rows, first) {
					t.Fatalf("%s: DuckDB reads %v of %s, and %v of another", q.name, a.Rows, files[n], first)
				}
				if round >= warmups {
					taken[n] = append(taken[n], float64(a.CPU))
				}
			}
		}
		for i := range rows {
			rows[i].Figures[q.name] = Median(taken[i]) / 1e6
		}
	}
	publish(t, rows, figures)
}
