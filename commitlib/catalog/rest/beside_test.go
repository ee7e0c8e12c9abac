package rest_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/perf/peer"
	"firn/perf/tier"
)

// TestBesidePyIceberg: two committers get every request of two logs, in any order, and lose the answer to one commit in
// five, while PyIceberg appends to the table, expires its snapshots and adds columns. Its rows and columns are there in
// the end, and each of our events once.
func TestBesidePyIceberg(t *testing.T) {
	tier.Need(t, tier.CI)
	const each = 4 // events of a request
	requests := tier.Pick(0, 8, 30)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)

	server := peer.REST(t)
	proxy := peer.Proxy(t, server.Base())
	var lost atomic.Int64
	proxy.Hook(func(r *peer.Request) peer.Fault {
		if r.Method == http.MethodPost && bytes.Contains(r.Body, []byte(`"add-snapshot"`)) && r.N%5 == 0 {
			lost.Add(1)
			return peer.Fault{Lose: true}
		}
		return peer.Fault{}
	})
	cfg := commitlib.DefaultConfig()
	cfg.BackoffMax = 200 * time.Millisecond
	first := newUser(t, server.At(proxy), cfg)
	table := first.newTable(t)
	var all []*commitlib.Request
	want := map[string]int{}
	for range 2 {
		log := uuid.Must(uuid.NewV7())
		for i := range requests {
			lo := int64(i*each + 1)
			all = append(all, first.stage(t, table, log, lo, lo+each-1))
			for seq := lo; seq < lo+each; seq++ {
				want[fmt.Sprintf("%s %d", log, seq)] = 1
			}
		}
	}

	var wg sync.WaitGroup
	var did struct {
		Rows, Expired, Conflicts int
		Columns                  []string
	}
	rounds := tier.Pick(0, 6, 20)
	wg.Go(func() { run(t, neighbour(t, server, "work", fmt.Sprint(rounds)), &did) })
	for i, u := range []*user{first, newUser(t, server.At(proxy), cfg)} {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() { deliver(t, u, slices.Clone(all), rng) })
	}
	wg.Wait()
	if t.Failed() {
		return
	}

	for i := range did.Rows {
		want[fmt.Sprintf("theirs %d", i+1)] = 1
	}
	var got struct {
		Columns    []string
		Properties map[string]string
		Rows       []string
	}
	run(t, neighbour(t, server, "read"), &got)
	counts := map[string]int{}
	for _, row := range got.Rows {
		counts[row]++
	}
	for row, n := range want {
		if counts[row] != n {
			t.Errorf("row %s is there %d times", row, counts[row])
		}
	}
	if len(counts) != len(want) {
		t.Errorf("%d distinct rows, want %d", len(counts), len(want))
	}
	for _, name := range did.Columns {
		if !slices.Contains(got.Columns, name) {
			t.Errorf("their column %s is gone: %v", name, got.Columns)
		}
	}
	if marks, err := commitlib.ParseWatermarks(got.Properties); err != nil || len(marks.Logs) != 2 {
		t.Errorf("watermarks: %+v, %v", marks, err)
	} else {
		for log, mark := range marks.Logs {
			if mark.Last != commitlib.Seq(requests*each) {
				t.Errorf("log %s is at %d, want %d", log, mark.Last, requests*each)
			}
		}
	}
	if did.Expired == 0 || len(did.Columns) == 0 || lost.Load() == 0 {
		t.Errorf("the test shows nothing: they expired %d snapshots and added %v; %d answers were lost", did.Expired, did.Columns, lost.Load())
	}
	t.Logf("they: %d rows, %d snapshots expired, columns %s, %d conflicts; we: %d requests, %d lost answers",
		did.Rows, did.Expired, strings.Join(did.Columns, " "), did.Conflicts, len(all), lost.Load())
}

// deliver gives a committer requests, one to three at a time and in any order, until each is settled.
func deliver(t *testing.T, u *user, left []*commitlib.Request, rng *rand.Rand) {
	for deadline := time.Now().Add(3 * time.Minute); len(left) > 0; {
		if time.Now().After(deadline) {
			t.Errorf("%d requests are not settled", len(left))
			return
		}
		rng.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		n := min(len(left), 1+rng.IntN(3))
		results, err := u.committer.Commit(t.Context(), clicks, left[:n])
		var again []*commitlib.Request
		for i, r := range results {
			switch r.Outcome {
			case commitlib.Rejected:
				t.Errorf("request [%d, %d] of %s was rejected: %s (%v)", left[i].First, left[i].Last, left[i].Log, r.Reason, err)
				return
			case commitlib.Dropped, commitlib.Undecided:
				again = append(again, left[i])
			}
		}
		left = append(again, left[n:]...)
	}
}
