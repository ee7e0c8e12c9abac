package sim

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// TestMain lets the heap grow: a run's is small and short-lived, and collecting it took a fifth of the time.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	m.Run()
}

// maxFailures ends a test early: the first seeds tell enough.
const maxFailures = 5

// inParallel calls play for the seeds from first to last, on all processors, until some were not to its liking.
func inParallel(t *testing.T, first, last uint64, play func(t *testing.T, seed uint64) bool) {
	t.Helper()
	var taken, failed atomic.Uint64
	var workers sync.WaitGroup
	for i := range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			t.Run(fmt.Sprintf("worker-%d", i), func(t *testing.T) {
				for failed.Load() < maxFailures {
					seed := first + taken.Add(1) - 1
					if seed > last {
						return
					}
					if !play(t, seed) {
						failed.Add(1)
						t.Logf("replay with: FIRN_SEED=%d go test ./ingestd/sim -run TestSeed$ -v", seed)
					}
				}
			})
		})
	}
	workers.Wait()
}

// TestSeed replays the seed that FIRN_SEED names, and prints each step.
func TestSeed(t *testing.T) {
	text, ok := os.LookupEnv("FIRN_SEED")
	if !ok {
		t.Skip("FIRN_SEED names no seed to replay")
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("FIRN_SEED: %v", err)
	}
	var trace bytes.Buffer
	wrong := run(t, seed, &trace).wrong
	t.Logf("seed %d:\n%s", seed, trace.String())
	for _, msg := range wrong {
		t.Error(msg)
	}
}

// TestSeedsReplay holds that a seed is a run: the same steps at the same times, the second time as the first.
func TestSeedsReplay(t *testing.T) {
	seeds := uint64(12)
	if underRace {
		seeds = 2
	}
	for seed := range seeds {
		var first, second bytes.Buffer
		run(t, seed+1000, &first)
		run(t, seed+1000, &second)
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			a, b := bytes.Split(first.Bytes(), []byte("\n")), bytes.Split(second.Bytes(), []byte("\n"))
			for i := range min(len(a), len(b)) {
				if !bytes.Equal(a[i], b[i]) {
					t.Fatalf("seed %d: step %d differs:\n%s\n%s", seed+1000, i, a[i], b[i])
				}
			}
			t.Fatalf("seed %d: %d steps, then %d", seed+1000, len(a), len(b))
		}
	}
}
