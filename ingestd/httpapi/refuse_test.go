package httpapi

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"firn/ingestd/eventlog"
	"firn/ingestd/kv"
)

// newFull is a stack whose log is at its bound, with the key "known" in table keyed and none in table events.
func newFull(t *testing.T, more options) *stack {
	t.Helper()
	more.log = func(c *eventlog.Config) {
		c.MaxBytes = 4 << 20
		c.MaxTableBytes = c.MaxBytes
	}
	s := newStack(t, more)
	s.ok(s.do("POST", "/tables/events", "x"))
	s.ok(s.do("POST", "/tables/keyed", "x", "Idempotency-Key: known"))
	noise := make([]byte, 60<<10)
	for i := range noise {
		noise[i] = ' ' + byte(rand.IntN(95))
	}
	for size := len(noise); size > 0; {
		if a := s.do("POST", "/tables/events", string(noise[:size])); a.status == 503 {
			s.want(a, 503, "backlog_full", -1, -1)
			size /= 4
		}
	}
	http.DefaultClient.CloseIdleConnections()
	return s
}

// TestRefusedUnread has requests refused of whose bodies not a byte was sent. The bodies that come after the refusals
// are let go of, and the connection serves on.
func TestRefusedUnread(t *testing.T) {
	s := newFull(t, options{})
	body := strings.Repeat("x", 200<<10)
	f := func(path, headers string) {
		t.Helper()
		c := s.dial()
		h := head(path, headers+fmt.Sprintf("Content-Length: %d\r\n", len(body)))
		for range 3 {
			a := s.raw(c, h)
			s.want(a, 503, "backlog_full", -1, -1)
			if wait := a.header.Get("Retry-After"); wait != "1" && wait != "2" {
				t.Errorf("Retry-After is %q", wait)
			}
			_, _ = io.WriteString(c, body)
		}
	}
	f("/tables/events", "")
	f("/tables/events", "Idempotency-Key: k\r\n") // its table has none, so that it cannot be a retry
	f("/tables/keyed", "")
	f("/tables/events/bulk", "")
	f("/tables/keyed/bulk", "Content-Type: application/x-ndjson\r\n")

	// Whoever asks before it sends, which net/http answers, is not told to.
	s.want(s.raw(s.dial(), head("/tables/events", "Expect: 100-continue\r\nContent-Length: 9\r\n")), 503, "backlog_full", -1, -1)
}

// TestRefusedUndecoded has bodies refused that are wrong: that they are was not looked at. A retry needs no room, so
// that bodies which may hold keys are decoded where the table has any.
func TestRefusedUndecoded(t *testing.T) {
	s := newFull(t, options{})
	f := func(path, body string, status int, code string, headers ...string) {
		t.Helper()
		a := s.do("POST", path, body, headers...)
		if a.status != status || a.Error.Code != code {
			t.Errorf("%s %s: %d %s", path, body, a.status, a.body)
		}
	}
	f("/tables/events/bulk", `{"records":[{"payload":1,"idempotency_key":"k"},`, 503, "backlog_full")
	f("/tables/keyed/bulk", `{"records":[{"payload":"\u003c"},`, 503, "backlog_full")
	f("/tables/keyed/bulk", "nonsense", 503, "backlog_full", asNDJSON)
	f("/tables/keyed", "{", 503, "backlog_full", asJSON)

	f("/tables/keyed/bulk", `{"records":[{"payload":1,"idempotency_key":"known"},`, 400, "truncated_json")
	f("/tables/keyed/bulk", `{"records":[{"payload":1,"idempotency\u005fkey":"known"},`, 400, "truncated_json")
	f("/tables/keyed/bulk", `{"records":[{"payload":1,"idempotency_key":"new"}]}`, 503, "backlog_full")
	f("/tables/keyed/bulk", `{"records":[{"payload":1,"idempotency_key":"known"},{"payload":1}]}`, 503, "backlog_full")
	for _, a := range []answer{
		s.do("POST", "/tables/keyed", "x", "Idempotency-Key: known"),
		s.do("POST", "/tables/keyed/bulk", `{"records":[{"payload":1,"idempotency_key":"known"}]}`),
		s.do("POST", "/tables/keyed/bulk", `{"records":[{"payload":1,"idempotency\u005fkey":"known"}]}`),
	} {
		if s.ok(a); a.Accepted != 0 || a.Duplicates != 1 || a.First != 1 {
			t.Errorf("a retry got %s", a.body)
		}
	}
}

// heldStore holds writes back while held is not nil.
type heldStore struct {
	*kv.Mem
	begun, held chan struct{}
}

func (s *heldStore) Write(b *kv.Batch, sync bool) error {
	if s.held != nil && sync {
		s.begun <- struct{}{}
		<-s.held
	}
	return s.Mem.Write(b, sync)
}

// TestWaitingHoldsItsBlock looks at what a request holds of the budget while its append is synced: the block, which is
// all that is left of it.
func TestWaitingHoldsItsBlock(t *testing.T) {
	store := &heldStore{Mem: kv.NewMem()}
	s := newStack(t, options{store: store})
	s.ok(s.do("POST", "/tables/events", "makes the table"))
	store.begun, store.held = make(chan struct{}, 1), make(chan struct{})
	body := strings.Repeat("x", 1<<20)
	acked := make(chan answer, 1)
	go func() { acked <- s.do("POST", "/tables/events", body) }()
	<-store.begun
	if held := s.api.budget.held.Load(); held <= 0 || held > int64(len(body)/8) {
		t.Errorf("%d bytes are held of a body of %d that waits for a sync", held, len(body))
	}
	close(store.held)
	s.ok(<-acked)
}

// TestBegunFirst lets no new body begin while those under way may need what is left of the budget.
func TestBegunFirst(t *testing.T) {
	s := newStack(t, options{})
	s.ok(s.do("POST", "/tables/events", "makes the table"))
	b := &s.api.budget
	most := b.limit - b.limit/begunPart
	if err := b.take(most - 100<<10); err != nil {
		t.Fatal(err)
	}
	c := s.dial()
	s.want(s.raw(c, head("/tables/events", fmt.Sprintf("Content-Length: %d\r\n", 110<<10))), 503, "busy", -1, -1)
	s.ok(s.do("POST", "/tables/events", strings.Repeat("x", 90<<10)))
	b.give(most - 100<<10)
}
