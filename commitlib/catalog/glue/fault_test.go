package glue_test

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
	"firn/perf/peer"
)

var sentinels = []error{catalog.ErrNoTable, catalog.ErrTableExists, catalog.ErrConflict, catalog.ErrUnknown, catalog.ErrRejected}

// wantError fails unless err is want among the port's answers (nil: none of them), and its text has every part.
func wantError(t *testing.T, err, want error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	for _, s := range sentinels {
		if errors.Is(err, s) != (s == want) {
			t.Errorf("%q: is %q: %v, want %v", err, s, errors.Is(err, s), want)
		}
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

// TestSwapFaults makes UpdateTable go wrong, and wants of each fault the port's answer, how often the request was sent,
// and whether the table has the swap afterwards. Whatever was answered, the table is whole and takes the next swap.
func TestSwapFaults(t *testing.T) {
	internal := says(500, "InternalServiceException", "")
	f := func(name string, times int, fault peer.Fault, want error, sends int64, applied bool, parts ...string) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			base := w.create()
			ch := w.change(base)
			sent := w.on("UpdateTable", times, fault)
			_, err := w.cat.Swap(t.Context(), base, ch)
			if want != nil || err != nil {
				wantError(t, err, want, parts...)
			}
			if n := sent.Load(); n != sends {
				t.Errorf("sent %d times, want %d", n, sends)
			}
			w.proxy.Hook(nil)
			now := w.load()
			if got := now.Metadata.CurrentSnapshotID == ch.Snapshot.ID; got != applied {
				t.Errorf("applied: %v, want %v", got, applied)
			}
			w.swap(now)
		})
	}
	// Throttled requests were not carried out, and are sent again.
	f("throttled", 2, peer.Fault{Answer: says(400, "ThrottlingException", "Rate exceeded")}, nil, 3, true)
	f("throttled by namespace", 1, peer.Fault{Answer: says(400, "com.amazonaws.glue#ThrottlingException:http://x", "")}, nil, 2, true)
	f("429", 1, peer.Fault{Answer: &peer.Answer{Status: 429}}, nil, 2, true)
	f("throttled on and on", 99, peer.Fault{Answer: says(400, "ThrottlingException", "Rate exceeded")}, catalog.ErrUnknown, 5, false, "Rate exceeded")
	// What may have been carried out is in doubt, and not sent again.
	f("500", 1, peer.Fault{Answer: internal}, catalog.ErrUnknown, 1, false, "InternalServiceException")
	f("500, applied", 1, peer.Fault{Instead: internal}, catalog.ErrUnknown, 1, true)
	f("503 of a front door", 1, peer.Fault{Answer: &peer.Answer{Status: 503, Body: "<html>busy</html>"}}, catalog.ErrUnknown, 1, false, "busy", "503")
	f("time-out inside Glue", 1, peer.Fault{Instead: says(400, "OperationTimeoutException", "")}, catalog.ErrUnknown, 1, true)
	f("a code that nobody knows", 1, peer.Fault{Answer: says(400, "NovelException", "never seen")}, catalog.ErrUnknown, 1, false, "never seen")
	f("a page in place of an answer", 1, peer.Fault{Answer: &peer.Answer{Status: 200, Body: "<html>log in first</html>"}}, catalog.ErrUnknown, 1, false, "decode answer")
	f("nothing in a success", 1, peer.Fault{Instead: &peer.Answer{Status: 200}}, nil, 1, true)
	f("reset", 1, peer.Fault{Reset: true}, catalog.ErrUnknown, 1, false)
	f("lost answer", 1, peer.Fault{Lose: true}, catalog.ErrUnknown, 1, true)
	f("half an answer", 1, peer.Fault{HalfSent: true}, catalog.ErrUnknown, 1, true)
	f("latency", 1, peer.Fault{Delay: 300 * time.Millisecond}, nil, 1, true)
	// A refusal proves something only if the request was sent once.
	f("conflict", 1, peer.Fault{Answer: says(400, "ConcurrentModificationException", "")}, catalog.ErrConflict, 1, false)
	f("gone", 1, peer.Fault{Answer: says(400, "EntityNotFoundException", "")}, catalog.ErrConflict, 1, false)
	f("invalid", 1, peer.Fault{Answer: says(400, "InvalidInputException", "column too long")}, catalog.ErrRejected, 1, false, "column too long")
	// What an operator must mend is told so; it may be mended, and the same request succeed.
	f("denied", 1, peer.Fault{Answer: says(400, "AccessDeniedException", "User: x is not authorized")}, catalog.ErrUnknown, 1, false, "not authorized", "glue:UpdateTable")
	f("wrong secret", 1, peer.Fault{Answer: says(400, "InvalidSignatureException", "The request signature we calculated does not match")}, catalog.ErrUnknown, 1, false, "access key")
	f("expired token", 1, peer.Fault{Answer: says(400, "ExpiredTokenException", "The security token included in the request is expired")}, catalog.ErrUnknown, 1, false, "renew the credentials")
	f("clock", 1, peer.Fault{Answer: says(400, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than …")}, catalog.ErrUnknown, 1, false, "set this host's clock: it is ")
}

// TestRefusalAfterResend: the second sending of a swap is refused because of the first one. No program can tell
// that from a rival's commit, so the answer is unknown.
func TestRefusalAfterResend(t *testing.T) {
	for _, code := range []string{"ConcurrentModificationException", "EntityNotFoundException", "InvalidInputException"} {
		w := newWorld(t)
		base := w.create()
		ch := w.change(base)
		w.proxy.Hook(func(r *peer.Request) peer.Fault {
			switch {
			case r.Operation != "UpdateTable":
				return peer.Fault{}
			case r.N == 1:
				return peer.Fault{Instead: says(400, "ThrottlingException", "")} // a service that lies: it was carried out
			}
			return peer.Fault{Answer: says(400, code, "")}
		})
		_, err := w.cat.Swap(t.Context(), base, ch)
		wantError(t, err, catalog.ErrUnknown, code)
		if now := w.load(); now.Metadata.CurrentSnapshotID != ch.Snapshot.ID {
			t.Errorf("%s: the swap is not there", code)
		}
	}
}

// TestNothingDeleted: after a lost answer to a swap that was applied, the retry of a committer finds it, its files are
// all there, and no request was made that removes anything.
func TestNothingDeleted(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	var lost atomic.Bool
	w.proxy.Hook(func(r *peer.Request) peer.Fault {
		if strings.HasPrefix(r.Operation, "Delete") {
			t.Errorf("%s was sent", r.Operation)
		}
		return peer.Fault{Lose: r.Operation == "UpdateTable" && !lost.Swap(true)}
	})
	_, err := w.cat.Swap(t.Context(), base, w.change(base))
	wantError(t, err, catalog.ErrUnknown)
	now, err := w.cat.Refresh(t.Context(), base)
	if err != nil || len(now.Metadata.Snapshots) != 1 {
		t.Fatalf("refresh: %v, %v", now, err)
	}
	_, err = w.cat.Swap(t.Context(), base, w.change(base))
	wantError(t, err, catalog.ErrConflict)
	if n := w.store.Counts().Of(objstore.OpDelete).Calls; n != 0 {
		t.Errorf("%d deletions", n)
	}
}

// TestReadFaults makes reads go wrong: what passes is sent again, what does not is told.
func TestReadFaults(t *testing.T) {
	f := func(name, op string, times int, fault peer.Fault, want error, sends int64, parts ...string) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			base := w.create()
			sent := w.on(op, times, fault)
			var err error
			switch op {
			case "GetTable":
				_, err = w.cat.Refresh(t.Context(), base)
			case "GetTables":
				_, err = w.cat.List(t.Context(), "default")
			case "GetDatabase":
				_, err = w.cat.Create(t.Context(), catalog.Ident{Namespace: "default", Name: "other"}, spec)
			}
			if want != nil || len(parts) > 0 || err != nil {
				wantError(t, err, want, parts...)
			}
			if n := sent.Load(); n != sends {
				t.Errorf("sent %d times, want %d", n, sends)
			}
		})
	}
	for _, op := range []string{"GetTable", "GetTables", "GetDatabase"} {
		f(op+" throttled", op, 3, peer.Fault{Answer: says(400, "ThrottlingException", "")}, nil, 4)
		f(op+" 500", op, 2, peer.Fault{Answer: says(500, "InternalServiceException", "")}, nil, 3)
		f(op+" reset", op, 1, peer.Fault{Reset: true}, nil, 2)
		f(op+" lost", op, 1, peer.Fault{Lose: true}, nil, 2)
		f(op+" half sent", op, 1, peer.Fault{HalfSent: true}, nil, 2)
		f(op+" down", op, 99, peer.Fault{Answer: says(500, "InternalServiceException", "")}, nil, 5, "InternalServiceException")
		f(op+" denied", op, 99, peer.Fault{Answer: says(400, "AccessDeniedException", "Insufficient Lake Formation permission(s)")}, nil, 1, "glue:"+op, "Lake Formation")
		f(op+" bad answer", op, 99, peer.Fault{Answer: &peer.Answer{Status: 200, Body: "<html>log in first</html>"}}, nil, 5, "decode answer")
	}
	f("gone", "GetTable", 1, peer.Fault{Answer: says(400, "EntityNotFoundException", "")}, catalog.ErrNoTable, 1)
	f("no table in the answer", "GetTable", 1, peer.Fault{Answer: &peer.Answer{Status: 200, Body: "{}"}}, nil, 1, "no Table")
}

// TestSwapBehindFailedRead: a swap whose GetTable has no answer was not sent, and the table is as it was.
func TestSwapBehindFailedRead(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	var updates, reads atomic.Int64
	w.proxy.Hook(func(r *peer.Request) peer.Fault {
		switch {
		case r.Operation == "UpdateTable":
			updates.Add(1)
		case r.Operation == "GetTable" && reads.Add(1) <= 5:
			return peer.Fault{Answer: says(500, "InternalServiceException", "")}
		}
		return peer.Fault{}
	})
	_, err := w.cat.Swap(t.Context(), base, w.change(base))
	wantError(t, err, catalog.ErrUnknown, "was not sent")
	if n := updates.Load(); n != 0 {
		t.Errorf("UpdateTable was sent %d times", n)
	}
	w.store.SetFault(func(call objstore.Call) objstore.Fault {
		if call.Op == objstore.OpPut {
			return objstore.Fault{Err: objstore.ErrUnknown}
		}
		return objstore.Fault{}
	})
	_, err = w.cat.Swap(t.Context(), base, w.change(base))
	wantError(t, err, catalog.ErrUnknown, "was not sent")
	if n := updates.Load(); n != 0 {
		t.Errorf("UpdateTable named a file that may not be there: sent %d times", n)
	}
	w.store.SetFault(nil)
	w.swap(w.load())
}

// TestHang: a service that accepts a request and never answers costs no longer than the caller allows.
func TestHang(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	for _, op := range []string{"GetTable", "UpdateTable"} {
		w.on(op, 99, peer.Fault{Hang: true})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		_, err := w.cat.Swap(ctx, base, w.change(base))
		cancel()
		wantError(t, err, catalog.ErrUnknown)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v does not say that the time was over", op, err)
		}
	}
}

// TestHangWithoutDeadline: a sending has a time of its own, after which a read is sent again and a swap is in doubt.
func TestHangWithoutDeadline(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	w.cat.SetSendTime(100 * time.Millisecond)
	sent := w.on("GetTable", 2, peer.Fault{Hang: true})
	if same, err := w.cat.Refresh(t.Context(), base); err != nil || same != base || sent.Load() != 3 {
		t.Errorf("refresh: %v, %v after %d sendings, want 3", same, err, sent.Load())
	}
	sent = w.on("UpdateTable", 99, peer.Fault{Hang: true})
	_, err := w.cat.Swap(t.Context(), base, w.change(base))
	wantError(t, err, catalog.ErrUnknown, "UpdateTable")
	if n := sent.Load(); n != 1 {
		t.Errorf("the swap was sent %d times", n)
	}
}

// TestNobodyListens: what was never sent is in nobody's doubt for a create, and is told with its cause.
func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	w := newWorld(t)
	base := w.create()
	dead := open(t, config(t, "http://"+l.Addr().String(), newAccount(), w.store))
	_, err = dead.Load(t.Context(), clicks)
	wantError(t, err, nil, "GetTable", "refused")
	_, err = dead.Create(t.Context(), clicks, spec)
	wantError(t, err, nil, "GetDatabase", "refused")
	_, err = dead.Swap(t.Context(), base, w.change(base))
	wantError(t, err, catalog.ErrUnknown, "was not sent", "refused")
}

// renewed is a provider whose credentials can be had anew.
type renewed struct{ invalidated int }

func (p *renewed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return keys("x").Retrieve(ctx)
}
func (p *renewed) Invalidate() { p.invalidated++ }

// TestExpiredCredentials: a role's credentials are had anew once, and the swap goes on; if the new ones are no better,
// it is told.
func TestExpiredCredentials(t *testing.T) {
	expired := peer.Fault{Answer: says(400, "ExpiredTokenException", "The security token included in the request is expired")}
	f := func(times int, want error, sends int64) {
		t.Helper()
		w := newWorld(t)
		base := w.create()
		cfg := config(t, w.proxy.URL, "", w.store)
		role := &renewed{}
		cfg.AWS.Credentials = role
		sent := w.on("UpdateTable", times, expired)
		_, err := open(t, cfg).Swap(t.Context(), base, w.change(base))
		if want != nil {
			wantError(t, err, want, "renew the credentials")
		} else if err != nil {
			t.Error(err)
		}
		if n := sent.Load(); n != sends || role.invalidated != 1 {
			t.Errorf("sent %d times, credentials renewed %d times; want %d and 1", n, role.invalidated, sends)
		}
	}
	f(1, nil, 2)
	f(99, catalog.ErrUnknown, 2)
}

// TestClockOff: the answer to a signature of the wrong time says how far off the clock is.
func TestClockOff(t *testing.T) {
	w := newWorld(t)
	w.create()
	answer := says(400, "InvalidSignatureException", "Signature not yet current: …")
	answer.Header.Set("Date", time.Now().Add(-17*time.Minute).UTC().Format(http.TimeFormat))
	w.on("GetTable", 99, peer.Fault{Answer: answer})
	_, err := w.cat.Load(t.Context(), clicks)
	wantError(t, err, nil, "set this host's clock: it is 17m")
}

// TestOutageWithoutStorm: while the service is away the calls of a catalog are resent as often as the allowance has it,
// and asked once each after that; when it is back, calls succeed at once.
func TestOutageWithoutStorm(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	sent := w.on("GetTable", math.MaxInt, peer.Fault{Answer: says(400, "ThrottlingException", "")})
	const calls, allowance = 40, 50
	var wg sync.WaitGroup
	for range calls {
		wg.Go(func() {
			_, err := w.cat.Refresh(t.Context(), base)
			wantError(t, err, nil, "ThrottlingException")
		})
	}
	wg.Wait()
	if n := sent.Load(); n != calls+allowance {
		t.Errorf("%d calls were %d requests, want %d", calls, n, calls+allowance)
	}
	w.proxy.Hook(nil)
	w.swap(w.load())
}
