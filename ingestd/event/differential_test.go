package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"firn/perf/tier"
)

// The oracle is encoding/json. It takes more than we do, in points that the checks below name one by one;
// so whatever we take it must take, with the same values, and whatever we refuse must be refused by it or
// fall under the point that our code names.

var anySurrogate = regexp.MustCompile(`(?i)\\ud[89a-f]`)

// excused says whether the reason for refusing valid JSON is a real one.
func excused(body []byte, e *Error, lim Limits) bool {
	switch e.Code {
	case CodeInvalidUTF8:
		return !utf8.Valid(body)
	case CodeLoneSurrogate:
		return anySurrogate.Match(body)
	case CodeTooDeep:
		return bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) > lim.MaxDepth
	case CodeEventTooLarge, CodeKeyTooLong, CodeTooManyEvents, CodeBodyTooLarge:
		return true // sizes are checked by the tables
	}
	return false
}

// oracleValue is what the bulk and NDJSON endpoints store for a JSON value.
func oracleValue(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	if raw[0] != '"' {
		return string(raw)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func checkNDJSON(t *testing.T, body []byte, lim Limits) {
	t.Helper()
	b := Get(len(body))
	defer b.Release()
	err := DecodeNDJSON(b, body, lim, wideDefaults())
	var want []string
	valid := true
	for _, line := range bytes.Split(body, []byte("\n")) {
		if line = bytes.Trim(line, " \t\r"); len(line) == 0 {
			continue
		}
		if !json.Valid(line) {
			valid = false
			break
		}
		want = append(want, oracleValue(t, line))
	}
	if err != nil {
		e := checkFailure(t, b, body, err)
		if valid && len(want) > 0 && !excused(body, e, lim) {
			t.Fatalf("refused %q: %v", body, e)
		}
		return
	}
	if !valid || len(want) != b.Len {
		t.Fatalf("accepted %q as %d events, encoding/json reads %d (valid %t)", body, b.Len, len(want), valid)
	}
	for i, r := range rowsOf(t, b) {
		if r.payload != want[i] || !utf8.ValidString(r.payload) {
			t.Fatalf("%q: event %d is %q, want %q", body, i, r.payload, want[i])
		}
	}
}

func checkBulk(t *testing.T, body []byte, lim Limits) {
	t.Helper()
	b := Get(len(body))
	defer b.Release()
	err := DecodeBulk(b, body, lim, wideDefaults())
	want, why := oracleBulk(t, body)
	if err != nil {
		e := checkFailure(t, b, body, err)
		if why == "" && !excused(body, e, lim) {
			t.Fatalf("refused %q: %v", body, e)
		}
		return
	}
	if why != "" {
		t.Fatalf("accepted %q, but %s", body, why)
	}
	if got := rowsOf(t, b); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%q\ngives %v\nwant  %v", body, got, want)
	}
}

// checkFailure checks what every refusal must satisfy.
func checkFailure(t *testing.T, b *Batch, body []byte, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("%q: %v is no *Error", body, err)
	}
	if e.Byte < 0 || e.Byte > len(body) || e.Message == "" || e.Hint == "" || b.Len != 0 {
		t.Fatalf("%q: %+v with %d events left", body, *e, b.Len)
	}
	if !utf8.ValidString(e.Error()) || len(e.Error()) > 500 {
		t.Fatalf("%q: message is not fit to be sent: %q", body, e.Error())
	}
	return e
}

// oracleBulk reads an envelope with encoding/json's tokens, which keep order and duplicates. It returns why it refuses.
func oracleBulk(t *testing.T, body []byte) ([]row, string) {
	t.Helper()
	if !json.Valid(body) {
		return nil, "it is not JSON"
	}
	top, why := oracleMembers(body)
	if why != "" {
		return nil, why
	}
	var records []json.RawMessage
	if len(top) != 1 || top["records"] == nil || json.Unmarshal(top["records"], &records) != nil || len(records) == 0 {
		return nil, "it is no envelope"
	}
	var rows []row
	for _, rec := range records {
		m, why := oracleMembers(rec)
		if why != "" {
			return nil, why
		}
		r := row{0, wideDefaults().TimeMicros, "-", ""}
		for name, v := range m {
			null := string(v) == "null"
			switch name {
			case "payload":
				r.payload = oracleValue(t, v)
			case "partition":
				if n, err := strconv.ParseInt(string(v), 10, 32); err == nil && n >= 0 {
					r.partition = int32(n)
				} else if !null {
					return nil, "partition is " + string(v)
				}
			case "timestamp_ms":
				if n, err := strconv.ParseInt(string(v), 10, 64); err == nil && n <= math.MaxInt64/1000 && n >= math.MinInt64/1000 {
					r.micros = n * 1000
				} else if !null {
					return nil, "timestamp_ms is " + string(v)
				}
			case "idempotency_key":
				if null {
					continue
				}
				if v[0] != '"' {
					return nil, "idempotency_key is " + string(v)
				}
				r.key = oracleValue(t, v)
				if r.key == "" || strings.ContainsFunc(r.key, func(c rune) bool { return c < ' ' || c == 0x7f }) {
					return nil, "idempotency_key is " + string(v)
				}
			default:
				return nil, "it has member " + name
			}
		}
		if m["payload"] == nil {
			return nil, "payload is missing"
		}
		rows = append(rows, r)
	}
	return rows, ""
}

func oracleMembers(raw []byte) (map[string]json.RawMessage, string) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return nil, "it is no object"
	}
	m := map[string]json.RawMessage{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, err.Error()
		}
		var v json.RawMessage
		if err := dec.Decode(&v); err != nil {
			return nil, err.Error()
		}
		if m[tok.(string)] != nil {
			return nil, "a member is there twice"
		}
		m[tok.(string)] = v
	}
	return m, ""
}

// generator writes random JSON, mostly valid.
type generator struct {
	*rand.Rand
	b []byte
}

func (g *generator) pick(s ...string) { g.b = append(g.b, s[g.IntN(len(s))]...) }

func (g *generator) space() {
	if g.IntN(6) == 0 {
		g.pick(" ", "\t", "  ", "\r", "\n")
	}
}

func (g *generator) text() {
	g.b = append(g.b, '"')
	for range g.IntN(12) {
		g.pick("a", "plain text of some length", "é", "長", "😀", `\n`, `\"`, `\\`, `\/`, `\u0041`, `\u00e9`, `\uD83D\uDE00`, "\u2028", " ", "}", `\u0000`, "0123456")
	}
	if g.IntN(60) == 0 {
		g.pick("\xff", `\ud800`, `\udc00`, "\xe2\x82", "\x01", `\x`, "\xed\xa0\x80")
	}
	g.b = append(g.b, '"')
}

func (g *generator) value(depth int) {
	switch k := g.IntN(9); {
	case k < 2 && depth > 0:
		g.b = append(g.b, '{')
		for i := range g.IntN(4) {
			if i > 0 {
				g.b = append(g.b, ',')
			}
			g.space()
			g.text()
			g.space()
			g.b = append(g.b, ':')
			g.space()
			g.value(depth - 1)
			g.space()
		}
		g.b = append(g.b, '}')
	case k < 4 && depth > 0:
		g.b = append(g.b, '[')
		for i := range g.IntN(4) {
			if i > 0 {
				g.b = append(g.b, ',')
			}
			g.space()
			g.value(depth - 1)
			g.space()
		}
		g.b = append(g.b, ']')
	case k < 7:
		g.text()
	case k == 7:
		g.pick("0", "-0", "1", "12", "1700000000000", "-1.5", "1e5", "1E-5", "0.25", "123456789012345678901234567890", "2147483648")
	default:
		g.pick("true", "false", "null")
	}
}

// member writes a member in so many of a hundred cases.
func (g *generator) member(percent int, first *bool, name string, value func()) {
	if g.IntN(100) >= percent {
		return
	}
	if !*first {
		g.b = append(g.b, ',')
	}
	*first = false
	g.space()
	g.b = append(g.b, `"`+name+`"`...)
	g.space()
	g.b = append(g.b, ':')
	g.space()
	value()
	g.space()
}

func (g *generator) envelope() []byte {
	g.b = append(g.b[:0], `{"records":[`...)
	for i := range 1 + g.IntN(4) {
		if i > 0 {
			g.b = append(g.b, ',')
		}
		g.space()
		g.b = append(g.b, '{')
		first := true
		g.member(40, &first, "partition", func() { g.pick("0", "1", "7", "2147483647", "null", "-1", "1.0") })
		g.member(40, &first, "idempotency_key", func() { g.pick(`"k"`, `"k\u0031"`, `"é"`, "null", `""`) })
		g.member(97, &first, "payload", func() { g.value(4) })
		g.member(40, &first, "timestamp_ms", func() { g.pick("0", "1700000000000", "-5", "null", "9223372036854775807") })
		g.b = append(g.b, '}')
		g.space()
	}
	g.b = append(g.b, `]}`...)
	return g.b
}

// damage changes, drops or doubles a few bytes.
func (g *generator) damage(body []byte) []byte {
	body = bytes.Clone(body)
	for range 1 + g.IntN(2) {
		if len(body) == 0 {
			break
		}
		i := g.IntN(len(body))
		switch g.IntN(4) {
		case 0:
			body[i] = byte(g.Uint32())
		case 1:
			body = append(body[:i], body[i+1:]...)
		case 2:
			body = body[:i]
		default:
			const odd = "\"\\{}[],:0-.eEu \n\x00\xff"
			body = append(body[:i], append([]byte{odd[g.IntN(len(odd))]}, body[i:]...)...)
		}
	}
	return body
}

// TestAgainstEncodingJSON compares us with the oracle on generated bodies, whole and damaged.
func TestAgainstEncodingJSON(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	lim := DefaultLimits()
	lim.MaxDepth = 6
	accepted := 0
	rounds := tier.Pick(20_000, 200_000, 2_000_000)
	for range rounds {
		body := g.envelope()
		b := Get(0)
		if DecodeBulk(b, body, lim, wideDefaults()) == nil {
			accepted++
		}
		b.Release()
		checkBulk(t, body, lim)
		checkBulk(t, g.damage(body), lim)
		g.b = g.b[:0]
		for range 3 {
			g.value(3)
			g.pick("\n", "\r\n", "\n\n", " \n")
		}
		checkNDJSON(t, g.b, lim)
		checkNDJSON(t, g.damage(g.b), lim)
	}
	if accepted < rounds/20 {
		t.Fatalf("only %d of %d bodies were accepted: the generator proves little", accepted, rounds)
	}
}

// TestEveryCutAndFlip cuts a body after each byte and flips each of its bits.
func TestEveryCutAndFlip(t *testing.T) {
	body := []byte(`{"records":[{"payload":"a\u00e9\ud83d\ude00é","partition":1,"timestamp_ms":1700000000000,"idempotency_key":"k"},{"payload":{"a":[1,-2.5e3,true,null]}}]}`)
	lim := DefaultLimits()
	for i := range body {
		b := Get(0)
		err := DecodeBulk(b, body[:i], lim, wideDefaults())
		if e := checkFailure(t, b, body[:i], err); e.Code != CodeTruncatedJSON || e.Byte != i {
			t.Fatalf("cut to %q: %v", body[:i], e)
		}
		b.Release()
		for bit := range 8 {
			flipped := bytes.Clone(body)
			flipped[i] ^= 1 << bit
			checkBulk(t, flipped, lim)
		}
	}
}

var fuzzSeeds = []string{
	`{"records":[{"payload":"x","partition":0,"timestamp_ms":1700000000000,"idempotency_key":"k"}]}`,
	`{"records":[{"payload":{"a":[1,2.5e-3,true,false,null,"\u00e9\ud83d\ude00"]}},{"payload":""}]}`,
	`{"records":[{"p\u0061yload":"\ud800"}]}`,
	"{\"a\":1}\n\"text\"\r\n\n[]\n-0.0\n",
	"\"\xff\"", `[[[[[[[[`, `{"records":[{"payload":1,"payload":2}]}`, "\xef\xbb\xbf{}", `{"records":[{"payload_base64":"AP8="}]}`,
}

func fuzz(f *testing.F, check func(t *testing.T, body []byte, lim Limits)) {
	for _, s := range fuzzSeeds {
		f.Add([]byte(s))
	}
	lim := DefaultLimits()
	lim.MaxDepth = 20
	f.Fuzz(func(t *testing.T, body []byte) { check(t, body, lim) })
}

func FuzzDecodeBulk(f *testing.F)   { fuzz(f, checkBulk) }
func FuzzDecodeNDJSON(f *testing.F) { fuzz(f, checkNDJSON) }

// FuzzDecodeBinaryBulk looks for panics and broken batches where payload_base64 is taken.
func FuzzDecodeBinaryBulk(f *testing.F) {
	fuzz(f, func(t *testing.T, body []byte, lim Limits) {
		b := Get(len(body))
		defer b.Release()
		def := wideDefaults()
		def.Binary = true
		if err := DecodeBulk(b, body, lim, def); err != nil {
			checkFailure(t, b, body, err)
			return
		}
		rowsOf(t, b)
	})
}

func FuzzDecodeSingle(f *testing.F) {
	f.Add([]byte("payload"), "key", "1", "1700000000000")
	f.Add([]byte("\xff\x00"), "", "-1", "x")
	f.Fuzz(func(t *testing.T, body []byte, key, partition, ms string) {
		def, err := wideDefaults().Override(Headers{Partition: partition, TimestampMs: ms})
		if err != nil {
			return
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(partition), 10, 32); partition != "" && (err != nil || int32(n) != def.Partition) {
			t.Fatalf("X-Partition %q was read as %d", partition, def.Partition)
		}
		b := Get(len(body))
		defer b.Release()
		if DecodeSingle(b, body, []byte(key), DefaultLimits(), def) != nil {
			return
		}
		if !utf8.Valid(body) || !utf8.ValidString(key) {
			t.Fatalf("accepted %q with key %q", body, key)
		}
		if r := rowsOf(t, b); len(r) != 1 || r[0].payload != string(body) || r[0].key != key {
			t.Fatalf("%q became %v", body, r)
		}
	})
}
