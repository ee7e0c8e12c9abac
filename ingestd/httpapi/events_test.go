package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"firn/ingestd/eventlog"
	"firn/ingestd/ship"
)

// payloads reads all of a table by cursor, and checks that sequences are dense.
func (s *stack) payloads(table string, limit int) []string {
	s.t.Helper()
	var all []string
	next := map[string]uint64{}
	path := fmt.Sprintf("/tables/%s?limit=%d", table, limit)
	for more := path; more != ""; {
		a := s.ok(s.do("GET", more, ""))
		if len(a.Events) > limit {
			s.t.Fatalf("%d events for a limit of %d", len(a.Events), limit)
		}
		for _, e := range a.Events {
			if next[e.Log] != 0 && e.Sequence != next[e.Log] {
				s.t.Fatalf("sequence %d where %d must follow", e.Sequence, next[e.Log])
			}
			next[e.Log] = e.Sequence + 1
			if e.Payload != nil {
				all = append(all, *e.Payload)
			} else {
				all = append(all, string(e.Base64))
			}
		}
		more = ""
		if a.More {
			more = path + "&cursor=" + url.QueryEscape(a.Cursor)
		}
	}
	return all
}

// TestRoundTrip posts events in every form and reads them back.
func TestRoundTrip(t *testing.T) {
	s := newStack(t, options{})
	before := time.Now().UnixMilli()
	a := s.ok(s.do("POST", "/tables/events", "plain text", "X-Partition: 3", "X-Timestamp-Ms: "+fmt.Sprint(before-1000), "Idempotency-Key: k1"))
	if a.Table != "events" || len(a.Log) != 36 || a.First != 1 || a.Last != 1 || a.Accepted != 1 || a.Duplicates != 0 {
		t.Fatalf("the reply is %s", a.body)
	}
	odd := "\x00\x01\n\t\"\\/\u2028 é 長 😀 </script>"
	quoted, _ := json.Marshal(odd)
	body := `{"records":[{"payload":` + string(quoted) + `,"partition":1},{"payload":{"a": [1, "\u00e9"]}},{"payload":null}]}`
	a = s.ok(s.do("POST", "/tables/events/bulk", body, asJSON, "X-Partition: 2"))
	if a.First != 2 || a.Last != 4 || a.Accepted != 3 {
		t.Fatalf("the reply is %s", a.body)
	}
	lines := "{\"b\":1}\n\"line\\n\"\r\n\n"
	s.ok(s.do("POST", "/tables/events/bulk", lines, asNDJSON))
	s.ok(s.do("POST", "/tables/events/bulk", string(gzipped([]byte(lines))), asNDJSON, "Content-Encoding: gzip"))
	s.ok(s.do("POST", "/tables/events/bulk", string(append(gzipped([]byte(lines[:8])), gzipped([]byte(lines[8:]))...)), asNDJSON, "Content-Encoding: GZIP"))
	s.ok(s.do("POST", "/tables/events/bulk", string(append(zstded([]byte(lines[:8])), zstded([]byte(lines[8:]))...)), asNDJSON, "Content-Encoding: zstd"))
	for _, ct := range []string{"application/json", "application/cloudevents+json; charset=utf-8", "text/csv", "application/octet-stream", "application/x-www-form-urlencoded"} {
		s.ok(s.do("POST", "/tables/events", `"as it is"`, "Content-Type: "+ct, "Content-Encoding: identity"))
	}

	want := []string{"plain text", odd, `{"a": [1, "\u00e9"]}`, "null"}
	for range 4 {
		want = append(want, `{"b":1}`, "line\n")
	}
	for range 5 {
		want = append(want, `"as it is"`)
	}
	for _, limit := range []int{1, 2, 5, 100, 10_000} {
		if got := s.payloads("events", limit); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("with limit %d came\n%q\nwant\n%q", limit, got, want)
		}
	}

	page := s.ok(s.do("GET", "/tables/events?partition=3", ""))
	if len(page.Events) != 1 || *page.Events[0].Payload != "plain text" || *page.Events[0].Key != "k1" || page.Events[0].Timestamp != before-1000 || page.Events[0].Ingest < before {
		t.Fatalf("partition 3 is %s", page.body)
	}
	if page = s.ok(s.do("GET", "/tables/events?partition=2", "")); len(page.Events) != 2 {
		t.Fatalf("partition 2, from the header, is %s", page.body)
	}
	if page = s.ok(s.do("GET", "/tables/events?partition=9", "")); len(page.Events) != 0 || page.More {
		t.Fatalf("partition 9 is %s", page.body)
	}
	page = s.ok(s.do("GET", "/tables/events?log="+a.Log+"&sequence=3&limit=1", ""))
	if len(page.Events) != 1 || page.Events[0].Sequence != 3 {
		t.Fatalf("sequence 3 is %s", page.body)
	}

	// A cursor at the end finds what comes later.
	end := s.ok(s.do("GET", "/tables/events?log="+a.Log+"&sequence=17", ""))
	s.ok(s.do("POST", "/tables/events", "later"))
	page = s.ok(s.do("GET", "/tables/events?cursor="+end.Cursor, ""))
	if len(page.Events) != 1 || *page.Events[0].Payload != "later" {
		t.Fatalf("behind the end came %s", page.body)
	}
	s.ok(s.do("POST", "/tables/other", "x"))
	s.want(s.do("GET", "/tables/other?cursor="+end.Cursor, ""), 400, "invalid_cursor", -1, -1)

	if a := s.do("HEAD", "/tables/events", ""); a.status != 200 || len(a.body) != 0 {
		t.Fatalf("HEAD gave %d, %q", a.status, a.body)
	}
}

func TestBinaryTable(t *testing.T) {
	s := newStack(t, options{})
	if a := s.do("PUT", "/tables/bin", `{"payload":"binary"}`); a.status != http.StatusCreated {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	raw := "\xff\x00\xfe"
	s.ok(s.do("POST", "/tables/bin", raw, "Content-Type: application/octet-stream"))
	s.ok(s.do("POST", "/tables/bin/bulk", `{"records":[{"payload_base64":"/wD+"},{"payload":"text"}]}`, asJSON))
	if got, want := s.payloads("bin", 2), []string{raw, raw, "text"}; fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Fatalf("came %q, want %q", got, want)
	}
	// What was read can be posted: the members are the same.
	page := s.ok(s.do("GET", "/tables/bin?limit=1", ""))
	if !strings.Contains(string(page.body), `"payload":"binary"`) || !strings.Contains(string(page.body), `"payload_base64":"/wD+"`) {
		t.Fatalf("the page is %s", page.body)
	}
}

// TestIdempotency retries requests with keys, singly, in bulk and side by side.
func TestIdempotency(t *testing.T) {
	s := newStack(t, options{})
	first := s.ok(s.do("POST", "/tables/events", "a", "Idempotency-Key: k"))
	again := s.ok(s.do("POST", "/tables/events", "a", "Idempotency-Key: k"))
	if again.Accepted != 0 || again.Duplicates != 1 || again.First != first.First || again.Log != first.Log {
		t.Fatalf("first %s, then %s", first.body, again.body)
	}
	bulk := `{"records":[{"payload":1,"idempotency_key":"k"},{"payload":2,"idempotency_key":"b"},{"payload":3,"idempotency_key":"b"},{"payload":4}]}`
	a := s.ok(s.do("POST", "/tables/events/bulk", bulk, asJSON))
	if a.Accepted != 2 || a.Duplicates != 2 || a.First != 2 || a.Last != 3 {
		t.Fatalf("the reply is %s", a.body)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := 0
	for range 8 {
		wg.Go(func() {
			a := s.do("POST", "/tables/events", "x", "Idempotency-Key: shared")
			mu.Lock()
			defer mu.Unlock()
			if a.status != 200 || a.First != 4 {
				t.Errorf("got %d: %s", a.status, a.body)
			}
			stored += a.Accepted
		})
	}
	if wg.Wait(); stored != 1 {
		t.Fatalf("one key was stored %d times", stored)
	}
}

// TestManyProducers posts from many goroutines, some of them badly, and finds each acked event once and no other.
func TestManyProducers(t *testing.T) {
	s := newStack(t, options{})
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	acked := make([]map[string]bool, 8)
	var wg sync.WaitGroup
	for p := range acked {
		acked[p] = map[string]bool{}
		rng := rand.New(rand.NewPCG(seed, uint64(p)))
		wg.Go(func() {
			for i := range 60 {
				n := 1 + rng.IntN(20)
				var records, names []string
				for j := range n {
					name := fmt.Sprintf("%d-%d-%d-%s", p, i, j, strings.Repeat("x", rng.IntN(200)))
					names = append(names, name)
					records = append(records, fmt.Sprintf(`{"payload":%q,"partition":%d}`, name, p))
				}
				body := `{"records":[` + strings.Join(records, ",") + `]}`
				headers := []string{asJSON}
				if rng.IntN(3) == 0 {
					body, headers = string(zstded([]byte(body))), append(headers, "Content-Encoding: zstd")
				}
				bad := rng.IntN(4) == 0
				if bad {
					body = body[:len(body)-1-rng.IntN(len(body)/2)]
				}
				a := s.do("POST", "/tables/events/bulk", body, headers...)
				if bad != (a.status == 400) || !bad && a.status != 200 {
					t.Errorf("bad %t gave %d: %s", bad, a.status, a.body)
				}
				for _, name := range names {
					if !bad {
						acked[p][name] = true
					}
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, m := range acked {
		total += len(m)
	}
	got := s.payloads("events", 1000)
	if len(got) != total {
		t.Fatalf("%d events are in the log, %d were acked", len(got), total)
	}
	for _, name := range got {
		var p int
		fmt.Sscanf(name, "%d-", &p)
		if !acked[p][name] {
			t.Fatalf("%q was never acked, or is there twice", name)
		}
		delete(acked[p], name)
	}
}

// TestAck waits for more than a durable append.
func TestAck(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.ReplyWithin = 50 * time.Millisecond }})
	var waited []string
	s.ship.wait = func(ctx context.Context, track eventlog.Track, seq eventlog.Seq, level ship.Level) error {
		waited = append(waited, fmt.Sprint(track, seq, level))
		if level == ship.Committed {
			<-ctx.Done()
			return errors.New("not yet")
		}
		return nil
	}
	s.ok(s.do("POST", "/tables/events?ack=log", "x"))
	s.ok(s.do("POST", "/tables/events?ack=staged", "x", "Idempotency-Key: k"))
	s.ok(s.do("POST", "/tables/events?ack=staged", "x", "Idempotency-Key: k"))
	s.want(s.do("POST", "/tables/events?ack=committed", "x"), 504, "ack_timeout", -1, -1)
	s.want(s.do("POST", "/tables/events?ack=durable", "x"), 400, "invalid_parameter", -1, -1)
	if got, want := fmt.Sprint(waited), "[1 2 0 1 2 0 1 3 1]"; got != want {
		t.Fatalf("waited for %s, want %s", got, want)
	}
	if s.stored() != 3 {
		t.Fatalf("%d events are stored, want 3", s.stored())
	}
	s.ship.wait = func(context.Context, eventlog.Track, eventlog.Seq, ship.Level) error { return nil }
	f := func(want string, unknown error) {
		t.Helper()
		s.ship.unknown = unknown
		if a := s.ok(s.do("POST", "/tables/events?ack=committed", "x")); !strings.HasSuffix(string(a.body), `,"duplicates":0,"snapshot_id":`+want+"}\n") {
			t.Errorf("the reply is %s", a.body)
		}
	}
	f("77", nil)
	f("null", errors.New("the catalog went away just then"))
}

// TestPageBytes bounds a page by bytes and the number of pages under way.
func TestPageBytes(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) { c.MaxReadBytes, c.MaxReads = 1000, 1 }})
	for range 5 {
		s.ok(s.do("POST", "/tables/events", strings.Repeat("x", 400)))
	}
	if a := s.ok(s.do("GET", "/tables/events?limit=10000", "")); len(a.Events) != 2 || !a.More {
		t.Fatalf("%d events on a page of 1,000 bytes", len(a.Events))
	}
	if n := len(s.payloads("events", 100)); n != 5 {
		t.Fatalf("%d of 5 events came", n)
	}
	s.api.reads <- struct{}{}
	a := s.do("GET", "/tables/events", "")
	s.want(a, 503, "busy", -1, -1)
	if a.header.Get("Retry-After") == "" {
		t.Fatal("Retry-After is missing")
	}
	<-s.api.reads
}

// TestJSONText compares the writer of JSON strings with encoding/json's reader.
func TestJSONText(t *testing.T) {
	f := func(s string) {
		t.Helper()
		out := appendJSONString(nil, s)
		if !bytes.Equal(out, appendJSONString(nil, []byte(s))) {
			t.Fatalf("%q is written in two ways", s)
		}
		var back string
		if err := json.Unmarshal(out, &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Fatalf("%q became %s, and that %q (%v)", s, out, back, err)
		}
		if !utf8.Valid(out) {
			t.Fatalf("%q became %q", s, out)
		}
	}
	for c := range 256 {
		f(string([]byte{'a', byte(c), 'b'}))
		f(string(rune(c)))
	}
	f("\xe2\x82")
	f("\xed\xa0\x80")
	f("😀\xf0\x9f")
	f(strings.Repeat("long text é ", 100))
}

func TestFloorMs(t *testing.T) {
	for _, c := range [][2]int64{{0, 0}, {999, 0}, {1000, 1}, {-1, -1}, {-1000, -1}, {-1001, -2}} {
		if got := floorMs(c[0]); got != c[1] {
			t.Fatalf("%d µs are in millisecond %d, want %d", c[0], got, c[1])
		}
	}
}
