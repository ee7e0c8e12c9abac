package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/perf/tier"
)

// payloads that readers and writers have got wrong: each is stored byte for byte.
var texts = []string{
	"", "x", `{"a":1}`, `{"b":"é","c":[1,2,{"d":null}]}`, "línea\nnueva\ttab", "日本語のテキスト、十六文字よりも長いもの。", "\U0001F9CA\U0010FFFF",
	"quote\"back\\slash</script>&", "\u0000nul", strings.Repeat("a", 16), strings.Repeat("é", 17), strings.Repeat("\U0010FFFF", 20), "\u2028\u2029\uFEFF",
}

// randomEvents makes n events over some hours before now, in some partitions; a third have keys.
func randomEvents(r *rand.Rand, now time.Time, hours, n int, binary bool, name string) []Event {
	events := make([]Event, n)
	for i := range events {
		e := &events[i]
		e.Partition = int32(r.IntN(3))
		e.TimeMs = now.UnixMilli() - int64(hours)*3_600_000 + r.Int64N(int64(hours)*3_600_000)
		if i%3 == 0 {
			e.Key = fmt.Sprintf("%s/%d/ключ-%c", name, i, 'a'+rune(r.IntN(26)))
		}
		switch {
		case binary:
			e.Payload = make([]byte, r.IntN(40))
			for j := range e.Payload {
				e.Payload[j] = byte(r.Uint32())
			}
			if i%10 == 0 {
				e.Payload = []byte(strings.Repeat("\xff", 16+i%3))
			}
		case i%4 == 0:
			e.Payload = []byte(texts[i/4%len(texts)])
		case i%4 == 1:
			e.Payload, e.Verbatim = fmt.Appendf(nil, `{"n": %d,  "t":"\u00e9", "x":1.0e+2}`, i), true
		default:
			e.Payload = fmt.Appendf(nil, `{"n":%d,"r":"%x"}`, i, r.Uint64())
		}
	}
	return events
}

// A table of each kind, filled through the daemon, is read back row for row by engines that Firn did not
// write; all statistics in its manifests are what pyarrow computes from its files; and each engine skips
// files by partition value and by bounds.
func TestReaders(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	n := tier.Pick(1000, 3000, 10000)

	kinds := []struct {
		table, settings string
		hours           int
		binary          bool
		commits         int // three, so that bounds of sequence and ingest time tell the files apart
	}{
		{"by_hour", "", 5, false, 3}, // made by its first event
		{"flat", `{"partition_by":["none"]}`, 5, false, 3},
		{"by_day", `{"partition_by":["day"]}`, 10 * 24, false, 3},
		{"by_month", `{"partition_by":["month"]}`, 300 * 24, false, 3},
		{"by_hour_and_partition", `{"partition_by":["hour","partition"]}`, 5, false, 3},
		{"by_partition", `{"partition_by":["none","partition"]}`, 5, false, 3},
		{"bytes", `{"payload":"binary"}`, 5, true, 3},
		{"kept", `{"partition_by":["none"]}`, 5, false, tier.Pick(24, 165, 165)}, // manifests were merged, and snapshots have expired
	}

	// Without maintenance, the folders hold the tables' files and no others.
	d := Start(t, Options{Data: t.TempDir(), Flags: []string{"-cut-interval", "1h", "-maintain-interval", "0"}})
	c := d.Client()
	expected := make(map[string]Expected)
	from := time.Now()
	for _, k := range kinds {
		if k.settings != "" {
			c.Put(t, k.table, k.settings)
		}
		rows := Expected{}
		expected[k.table] = rows
		for range k.commits {
			events := randomEvents(r, from, k.hours, n/k.commits, k.binary, fmt.Sprintf("%s-%d", k.table, len(rows)))
			post(t, c, k.table, k.binary, events, rows)
			c.Commit(t, k.table)
		}
	}
	to := time.Now()
	d.Stop()

	engines := Engines
	if tier.Now() >= tier.Slow {
		engines = slices.Concat(Engines, SlowEngines)
	}
	for _, k := range kinds {
		t.Run(k.table, func(t *testing.T) {
			t.Parallel()
			table := filepath.Join(d.Data, "warehouse", "default", k.table)
			for _, engine := range engines {
				expected[k.table].Compare(t, engine, table, from.UnixMicro(), to.UnixMicro())
			}
			equal := CheckStatistics(t, table)
			t.Logf("%s: statistics equal: %s", k.table, equal)
			var has struct{ Files, Merged, Snapshots int }
			if err := json.Unmarshal([]byte(equal), &has); err != nil {
				t.Fatal(err)
			}
			if k.commits > 20 && has.Merged < 20 || k.commits > 160 && has.Snapshots > 140 {
				t.Errorf("after %d commits the table's manifests have %d files of %d merged, and it has %d snapshots", k.commits, has.Merged, has.Files, has.Snapshots)
			}
			skips(t, table, k.commits, k.hours, expected[k.table], from)
		})
	}
}

// post sends the events, the first few by themselves, and notes what was acked.
func post(t *testing.T, c *Client, table string, binary bool, events []Event, rows Expected) {
	t.Helper()
	for i := 0; i < len(events); {
		chunk := events[i:min(i+1, len(events))]
		var ack Ack
		var err error
		if i < 10 && len(chunk[0].Payload) > 0 { // an empty body is taken for a mistake
			ack, err = c.Single(context.Background(), table, chunk[0])
		} else {
			chunk = events[i:min(i+200, len(events))]
			ack, err = c.Bulk(context.Background(), table, binary, chunk)
		}
		if err != nil {
			t.Fatalf("post to %s: %v", table, err)
		}
		if ack.Table != table || ack.Accepted != len(chunk) || ack.Duplicates != 0 || ack.Last-ack.First+1 != int64(len(chunk)) {
			t.Fatalf("post %d events to %s: answered %+v", len(chunk), table, ack)
		}
		for j, e := range chunk {
			rows.Add(t, e.Row(ack.Log, ack.First+int64(j)))
		}
		i += len(chunk)
	}
}

// skips wants every engine to open fewer files when a filter allows it: by the partition value of
// event_time, by the bounds of sequence, and none at all where no file can match. The data files themselves
// say which ones a filter needs at most.
func skips(t *testing.T, table string, commits, hours int, rows Expected, now time.Time) {
	t.Helper()
	const hour = 3_600_000_000
	begin := now.UnixMicro() - int64(hours)*hour
	// The middle of the event times, a fifth of the range, and the first third of the sequences.
	third := int64(len(rows)) / 3
	byTime := fmt.Sprintf("event_time,%d,%d", begin+2*int64(hours)*hour/5, begin+3*int64(hours)*hour/5)
	bySequence := fmt.Sprintf("sequence,1,%d", third+1)
	nothing := fmt.Sprintf("sequence,%d,%d", 10*len(rows), 11*len(rows))
	for _, engine := range Engines {
		got := CountFiles(t, engine, table, byTime, bySequence, nothing)
		if got.Total != countParquet(t, table) {
			t.Errorf("%s: sees %d files, the folder holds %d", engine, got.Total, countParquet(t, table))
		}
		partitioned := got.Total > 3*commits // by event time; the others' files all span the whole range
		if partitioned && (got.Read[0] == 0 || got.Read[0] > got.Total*3/5) {
			t.Errorf("%s: opens %d of %d files for a fifth of the event times", engine, got.Read[0], got.Total)
		}
		if got.Read[1] == 0 || got.Read[1] > got.Total/3+1 {
			t.Errorf("%s: opens %d of %d files for the first third of the sequences", engine, got.Read[1], got.Total)
		}
		if got.Read[2] != 0 {
			t.Errorf("%s: opens %d files for sequences that nothing has", engine, got.Read[2])
		}
	}
}

// countParquet counts the data files in the table's folder: with no orphans about, those are the table's.
func countParquet(t *testing.T, table string) (n int) {
	t.Helper()
	err := filepath.WalkDir(table, func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".parquet") {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
