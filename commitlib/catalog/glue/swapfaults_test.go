package glue_test

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"firn/commitlib/catalog/catalogtest"
	"firn/commitlib/objstore"
	"firn/perf/peer"
)

// contractEnv is catalogtest's Env on a service, with its faults by a proxy of its own.
func contractEnv(t *testing.T, endpoint string, store objstore.Store) catalogtest.Env {
	t.Helper()
	proxy, account := peer.Proxy(t, endpoint), newAccount()
	f := &swapFaults{t: t, endpoint: endpoint, swaps: -1}
	proxy.Hook(f.fate)
	return catalogtest.Env{
		Catalog: open(t, config(t, proxy.URL, account, store)), Rival: open(t, config(t, proxy.URL, account, store)),
		Fault: f.next, Settle: f.settle,
	}
}

// swapFaults makes swaps go wrong on their way.
type swapFaults struct {
	t        *testing.T
	endpoint string

	mu      sync.Mutex // protects all below
	pending *catalogtest.Fault
	swaps   int             // that came since the last one that went wrong; -1: none did yet
	late    []*peer.Request // kept with their signatures until they settle
}

// swapsBetween is how many swaps go right after one that went wrong. The contract asks for fault after fault in a loop:
// were each swap to go wrong, its race would take minutes.
const swapsBetween = 4

func (f *swapFaults) next(fault catalogtest.Fault) {
	f.mu.Lock()
	early := f.pending != nil || f.swaps >= 0 && f.swaps < swapsBetween
	if !early {
		f.pending = &fault
	}
	f.mu.Unlock()
	if early {
		time.Sleep(time.Millisecond) // the loop need not take a core
	}
}

func (f *swapFaults) fate(r *peer.Request) peer.Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Operation != "UpdateTable" {
		return peer.Fault{}
	}
	if f.pending == nil {
		if f.swaps >= 0 {
			f.swaps++
		}
		return peer.Fault{}
	}
	fault := *f.pending
	f.pending, f.swaps = nil, 0
	switch fault {
	case catalogtest.LostResponse:
		return peer.Fault{Lose: true}
	case catalogtest.Late:
		f.late = append(f.late, &peer.Request{Header: r.Header.Clone(), Body: bytes.Clone(r.Body)})
	}
	return peer.Fault{Reset: true}
}

// settle sends the service what is late.
func (f *swapFaults) settle() {
	f.mu.Lock()
	due := f.late
	f.late = nil
	f.mu.Unlock()
	for _, r := range due {
		resend(f.t, f.endpoint, r)
	}
}

func resend(t *testing.T, endpoint string, r *peer.Request) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, endpoint+"/", bytes.NewReader(r.Body))
	if err != nil {
		t.Error(err)
		return
	}
	for name, v := range r.Header {
		if name != "Content-Length" {
			req.Header[name] = v
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body) // nobody waits for its answer
	resp.Body.Close()
}
