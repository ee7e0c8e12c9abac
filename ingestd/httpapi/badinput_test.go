package httpapi

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"firn/ingestd/registry"
)

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstded(b []byte, o ...zstd.EOption) []byte {
	w, err := zstd.NewWriter(nil, o...)
	if err != nil {
		panic(err)
	}
	return w.EncodeAll(b, nil)
}

// TestBadInput sends every kind of bad request: each is told what was wrong, where, and
// what to do, and nothing of it is stored.
func TestBadInput(t *testing.T) {
	s := newStack(t, options{config: func(c *Config) {
		c.Limits.MaxBodyBytes, c.Limits.MaxEventBytes, c.Limits.MaxEvents, c.Limits.MaxDepth = 100_000, 1000, 5, 10
	}})
	s.ok(s.do("POST", "/tables/good", "first"))
	if a := s.do("PUT", "/tables/bin", `{"payload":"binary"}`); a.status != 201 {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	before, tables := s.stored(), len(s.registry.List())
	now := time.Now().UnixMilli()

	f := func(method, path, body string, headers []string, status int, code string, record, at int) {
		t.Helper()
		s.want(s.do(method, path, body, headers...), status, code, record, at)
		if n := s.stored(); n != before {
			t.Fatalf("%d events were stored", n-before)
		}
		if n := len(s.registry.List()); n != tables {
			t.Fatalf("a table was made: %v", s.registry.List()[0].Name)
		}
	}
	bulk := func(body, code string, status, record, at int) {
		t.Helper()
		f("POST", "/tables/good/bulk", body, []string{asJSON}, status, code, record, at)
		f("POST", "/tables/unseen/bulk", body, []string{asJSON}, status, code, record, at)
		compressed := []string{asJSON, "Content-Encoding: zstd"}
		f("POST", "/tables/good/bulk", string(zstded([]byte(body))), compressed, status, code, record, at)
	}
	one := func(record, code string, at int) {
		t.Helper()
		const head = `{"records":[{"payload":1},`
		bulk(head+record+`]}`, code, 400, 1, len(head)+at)
	}

	// JSON.
	bulk(`{"records":[{"payload":1},`, "truncated_json", 400, 1, 26)
	bulk(`{"records":[{"payload":1}]`, "truncated_json", 400, -1, 26)
	bulk(`hello`, "malformed_json", 400, -1, 0)
	bulk(`{"records":[{"payload":1}]}}`, "malformed_json", 400, -1, 27)
	bulk(`{"records":[]}`, "no_events", 400, -1, 0)
	bulk(`{}`, "missing_member", 400, -1, 1)
	bulk(`[]`, "wrong_type", 400, -1, 0)
	bulk(`{"events":[]}`, "unknown_member", 400, -1, 1)
	bulk("\xef\xbb\xbf{}", "byte_order_mark", 400, -1, 0)
	bulk(`{"records":[{"payload":1}],"records":[]}`, "duplicate_member", 400, -1, 27)
	one(`{}`, "missing_member", 0)
	one(`5`, "wrong_type", 0)
	one(`{"payload":tru}`, "malformed_json", 14)
	one(`{"payload":1,"payload":2}`, "duplicate_member", 13)
	one(`{"payload":1,"time":2}`, "unknown_member", 13)
	one(`{"payload":`+strings.Repeat("[", 11)+strings.Repeat("]", 11)+`}`, "json_too_deep", 21)
	one(`{"payload":`+strings.Repeat("[", 50_000)+`}`, "json_too_deep", 21)
	one("{\"payload\":\"a\xff\"}", "invalid_utf8", 13)
	one(`{"payload":"\ud800"}`, "lone_surrogate", 12)
	one(`{"payload":01}`, "malformed_json", 12)
	one(`{"payload":1,"partition":2147483648}`, "partition_out_of_range", 25)
	one(`{"payload":1,"partition":99999999999999999999999999}`, "partition_out_of_range", 25)
	one(`{"payload":1,"partition":-1}`, "partition_out_of_range", 25)
	one(`{"payload":1,"partition":1e3}`, "wrong_type", 25)
	one(`{"payload":1,"partition":"1"}`, "wrong_type", 25)
	one(fmt.Sprintf(`{"payload":1,"timestamp_ms":%d}`, now/1000), "timestamp_out_of_range", 28)
	one(fmt.Sprintf(`{"payload":1,"timestamp_ms":%d}`, now*1000), "timestamp_out_of_range", 28)
	one(fmt.Sprintf(`{"payload":1,"timestamp_ms":%d}`, now-401*24*3600*1000), "timestamp_out_of_range", 28)
	one(fmt.Sprintf(`{"payload":1,"timestamp_ms":%d}`, now+25*3600*1000), "timestamp_out_of_range", 28)
	one(`{"payload":1,"timestamp_ms":99999999999999999999}`, "timestamp_out_of_range", 28)
	one(`{"payload":1,"idempotency_key":""}`, "invalid_key", 31)
	one(`{"payload":1,"idempotency_key":"`+strings.Repeat("k", 257)+`"}`, "key_too_long", 31)
	f("POST", "/tables/good/bulk", `{"records":[{"payload_base64":"AA=="}]}`, nil, 400, "table_not_binary", 0, 30)
	f("POST", "/tables/bin/bulk", `{"records":[{"payload_base64":"A"}]}`, nil, 400, "invalid_base64", 0, 30)

	// Sizes.
	bulk(`{"records":[`+strings.Repeat(`{"payload":1},`, 5)+`{"payload":1}]}`, "too_many_events", 413, 5, 82)
	bulk(`{"records":[{"payload":"`+strings.Repeat("x", 1001)+`"}]}`, "event_too_large", 413, 0, 23)
	bulk(`{"records":[{"payload":"`+strings.Repeat("x", 100_000)+`"}]}`, "body_too_large", 413, -1, 100_000)
	f("POST", "/tables/good", strings.Repeat("x", 1001), nil, 413, "event_too_large", 0, 0)

	// NDJSON.
	nd := []string{asNDJSON}
	f("POST", "/tables/good/bulk", "1\n{\n", nd, 400, "truncated_json", 1, 3)
	f("POST", "/tables/good/bulk", "1\n2 3\n", nd, 400, "malformed_json", 1, 4)
	f("POST", "/tables/good/bulk", "\n\n", nd, 400, "no_events", -1, 0)
	f("POST", "/tables/good/bulk", "1\n", append(nd, "Idempotency-Key: k"), 400, "invalid_header", -1, -1)

	// One event and its headers.
	single := func(body string, headers []string, code string, record, at int) {
		t.Helper()
		f("POST", "/tables/good", body, headers, 400, code, record, at)
		f("POST", "/tables/unseen", body, headers, 400, code, record, at)
	}
	single("", nil, "no_events", -1, 0)
	single(`{"a":`, []string{asJSON}, "truncated_json", 0, 5)
	single(`{"a":1}x`, []string{asJSON}, "malformed_json", 0, 7)
	f("POST", "/tables/good", "\xff", nil, 400, "invalid_utf8", 0, 0)
	single("x", []string{"X-Partition: one"}, "wrong_type", -1, -1)
	single("x", []string{"X-Partition: 4294967296"}, "partition_out_of_range", -1, -1)
	single("x", []string{"X-Partition: -1"}, "partition_out_of_range", -1, -1)
	single("x", []string{"X-Partition: 1", "X-Partition: 2"}, "invalid_header", -1, -1)
	single("x", []string{"X-Timestamp-Ms: 1.5"}, "wrong_type", -1, -1)
	single("x", []string{fmt.Sprintf("X-Timestamp-Ms: %d", now/1000)}, "timestamp_out_of_range", -1, -1)
	single("x", []string{"Idempotency-Key: "}, "invalid_header", -1, -1)
	single("x", []string{"Idempotency-Key: " + strings.Repeat("k", 257)}, "key_too_long", 0, -1)

	// Content-Type and Content-Encoding.
	for _, ct := range []string{"application/xml", "multipart/form-data; boundary=x", "image/png", "text", "text/plain; charset=latin1", "application/json; charset=utf-16", "/", ";;"} {
		f("POST", "/tables/good", "x", []string{"Content-Type: " + ct}, 415, "unsupported_content_type", -1, -1)
		f("POST", "/tables/good/bulk", "x", []string{"Content-Type: " + ct}, 415, "unsupported_content_type", -1, -1)
	}
	f("POST", "/tables/good", "1\n", nd, 415, "unsupported_content_type", -1, -1)
	f("POST", "/tables/good/bulk", "x", []string{"Content-Type: text/plain"}, 415, "unsupported_content_type", -1, -1)
	for _, ce := range []string{"br", "deflate", "gzip, gzip", "zstd, gzip", "gzip;q=1", "compress"} {
		f("POST", "/tables/good", "x", []string{"Content-Encoding: " + ce}, 415, "unsupported_encoding", -1, -1)
	}
	f("POST", "/tables/good", "x", []string{"Content-Encoding: gzip", "Content-Encoding: gzip"}, 415, "unsupported_encoding", -1, -1)

	// Compressed bodies that are none.
	whole := []byte(strings.Repeat(`{"some":"json"} `, 20))
	encodings := []struct {
		name string
		body []byte
	}{{"gzip", gzipped(whole)}, {"zstd", zstded(whole, zstd.WithEncoderCRC(true))}}
	for _, e := range encodings {
		h := []string{"Content-Encoding: " + e.name}
		flipped := bytes.Clone(e.body)
		flipped[len(flipped)-3] ^= 0x40
		for _, bad := range [][]byte{[]byte("garbage, no header"), e.body[:len(e.body)-1], e.body[:len(e.body)/2], e.body[:3], flipped,
			append(bytes.Clone(e.body), "trailing garbage"...), append(bytes.Clone(e.body), e.body[:9]...), append(bytes.Clone(e.body), 0), append(bytes.Clone(e.body), 0, 0, 0),
			append(bytes.Clone(e.body), "\x1f\x8b\b0000000"...), whole} {
			f("POST", "/tables/good", string(bad), h, 400, "malformed_encoding", -1, -1)
		}
	}

	// Names.
	for name, hint := range map[string]string{"Flights": "flights", "a-b": "a_b", "1st": "t", "%2e%2e": "", "a%2Fb": "a_b", "a%00b": "a_b", "%F0%9F%98%80": "", strings.Repeat("a", 129): "aaa", "_x": "x", "a%20b": "a_b", "%FF": "", "a;b": "a_b"} {
		for _, r := range [][2]string{{"POST", ""}, {"POST", "/bulk"}, {"GET", ""}, {"PUT", ""}, {"DELETE", ""}, {"GET", "/settings"}, {"GET", "/watermark"}, {"POST", "/commit"}} {
			a := s.do(r[0], "/tables/"+name+r[1], `{"records":[{"payload":1}]}`, asJSON)
			if name == "%2e%2e" { // which is a path, not a name
				s.want(a, 404, "unknown_route", -1, -1)
				continue
			}
			s.want(a, 400, "bad_table_name", -1, -1)
			if !strings.Contains(a.Error.Hint, hint) {
				t.Fatalf("%s: the hint suggests no name like %q: %s", name, hint, a.Error.Hint)
			}
		}
	}

	// Paths, methods, parameters.
	for _, p := range []string{"/", "/tables/", "/tables/good/", "/tables/good/x", "/tables//bulk", "/tables/./good", "/tables/good/../good", "/Tables", "/health"} {
		for _, m := range []string{"GET", "POST", "DELETE"} {
			f(m, p, "x", nil, 404, "unknown_route", -1, -1)
		}
	}
	for p, allow := range map[string]string{"/tables": "GET, HEAD", "/tables/good": "DELETE, GET, HEAD, POST, PUT", "/tables/good/bulk": "POST", "/tables/good/commit": "GET, HEAD, POST", "/metrics": "GET, HEAD", "/health/ready": "GET, HEAD"} {
		for _, m := range []string{"PATCH", "OPTIONS", "TRACE", "BREW"} {
			a := s.do(m, p, "")
			s.want(a, 405, "method_not_allowed", -1, -1)
			if got := a.header.Get("Allow"); got != allow {
				t.Fatalf("%s: Allow is %q, want %q", p, got, allow)
			}
		}
	}
	f("POST", "/tables/good?acks=all", "x", nil, 400, "invalid_parameter", -1, -1)
	f("POST", "/tables/good?ack=all", "x", nil, 400, "invalid_parameter", -1, -1)
	f("POST", "/tables/good?ack=%zz", "x", nil, 400, "invalid_parameter", -1, -1)
	log := s.log.Tracks()[0].Log.String()
	for _, q := range []string{"limit=0", "limit=-1", "limit=10001", "limit=1000000000000", "limit=99999999999999999999", "limit=x", "limit=", "limit=1&limit=2", "partition=-1", "partition=2147483648",
		"partition=", "sequence=1", "sequence=0&log=" + log, "sequence=-1&log=" + log, "sequence=9223372036854775808&log=" + log, "log=x", "log=urn:uuid:" + log, "offset=3", "cursor=x&log=" + log, "cursor=a&limit=0", "%zz"} {
		f("GET", "/tables/good?"+q, "", nil, 400, "invalid_parameter", -1, -1)
	}
	f("GET", "/tables/good?log="+uuid.NewString(), "", nil, 404, "unknown_log", -1, -1)
	f("GET", "/tables/good?sequence=1&log="+uuid.NewString(), "", nil, 404, "unknown_log", -1, -1)
	for _, c := range []string{"x", "====", "AAAA", strings.Repeat("A", 60), strings.Repeat("A", 100_00)} {
		f("GET", "/tables/good?cursor="+c, "", nil, 400, "invalid_cursor", -1, -1)
	}
	for _, p := range []string{"/tables/unseen", "/tables/unseen/watermark", "/tables/unseen/settings"} {
		f("GET", p, "", nil, 404, "unknown_table", -1, -1)
	}
	f("POST", "/tables/unseen/commit", "", nil, 404, "unknown_table", -1, -1)
	f("DELETE", "/tables/unseen", "", nil, 404, "unknown_table", -1, -1)
	f("GET", "/tables/good/watermark?x=1", "", nil, 400, "invalid_parameter", -1, -1)

	// Settings.
	put := func(body, code string, at int) {
		t.Helper()
		f("PUT", "/tables/unseen", body, []string{asJSON}, 400, code, -1, at)
	}
	put(`[]`, "wrong_type", 1)
	put(`{"payload"`, "truncated_json", 10)
	put(`{`, "truncated_json", 1)
	put(` `, "truncated_json", 1)
	put(`{"payload" "text"}`, "malformed_json", 11)
	put(`{"payload":"text"}{}`, "malformed_json", 18)
	put(`{"Payload":"text"}`, "unknown_member", 10)
	put(`{"payload":"text","payload":"text"}`, "duplicate_member", 27)
	put("{\"payload\":\"\xff\"}", "invalid_utf8", 12)
	put(`{"payload":"csv"}`, "invalid_settings", -1)
	put(`{"cut_interval":10}`, "invalid_settings", 16)
	put(`{"payload": null}`, "invalid_settings", 12)
	put(`{"partition_by":"hour"}`, "invalid_settings", 16)
	put(`{"partition_by":[]}`, "invalid_settings", -1)
	put(`{"partition_by":["hour","day"]}`, "invalid_settings", -1)
	put(`{"table_retention":"30m"}`, "invalid_settings", -1)
	put(`{"hot_retention":true}`, "invalid_settings", 17)
	put(`{"cut_interval":"1ns"}`, "invalid_settings", -1)
	put(`{"partition_by":["payload"]}`, "invalid_settings", -1)
	put(`{"target_file_bytes":1e99}`, "invalid_settings", 21)
	put(`{"target_file_bytes":-1}`, "invalid_settings", -1)
	f("PUT", "/tables/unseen", `{"x":"`+strings.Repeat("x", maxSettingsBytes)+`"}`, nil, 413, "body_too_large", -1, maxSettingsBytes)
	f("PUT", "/tables/unseen", `{}`, []string{"Content-Type: text/plain"}, 415, "unsupported_content_type", -1, -1)
	f("PUT", "/tables/bin", `{"payload":"text"}`, nil, 409, "settings_contradiction", -1, -1)
	f("PUT", "/tables/bin", `{"payload":"binary","partition_by":["day"]}`, nil, 409, "settings_contradiction", -1, -1)
}

func TestHints(t *testing.T) {
	s := newStack(t, options{})
	a := s.do("POST", "/tables/good", "x", fmt.Sprintf("X-Timestamp-Ms: %d", time.Now().Unix()))
	if !strings.Contains(a.Error.Hint, "seconds") || !strings.Contains(a.Error.Message, "window") {
		t.Fatalf("seconds for milliseconds are not named: %s", a.body)
	}
	f := func(method, path, body, want string, headers ...string) {
		t.Helper()
		a := s.do(method, path, body, headers...)
		told := a.Error.Message + "; " + a.Error.Hint
		if !strings.Contains(told, want) {
			t.Errorf("%s %s %s: %q is not in %s", method, path, body, want, told)
		}
		for _, inner := range []string{"Go ", "json:", "registry.", "%!"} {
			if strings.Contains(told, inner) {
				t.Errorf("%s %s %s: tells of the insides: %s", method, path, body, told)
			}
		}
	}
	s.do("PUT", "/tables/x", `{"payload":"binary"}`)
	f("PUT", "/tables/x", `{"payload":"text"}`, "payload")
	f("PUT", "/tables/x", `{"cut_interval":10}`, `cut_interval is 10: want text like "10s"`)
	f("PUT", "/tables/x", `{"payload":["text"]}`, `want "text" or "binary"`)
	f("PUT", "/tables/x", `{"target_file_bytes":"1"}`, "a whole number")
	f("PUT", "/tables/x", `{"partition_by":[]}`, `["none"]`)
	f("PUT", "/tables/x", `{"partition_by":["week"]}`, `"hour", "day", "month" and "none"`)
	f("PUT", "/tables/x", `{"table_retention":"1m"}`, "want 1h")
	f("PUT", "/tables/x", `nonsense`, "RFC 8259", asJSON)
	f("GET", "/health", "", "/health/ready")
	f("GET", "/healthz", "", "/health/ready")
	f("POST", "/tables/good/bulk", `{"a":1}{"a":2}`, "--data-binary", asNDJSON) // what curl -d makes of two lines
	f("POST", "/tables/good", "x", "time_window_back", "X-Timestamp-Ms: 1")
	f("GET", "/tables/x?log="+uuid.NewString(), "", "watermark")
}

// TestNearMisses refuses headers that would be ignored, and with them what their senders
// rely on; others are nobody's business.
func TestNearMisses(t *testing.T) {
	s := newStack(t, options{})
	f := func(wrong, right string) {
		t.Helper()
		for path, typ := range map[string]string{"/tables/good": "text/plain", "/tables/good/bulk": "application/x-ndjson"} {
			a := s.do("POST", path, "1", "Content-Type: "+typ, wrong+": 1")
			s.want(a, 400, "invalid_header", -1, -1)
			if !strings.Contains(a.Error.Hint, right) {
				t.Errorf("%s: the hint is %q, want it to name %s", wrong, a.Error.Hint, right)
			}
		}
	}
	f("X-Timestamp", "X-Timestamp-Ms")
	f("x-timestamp_ms", "X-Timestamp-Ms")
	f("X-Idempotency-Key", "Idempotency-Key")
	f("Idempotency_Key", "Idempotency-Key")
	f("IdempotencyKey", "Idempotency-Key")
	f("X-Partition-Id", "X-Partition")
	if s.stored() != 0 {
		t.Fatal("an event was stored")
	}
	s.ok(s.do("POST", "/tables/good", "x", "X-Request-Id: 1", "Idempotency-Key: k", "X-Partition: 1"))
}

// TestNoAutoCreate has tables made by PUT only.
func TestNoAutoCreate(t *testing.T) {
	s := newStack(t, options{registry: func(c *registry.Config) { c.AutoCreate = false }})
	s.want(s.do("POST", "/tables/events", "x"), 404, "unknown_table", -1, -1)
	if a := s.do("PUT", "/tables/events", ""); a.status != http.StatusCreated {
		t.Fatalf("%d: %s", a.status, a.body)
	}
	s.ok(s.do("POST", "/tables/events", "x"))
}

// TestBomb sends bodies that expand a thousandfold and more. They are refused, and what they
// cost is bounded by the configuration.
func TestBomb(t *testing.T) {
	const limit = 1 << 20
	s := newStack(t, options{config: func(c *Config) {
		c.Limits.MaxBodyBytes, c.Limits.MaxEventBytes, c.InFlightBytes = limit, limit, 4*limit
	}})
	zeros := make([]byte, 256<<20)
	var gz bytes.Buffer
	w, _ := gzip.NewWriterLevel(&gz, gzip.BestSpeed)
	_, _ = w.Write(zeros)
	w.Close()
	zs := zstded(zeros)
	nested := gzipped(gz.Bytes())
	wide := append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xb8}, 1, 0, 0) // a frame that asks for a window of 8 GiB, with one empty block
	zeros = nil
	runtime.GC()
	f := func(name string, body []byte, encoding, code string, status, at int) {
		t.Helper()
		for range 3 { // pools and expanders are warm then
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s.want(s.do("POST", "/tables/good", string(body), "Content-Encoding: "+encoding), status, code, -1, at)
			runtime.ReadMemStats(&after)
			// Growing copies a body at most once a step; zstd has its window besides.
			if got := after.TotalAlloc - before.TotalAlloc; got > 12*limit+2*uint64(len(body)) {
				t.Fatalf("%s of %d bytes: %d bytes were allocated", name, len(body), got)
			}
		}
	}
	f("gzip", gz.Bytes()[:limit/2], "gzip", "body_too_large", 413, limit)
	f("zstd", zs, "zstd", "body_too_large", 413, limit)
	f("zstd window", wide, "zstd", "malformed_encoding", 400, -1)
	if len(nested) < limit { // unpacked once: gzip inside is just bytes, and no text
		s.want(s.do("POST", "/tables/good", string(nested), "Content-Encoding: gzip"), 400, "invalid_utf8", 0, 1)
	}
	if s.stored() != 0 {
		t.Fatal("a bomb was stored")
	}
}
