package load

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// client is for everything that is not load: metrics, settings, versions.
var client = &http.Client{Timeout: 10 * time.Second}

// counters are the server's metrics that a measurement needs, by name; those with a table's label are summed over the
// tables of the measurement.
type counters map[string]float64

// The server's metrics. One that an ingestd does not have reads as 0.
const (
	mAcked      = "firn_log_events_total"
	mRaw        = "firn_log_raw_bytes_total"
	mBlocks     = "firn_log_block_bytes_total"
	mGroups     = "firn_log_group_commits_total"
	mLogBytes   = "firn_log_pinned_bytes"
	mStaged     = "firn_staged_events_total"
	mEncoded    = "firn_data_file_rows_total"
	mFileBytes  = "firn_data_file_bytes_total"
	mFiles      = "firn_data_files_total"
	mCommitted  = "firn_committed_events_total"
	mCommits    = "firn_commits_total"
	mCommitTime = "firn_commit_seconds_total"
	mBacklog    = "firn_backlog_events"
	mMemory     = "process_resident_memory_bytes"
	mCPU        = "process_cpu_seconds_total"
	mStoreRAM   = "firn_store_memory_bytes"
	mHeap       = "go_memstats_heap_inuse_bytes"
	mOfTable    = `firn_table_backlog_events{table="`
)

var wanted = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range []string{mAcked, mRaw, mBlocks, mGroups, mLogBytes, mStaged, mEncoded, mFileBytes, mFiles, mCommitted, mCommits,
		mCommitTime, mBacklog, mMemory, mCPU, mStoreRAM, mHeap} {
		m[name] = true
	}
	return m
}()

// scrape reads the server's metrics. ours says which tables' backlog to sum up.
func scrape(addr string, ours func(table string) bool) (counters, error) {
	resp, err := client.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics: %s", resp.Status)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	c := counters{}
	for line := range bytes.Lines(text) {
		name, number, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		table, isTable := strings.CutPrefix(name, mOfTable)
		if !wanted[name] && !isTable {
			continue
		}
		v, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %s: %w", name, err)
		}
		if !isTable {
			c[name] = v
		} else if ours(strings.TrimSuffix(table, `"}`)) {
			c[mOfTable] += v
		}
	}
	return c, nil
}
