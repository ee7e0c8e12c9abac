package e2e

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"firn/perf/tier"
)

const (
	flightRows = 336_776
	// flightFiles: 6,936 of the year's hours have a flight, and each cut may split the hours that it falls into.
	flightFiles = 9_000
	// flightMemory is what the daemon may use, while one segment spans thousands of hours. The
	// reference host has 1 GB for everything.
	flightMemory = 300 << 20
)

// A year of real events, posted in bulk, is read back equal, from few files, by a daemon with little memory.
func TestFlights(t *testing.T) {
	tier.Need(t, tier.CI)
	flights := Flights(t)
	if len(flights) != flightRows {
		t.Fatalf("the package has %d flights, want %d", len(flights), flightRows)
	}
	data := t.TempDir()
	d := Start(t, Options{
		Binary:  PlainIngestd(t), // the race detector multiplies memory
		Data:    data,
		Flags:   []string{"-memory-limit", "150MiB"},
		Wrapper: MemoryLimit(t, flightMemory),
	})
	c := d.Client()
	c.Put(t, "flights", `{"time_window_back":"20000d"}`)

	from := time.Now()
	rows := Expected{}
	var mu sync.Mutex // rows
	var wg sync.WaitGroup
	chunks := make(chan []Event)
	for range 4 {
		wg.Go(func() {
			for chunk := range chunks {
				ack, err := c.Bulk(context.Background(), "flights", false, chunk)
				if err != nil || ack.Accepted != len(chunk) {
					t.Errorf("post %d flights: %+v, %v", len(chunk), ack, err)
					continue
				}
				mu.Lock()
				for i, e := range chunk {
					rows.Add(t, e.Row(ack.Log, ack.First+int64(i)))
				}
				mu.Unlock()
			}
		})
	}
	for i := 0; i < len(flights); i += 500 {
		chunks <- flights[i:min(i+500, len(flights))]
	}
	close(chunks)
	wg.Wait()
	posted := time.Since(from)
	c.Commit(t, "flights")
	committed := time.Since(from)
	peak := d.PeakMemory()
	d.Stop()
	to := time.Now()

	table := filepath.Join(data, "warehouse", "default", "flights")
	files := countParquet(t, table)
	t.Logf("%d flights posted in %v, committed after %v, in %d data files; at most %d MB resident",
		len(flights), posted.Round(time.Millisecond), committed.Round(time.Millisecond), files, peak>>20)
	if files > flightFiles {
		t.Errorf("%d data files, want at most %d", files, flightFiles)
	}
	if peak > flightMemory {
		t.Errorf("the daemon had %d bytes resident, want at most %d", peak, flightMemory)
	}
	for _, engine := range []string{"duckdb-folder", "pyiceberg"} {
		rows.Compare(t, engine, table, from.UnixMicro(), to.UnixMicro())
	}
}
