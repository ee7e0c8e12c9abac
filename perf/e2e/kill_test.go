package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"firn/ingestd/phase"
	"firn/perf/tier"
)

// The daemon is killed by SIGKILL again and again under load, at random moments and in the midst of each phase.
// Whatever was acked is in the tables once, whatever was not is there at most once, and nothing hangs.
func TestSIGKILL(t *testing.T) {
	seed := Seed(t)
	r := rand.New(rand.NewPCG(seed, 1))
	tables := []string{"clicks", "views", "orders"}
	kills := tier.Pick(10, 100, 1000)
	p := NewProducers(NewLedger(), 0, 36, tables...)
	data := t.TempDir()
	options := func(i int) Options {
		return Options{
			Data:  data,
			Flags: []string{"-cut-interval", "150ms"},
			Env:   []string{"FIRN_PHASE_FILE=" + filepath.Join(t.TempDir(), fmt.Sprintf("phases-%d", i))},
		}
	}
	hit := map[string]int{}
	for i := range kills {
		o := options(i)
		d := Start(t, o)
		phases := MapPhases(t, strings.TrimPrefix(o.Env[0], "FIRN_PHASE_FILE="))
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.Run(ctx, t, d.URL, seed+uint64(i))
		}()

		// Two of three kills wait for a phase, each in turn; the others come at any moment.
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		aim := "any moment"
		if i%3 != 2 {
			n := (i - i/3) % len(phase.Names)
			aim = phase.Names[n]
			if !phases.Await(n, 5*time.Second) {
				aim += ", not seen"
			}
			time.Sleep(time.Duration(r.IntN(3000)) * time.Microsecond) // into what a longer phase does
		}
		d.Kill()
		stop()
		select {
		case <-done:
		case <-time.After(2 * requestTime):
			t.Fatalf("kill %d: requests still hang %v after the daemon's death", i, 2*requestTime)
		}
		struck := phases.Struck(t)
		phases.Close()
		for _, name := range struck {
			hit[name]++
		}
		if len(struck) == 0 {
			hit["none"]++
		}
		if testing.Verbose() || kills <= 10 {
			t.Logf("kill %d, aimed at %s: hit %s", i, aim, strings.Join(struck, ", "))
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d kills hit: %v", kills, hit)
	if kills >= 100 {
		for _, name := range phase.Names {
			if hit[name]*100 < 5*kills {
				t.Errorf("phase %s was hit by %d of %d kills, want 5 in 100", name, hit[name], kills)
			}
		}
	}

	// A table with a snapshot for each 150 ms of an hour makes every commit slow; the last run need not add more of them.
	last := options(kills)
	last.Flags = []string{"-cut-interval", "5s"}
	d := Start(t, last)
	t.Logf("%d events were sent again under their keys", p.Resend(t, d.Client()))
	d.Stop()
	Drain(t, options(kills+1), 2*time.Minute)
	for _, engine := range []string{"duckdb-folder", "pyiceberg"} {
		p.Ledger.Verify(t, engine, Folder(filepath.Join(data, "warehouse")), tables...)
	}
	// A second drain finds nothing to do.
	Drain(t, options(kills+2), 30*time.Second)
}
