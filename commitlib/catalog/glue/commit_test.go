package glue_test

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"firn/commitlib"
	"firn/commitlib/catalog"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/perf/peer"
	"firn/perf/tier"
)

// firnSpec is a table as ingestd makes it.
func firnSpec(t *testing.T) catalog.Spec {
	t.Helper()
	partition, err := iceberg.EventSpec(nil)
	if err != nil {
		t.Fatal(err)
	}
	return catalog.Spec{Schema: iceberg.EventSchema(iceberg.String), Partition: partition, Properties: commitlib.NewTableProperties()}
}

// TestCost counts the requests of a warm commit, of a load, and of a look at a table that did not change.
func TestCost(t *testing.T) {
	w := newWorld(t)
	table, err := w.cat.Create(t.Context(), clicks, firnSpec(t))
	if err != nil {
		t.Fatal(err)
	}
	s, c := newSender(t, w.store, table), committer(w.cat, w.store)
	commit(t, c, s.stage(1))
	var mu sync.Mutex
	sent := map[string]int{}
	w.proxy.Hook(func(r *peer.Request) peer.Fault {
		mu.Lock()
		defer mu.Unlock()
		sent[r.Operation]++
		return peer.Fault{}
	})
	want := func(what string, glue map[string]int, store map[objstore.Op]int) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if !maps.Equal(sent, glue) {
			t.Errorf("%s made the requests %v, want %v", what, sent, glue)
		}
		counts, stored := w.store.Counts(), map[objstore.Op]int{}
		for op := objstore.OpPut; op <= objstore.OpDelete; op++ {
			if n := counts.Of(op).Calls; n > 0 {
				stored[op] = n
			}
		}
		if !maps.Equal(stored, store) {
			t.Errorf("%s made the store's requests %v, want %v", what, stored, store)
		}
		clear(sent)
		w.store.ResetCounts()
	}
	for range 3 {
		r := s.stage(1)
		w.store.ResetCounts()
		commit(t, c, r)
		want("a warm commit", map[string]int{"GetTable": 1, "UpdateTable": 1}, map[objstore.Op]int{objstore.OpPut: 3})
	}
	now := w.load()
	want("a load", map[string]int{"GetTable": 1}, map[objstore.Op]int{objstore.OpHead: 1, objstore.OpGet: 1})
	if same, err := w.cat.Refresh(t.Context(), now); err != nil || same != now {
		t.Errorf("refresh: %v, %v", same, err)
	}
	want("a refresh", map[string]int{"GetTable": 1}, map[objstore.Op]int{})
}

// TestCommitsUnderFaults: committers that share nothing but the service get the same requests, while their answers are
// lost, their connections reset, and the service throttles and errs. Each data file is in the table once, and is there.
func TestCommitsUnderFaults(t *testing.T) {
	w := newWorld(t)
	underFaults(t, w.proxy, w.cat, w.store, func() catalog.Catalog { return open(t, config(t, w.proxy.URL, newAccount(), w.store)) })
}

func underFaults(t *testing.T, proxy *peer.FaultProxy, first catalog.Catalog, store objstore.Store, another func() catalog.Catalog) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	table, err := first.Create(t.Context(), clicks, firnSpec(t))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 1))
	befell := map[string]int{}
	proxy.Hook(func(r *peer.Request) peer.Fault {
		mu.Lock()
		defer mu.Unlock()
		name, f := "", peer.Fault{}
		switch n := rng.IntN(100); {
		case n < 5:
			name, f = "throttled", peer.Fault{Answer: says(400, "ThrottlingException", "Rate exceeded")}
		case n < 10:
			name, f = "reset", peer.Fault{Reset: true}
		case n < 15:
			name, f = "late", peer.Fault{Delay: time.Duration(rng.IntN(20)) * time.Millisecond}
		case r.Operation != "UpdateTable":
		case n < 30:
			name, f = "answer lost", peer.Fault{Lose: true}
		case n < 40:
			name, f = "500, applied", peer.Fault{Instead: says(http.StatusInternalServerError, "InternalServiceException", "")}
		case n < 45:
			name, f = "half an answer", peer.Fault{HalfSent: true}
		}
		befell[name]++
		return f
	})
	const logs, committers = 2, 3
	segments := tier.Pick(8, 20, 100)
	want := map[string]int64{}
	var wg sync.WaitGroup
	for range logs {
		s := newSender(t, store, table)
		var requests []*commitlib.Request
		for i := range segments {
			r := s.stage(1 + i%3)
			requests = append(requests, r)
			want[r.Files[0].Path] = r.Files[0].RecordCount
		}
		for range committers {
			c := committer(another(), store)
			wg.Go(func() {
				for _, r := range requests {
					commit(t, c, r)
				}
			})
		}
	}
	wg.Wait()
	proxy.Hook(nil)
	now, err := first.Load(t.Context(), clicks)
	if err != nil {
		t.Fatal(err)
	}
	if got := filesOf(t, store, now); !maps.Equal(got, want) {
		t.Errorf("the table holds %d files, want %d", len(got), len(want))
	}
	t.Logf("%d snapshots; faults: %v", len(now.Metadata.Snapshots), befell)
}
