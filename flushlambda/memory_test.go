package main

import (
	"fmt"
	"strings"
	"testing"

	"firn/commitlib"
	"firn/perf/peer"
	"firn/perf/spawn"
	"firn/perf/tier"
	"firn/perf/track"
)

// functionMemory is what OPERATION.md gives the function, in bytes.
const functionMemory = 256 << 20

// The largest requests that there are, a whole batch of them, put aside in the store: the function takes what fits its
// memory, returns the rest, and is through after a few deliveries.
func TestLargestRequestsFitTheFunction(t *testing.T) {
	tier.Need(t, tier.CI)
	t.Parallel()
	s := peer.S3(t)
	spec, err := track.Spec()
	if err != nil {
		t.Fatal(err)
	}
	l := newLakeOf(t, spec, append(s.Env(), "FIRN_WAREHOUSE="+s.Root()+"/lake")...)
	tr := track.New(l.table)
	l.log = tr.Log
	const requests = 3
	files := largest(t, tr)
	bodies, order := map[string]string{}, []string{}
	for i := range requests {
		m, err := track.Message(tr.Request(files))
		if err != nil {
			t.Fatal(err)
		}
		claim, err := commitlib.StoreClaim(t.Context(), l.store, m.Body)
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprint("m", i)
		bodies[id], order = string(claim.Message), append(order, id)
		t.Logf("request %d: %d files in %.1f MB", i, files, float64(len(m.Body))/1e6)
	}
	f := l.start()
	deliveries := 0
	for ; deliveries < 5 && len(order) > 0; deliveries++ {
		got := invoke(t, f, batch(t, tableID.String(), bodies, order...))
		left := order[:0:0]
		for _, id := range order {
			if strings.Contains(string(got.Body), `"`+id+`"`) {
				left = append(left, id)
			}
		}
		order = left
	}
	if mark, _ := l.state(); len(order) > 0 || mark != tr.Next-1 {
		t.Errorf("after %d deliveries the watermark is %d, want %d; left are %v", deliveries, mark, tr.Next-1, order)
	}
	peak := spawn.Memory(t, f.PID(), "VmHWM")
	t.Logf("%d deliveries, %.0f MB at most", deliveries, float64(peak)/1e6)
	if peak > functionMemory/100*85 { // Lambda counts more than this process
		t.Errorf("the function had %d bytes resident, of %d that it gets", peak, functionMemory)
	}
}

// largest is how many files the largest request of the log has.
func largest(t *testing.T, tr *track.Track) int {
	t.Helper()
	const sample = 1000
	copied := *tr
	m, err := track.Message(copied.Request(sample))
	if err != nil {
		t.Fatal(err)
	}
	// A little less: numbers grow longer.
	return min(commitlib.MaxRequestFiles, commitlib.MaxRequestBytes/(len(m.Body)/sample+8))
}
