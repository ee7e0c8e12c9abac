package commitq

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"firn/commitlib"
	"firn/commitlib/objstore"
)

var someLog = uuid.MustParse("019365f0-1111-7abc-8def-0123456789ab")

// largeRequest is a body that names its table and range, and is as large as told.
func largeRequest(store objstore.Store, log uuid.UUID, last, size int) []byte {
	head := fmt.Sprintf(`{"location":"%s/default/a","log":"%s","first":1,"last":%d,"pad":"`, store.Root(), log, last)
	return []byte(head + strings.Repeat("x", size-len(head)-2) + `"}`)
}

func objects(t *testing.T, store objstore.Store) (keys []string) {
	t.Helper()
	if err := store.List(t.Context(), "", func(i objstore.Info) error { keys = append(keys, i.Key); return nil }); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestLargeRequestGoesByWayOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		q := newSender(t, f, nil)
		var sent [][]byte
		f.answer = func(m Message) error { sent = append(sent, m.Body); return nil }
		size := func(n int) []byte {
			t.Helper()
			sent = nil
			mustSend(t, q, Message{ID: "1", Group: "default.a", Body: largeRequest(q.store, someLog, n, n)})
			synctest.Wait()
			return sent[0]
		}
		if got := size(maxInline); len(got) != maxInline || len(objects(t, q.store)) != 0 {
			t.Errorf("a request that fits was sent as %d bytes", len(got))
		}
		got := size(maxInline + 1)
		keys := objects(t, q.store)
		if len(got) > 400 || len(keys) != 1 || !strings.HasPrefix(keys[0], "default/a/_firn/claims/"+someLog.String()+"/1-262145-") || !bytes.Contains(got, []byte(keys[0])) {
			t.Errorf("sent %q, stored %q", got, keys)
		}
		f.mu.Lock()
		f.maxBytes = 4096 // a queue that takes less: room for a dead letter's reason is left
		f.mu.Unlock()
		if got := size(4096 - 512); len(got) != 4096-512 {
			t.Errorf("sent %d bytes", len(got))
		}
		if got := size(4096 - 511); len(got) > 400 {
			t.Errorf("sent %d bytes", len(got))
		}
		if s := q.Stats(); s.Claims != 2 || s.Handled != 4 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestRequestThatTheStoreDoesNotTakeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		q := newSender(t, f, nil)
		store := q.store.(*objstore.Mem)
		broken := errors.New("store is broken")
		store.SetFault(func(objstore.Call) objstore.Fault { return objstore.Fault{Err: broken} })
		m := Message{ID: "1", Group: "default.a", Body: largeRequest(store, someLog, 9, maxInline+1)}
		if err := q.Send(t.Context(), []Message{messages("b", 0, 1)[0], m}); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		if f.calls() != 0 || q.Stats().Messages != 0 {
			t.Errorf("%d calls, %+v", f.calls(), q.Stats())
		}
		// A queue that refuses costs the store nothing.
		store.SetFault(nil)
		store.ResetCounts()
		mustClose(t, q)
		if err := q.Send(t.Context(), []Message{m}); !errors.Is(err, ErrClosed) || store.Counts().Calls() != 0 {
			t.Errorf("got %v, %d calls to the store", err, store.Counts().Calls())
		}
	})
}

func TestClaimsAreRemovedOnceTheTableHasThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		q := newSender(t, f, nil)
		store := q.store.(*objstore.Mem)
		other := uuid.MustParse("019365f0-2222-7abc-8def-0123456789ab")
		for _, last := range []int{5, 9, 12} {
			for range 2 { // sent again
				mustSend(t, q, Message{ID: "1", Group: "default.a", Body: largeRequest(store, someLog, last, maxInline+1)})
			}
		}
		mustSend(t, q, Message{ID: "1", Group: "default.a", Body: largeRequest(store, other, 5, maxInline+1)})
		store.ResetCounts()
		q.Settled(t.Context(), "default.a", someLog, 4)
		q.Settled(t.Context(), "default.b", someLog, 40)
		if n := store.Counts().Calls(); n != 0 {
			t.Errorf("%d calls with nothing to remove", n)
		}
		q.Settled(t.Context(), "default.a", someLog, 11)
		if n := store.Counts().Calls(); n != 1 {
			t.Errorf("%d calls", n)
		}
		left := objects(t, store)
		if len(left) != 2 || !slices.ContainsFunc(left, func(k string) bool { return strings.Contains(k, "/1-12-") }) || !slices.ContainsFunc(left, func(k string) bool { return strings.Contains(k, other.String()) }) {
			t.Errorf("left %q", left)
		}
		// A store that does not answer costs an object, and the shipper nothing.
		store.SetFault(func(objstore.Call) objstore.Fault { return objstore.Fault{Err: errors.New("store is broken")} })
		q.Settled(t.Context(), "default.a", someLog, 12)
		q.Settled(t.Context(), "default.a", other, 5)
		store.SetFault(nil)
		if q.claims.n != 0 || len(q.claims.held) != 0 || len(objects(t, store)) != 2 {
			t.Errorf("%d claims remembered, %d objects", q.claims.n, len(objects(t, store)))
		}
		mustClose(t, q)
	})
}

func TestRememberedClaimsAreBounded(t *testing.T) {
	var c claims
	for i := range maxClaims + 100 {
		c.add("t", &commitlib.Claim{Key: fmt.Sprint(i), Log: someLog, Last: commitlib.Seq(i)})
	}
	if c.n != maxClaims || c.count() != maxClaims+100 {
		t.Errorf("%d remembered of %d", c.n, c.count())
	}
	if keys := c.take(track{"t", someLog}, maxClaims+100); len(keys) != maxClaims || c.n != 0 {
		t.Errorf("%d taken, %d left", len(keys), c.n)
	}
}

// U+FFFE and U+FFFF are JSON as they stand, and no XML, which SQS demands.
func TestCharactersThatSQSDoesNotTakeAreEscaped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSQS()
		q := newSender(t, f, nil)
		var got string
		f.answer = func(m Message) error { got = string(m.Body); return nil }
		body := []byte("{\"path\":\"a\ufffeb\uffff\ufffec\"}")
		mustSend(t, q, Message{ID: "1", Group: "g", Body: body})
		mustClose(t, q)
		if want := `{"path":"a\ufffeb\uffff\ufffec"}`; got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
		if !bytes.Contains(body, []byte("\ufffe")) {
			t.Error("the caller's bytes were changed")
		}
	})
}
