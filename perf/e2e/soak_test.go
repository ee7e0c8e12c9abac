package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"firn/perf/spawn"
	"firn/perf/tier"
)

// soakFor is how long TestSoak loads the daemon, unless FIRN_SOAK says otherwise.
const soakFor = 2 * time.Hour

// Hours of steady load: memory and the log's size level off, and at the end every acked event is in its table once.
func TestSoak(t *testing.T) {
	tier.Need(t, tier.Soak)
	length := soakFor
	if s := os.Getenv("FIRN_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := Seed(t)
	o := Options{Binary: PlainIngestd(t), Data: t.TempDir(), Flags: []string{"-cut-interval", "2s"}}
	d := Start(t, o)
	p := NewProducers(NewLedger(), 0, 8, "clicks", "views")
	p.Pause = 60 * time.Millisecond
	ctx, stop := context.WithTimeout(context.Background(), length)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx, t, d.URL, seed)
	}()

	// The second quarter is warm; what the last one has more than that is growth.
	var memory, size [4]int64
	began := time.Now()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(length / 200):
		}
		quarter := min(3, int(4*time.Since(began)/length))
		memory[quarter] = max(memory[quarter], spawn.Memory(t, d.PID(), "VmRSS"))
		size[quarter] = max(size[quarter], logSize(t, d.Data))
	}
	t.Logf("by quarters: memory %v, log size %v", megabytes(memory), megabytes(size))
	if memory[3] > memory[1]*5/4+16<<20 {
		t.Errorf("memory grows: %v by quarters", megabytes(memory))
	}
	if size[3] > size[1]*5/4+64<<20 {
		t.Errorf("the log grows: %v by quarters", megabytes(size))
	}
	d.Stop()
	Drain(t, o, 2*time.Minute)
	p.Ledger.Verify(t, "duckdb-folder", Folder(filepath.Join(d.Data, "warehouse")), "clicks", "views")
}

// logSize is what the data directory holds beside the warehouse.
func logSize(t *testing.T, data string) (n int64) {
	t.Helper()
	filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // gone since it was listed
		}
		if e.IsDir() && e.Name() == "warehouse" {
			return fs.SkipDir
		}
		if info, err := e.Info(); err == nil && !e.IsDir() {
			n += info.Size()
		}
		return nil
	})
	return n
}

func megabytes(quarters [4]int64) (s [4]string) {
	for i, n := range quarters {
		s[i] = fmt.Sprintf("%d MB", n>>20)
	}
	return s
}
