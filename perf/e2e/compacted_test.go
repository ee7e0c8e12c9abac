package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"firn/perf/tier"
)

// Tables that the daemon compacted are read back row for row by engines that Firn did not write, while more is written to
// them; the statistics of the new files and manifests are what pyarrow computes; and filters on event time and partition
// still skip files.
func TestReadersOfCompactedTables(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	n := tier.Pick(600, 3000, 20000)

	const hours, commits = 4, 12
	kinds := []struct {
		table, settings string
		binary          bool
	}{
		{"by_hour", `{"partition_by":["hour"]}`, false},
		{"by_hour_and_partition", `{"partition_by":["hour","partition"]}`, false},
		{"bytes", `{"payload":"binary","partition_by":["none"]}`, true},
	}
	d := Start(t, Options{Data: t.TempDir(), Flags: []string{"-cut-interval", "1h", "-maintain-interval", "0"}})
	c := d.Client()
	expected := make(map[string]Expected)
	from := time.Now()
	for _, k := range kinds {
		c.Put(t, k.table, k.settings)
		rows := Expected{}
		expected[k.table] = rows
		write := func(n int) {
			events := randomEvents(r, from, hours, n, k.binary, fmt.Sprintf("%s-%d", k.table, len(rows)))
			post(t, c, k.table, k.binary, events, rows)
			c.Commit(t, k.table)
		}
		for range commits {
			write(n / commits)
		}
		compacts(t, c, k.table)
		write(20) // beside what was compacted lie small files again
	}
	to := time.Now()
	d.Stop()

	for _, k := range kinds {
		t.Run(k.table, func(t *testing.T) {
			t.Parallel()
			table := filepath.Join(d.Data, "warehouse", "default", k.table)
			for _, engine := range Engines {
				expected[k.table].Compare(t, engine, table, from.UnixMicro(), to.UnixMicro())
			}
			t.Logf("%s: statistics equal: %s", k.table, CheckStatistics(t, table))
			begin := from.UnixMicro() - int64(hours)*3_600_000_000
			for _, engine := range Engines {
				hour := fmt.Sprintf("event_time,%d,%d", begin+3_600_000_000, begin+3_601_000_000)
				got := CountFiles(t, engine, table, hour, fmt.Sprintf("event_time,0,%d", begin/2))
				if got.Read[1] != 0 || !k.binary && (got.Read[0] == 0 || got.Read[0] > got.Total*3/5) {
					t.Errorf("%s: opens %d and %d of %d files for a second, and for times that nothing has", engine, got.Read[0], got.Read[1], got.Total)
				}
			}
		})
	}
}

// compacts has the daemon maintain a table, and wants small files to have been joined.
func compacts(t *testing.T, c *Client, table string) {
	t.Helper()
	var reply struct {
		Tasks []struct {
			Task   string `json:"task"`
			Report struct {
				FilesIn  int    `json:"files_in"`
				FilesOut int    `json:"files_out"`
				Rows     int    `json:"rows"`
				Error    string `json:"error"`
			} `json:"report"`
		} `json:"tasks"`
	}
	if err := c.Do(context.Background(), "POST", "/tables/"+table+"/maintain", nil, nil, &reply); err != nil {
		t.Fatal(err)
	}
	for _, task := range reply.Tasks {
		if task.Task == "compaction" {
			if rep := task.Report; rep.FilesOut == 0 || rep.FilesIn < 10*rep.FilesOut || rep.Error != "" {
				t.Errorf("%s: compaction: %+v", table, rep)
			}
			return
		}
	}
	t.Errorf("%s: no compaction: %+v", table, reply)
}
