package commitlib

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/catalog/twin"
	"firn/commitlib/objstore"
)

var errBroken = errors.New("store is broken")

// faultKinds are the ways in which a call can go wrong; of a read only the error is left.
var faultKinds = map[string]objstore.Fault{
	"not applied":           {Err: errBroken},
	"unknown, lost":         {Err: objstore.ErrUnknown},
	"applied, then error":   {Applied: true},
	"applied a while later": {Late: 40 * time.Millisecond},
	"applied much later":    {Late: time.Hour},
}

// TestFaultAtEachCall breaks the k-th call to the store, and to the catalog's service, for every k and in each way, and
// delivers again until all is decided: each event is in the table once, also when what lingered has landed.
func TestFaultAtEachCall(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		for name, fault := range faultKinds {
			for service := range 2 {
				if mode == 0 && service == 1 {
					continue // package objectstore has no service
				}
				t.Run(fmt.Sprintf("%s, %s, service %d", mode, name, service), func(t *testing.T) {
					k := 1
					for faultAt(t, mode, fault, service == 1, k) {
						k++
					}
					if least := map[twin.Mode][2]int{0: {6}, twin.Glue: {5, 3}, twin.REST: {3, 2}}[mode][service]; k <= least {
						t.Fatalf("the faults hit %d calls, want at least %d", k-1, least)
					}
				})
			}
		}
	}
}

// faultAt reports whether there was a k-th call to break.
func faultAt(t *testing.T, mode twin.Mode, fault objstore.Fault, service bool, k int) (hit bool) {
	w := newWorldOn(t, mode)
	w.foreignAppend()
	a, b := w.log(), w.log()
	reqs := []*Request{w.request(a, 1, 5), w.request(b, 1, 2), w.request(a, 6, 9)}
	calls := 0
	at := func() bool {
		calls++
		hit = hit || calls == k
		return calls == k
	}
	twins, _ := w.cat.(*twin.Catalog)
	if service {
		twins.SetFault(func(c twin.Call) twin.Fault {
			switch {
			case !at():
				return twin.Fault{}
			case c.Op != twin.OpSwap:
				return twin.Fault{Err: errBroken}
			case errors.Is(fault.Err, errBroken): // a service's error on a swap leaves doubt
				return twin.Fault{Err: errBroken}
			}
			return twin.Fault{Err: nil, Applied: fault.Applied, Late: fault.Late}
		})
	} else {
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			switch {
			case !at():
				return objstore.Fault{}
			case c.Op != objstore.OpPut:
				return objstore.Fault{Err: errBroken}
			}
			return fault
		})
	}
	c := w.committer()
	for delivery := 1; ; delivery++ {
		results, err := c.Commit(t.Context(), w.id, reqs)
		if err == nil {
			for i, r := range results {
				if r.Outcome != Applied && r.Outcome != Skipped {
					t.Fatalf("k=%d: request %d: %+v", k, i, r)
				}
			}
			break
		}
		if delivery == 5 {
			t.Fatalf("k=%d: still undecided: %v", k, err)
		}
	}
	all := []Outcome{Skipped, Skipped, Skipped}
	w.commit(c, all, reqs...)
	w.store.Settle()
	if twins != nil {
		twins.Settle()
	}
	w.holds(map[uuid.UUID]Seq{a: 9, b: 2})
	w.commit(New(w.reopen(), w.store, w.config()), all, reqs...)
	if t.Failed() {
		t.Fatalf("at k=%d", k)
	}
	return hit
}

// TestLingeringSwapNeverDoubles lets a swap of unknown outcome land at each moment of what follows: before the reload,
// between reload and the next swap, and after it.
func TestLingeringSwapNeverDoubles(t *testing.T) {
	for _, mode := range []twin.Mode{0, twin.Glue, twin.REST} {
		for landAt := range 12 {
			w := newWorldOn(t, mode)
			a := w.log()
			w.commit(w.committer(), applied, w.request(a, 1, 1))
			twins, _ := w.cat.(*twin.Catalog)
			settle, lingering, swaps := false, false, 0
			cfg := w.config()
			cfg.Phase = func(_ string, enter bool) {
				if enter {
					swaps++
				}
			}
			step := func() { // one more call after the swap went astray
				if lingering {
					if landAt--; landAt == 0 {
						settle = true
					}
				}
			}
			cfg.Rand = func() uint64 { // called between all steps, outside of any lock
				if settle {
					settle = false
					w.store.Settle()
					if twins != nil {
						twins.Settle()
					}
				}
				step()
				return w.random()
			}
			if twins != nil {
				twins.SetFault(func(c twin.Call) twin.Fault {
					if c.Op == twin.OpSwap && !lingering {
						lingering = true
						return twin.Fault{Late: time.Hour}
					}
					return twin.Fault{}
				})
			} else {
				w.store.SetFault(func(c objstore.Call) objstore.Fault {
					if c.Op == objstore.OpPut && c.Key == "default/clicks/metadata/v3.metadata.json" && !lingering {
						lingering = true
						return objstore.Fault{Late: time.Hour}
					}
					return objstore.Fault{}
				})
			}
			w.commit(New(w.cat, w.store, cfg), applied, w.request(a, 2, 5))
			w.store.Settle()
			if twins != nil {
				twins.Settle()
			}
			w.holds(map[uuid.UUID]Seq{a: 5})
			if t.Failed() {
				t.Fatalf("%s, landing at %d: %d swaps", mode, landAt, swaps)
			}
		}
	}
}
