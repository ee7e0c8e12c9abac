package event

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"firn/commitlib/column"
)

func wideDefaults() Defaults {
	return Defaults{TimeMicros: 1_700_000_000_000_000, MinTime: math.MinInt64, MaxTime: math.MaxInt64}
}

// row is one event as tests compare it.
type row struct {
	partition int32
	micros    int64
	key       string // "-" for none
	payload   string
}

func (r row) String() string {
	return fmt.Sprintf("%d %d %q %q", r.partition, r.micros, r.key, r.payload)
}

func rowsOf(t *testing.T, b *Batch) []row {
	t.Helper()
	if err := b.Validate(); err != nil {
		t.Fatalf("batch breaks its invariants: %v", err)
	}
	var rows []row
	anyKey := false
	for i := range b.Len {
		r := row{b.Cols[ColPartition].Int32(i), b.Cols[ColTime].Int64(i), "-", string(b.Cols[ColPayload].Bytes(i))}
		if k := &b.Cols[ColKey]; !k.Null(i) {
			r.key, anyKey = string(k.Bytes(i)), true
		}
		rows = append(rows, r)
	}
	if b.Keyed != anyKey {
		t.Fatalf("Keyed is %t, want %t", b.Keyed, anyKey)
	}
	return rows
}

func wantRows(t *testing.T, b *Batch, want ...row) {
	t.Helper()
	got := rowsOf(t, b)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("decoded\n%v\nwant\n%v", got, want)
	}
}

// wantError checks code and place, and that nothing is left in the batch.
func wantError(t *testing.T, b *Batch, err error, code string, record, at int) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an *Error", err)
	}
	if e.Code != code || e.Record != record || e.Byte != at {
		t.Fatalf("got %v (record %d, byte %d)\nwant %s, record %d, byte %d", e, e.Record, e.Byte, code, record, at)
	}
	if e.Message == "" || e.Hint == "" {
		t.Fatalf("%v lacks message or hint", e)
	}
	if b.Len != 0 || b.Keyed || len(b.Cols[ColPayload].Data) != 0 {
		t.Fatalf("%d events are left after %v", b.Len, e)
	}
	return e
}

func TestBulkRows(t *testing.T) {
	def := wideDefaults()
	def.Partition = 9
	now := def.TimeMicros
	f := func(body string, want ...row) {
		t.Helper()
		b := Get(0)
		defer b.Release()
		if err := DecodeBulk(b, []byte(body), DefaultLimits(), def); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		wantRows(t, b, want...)
	}
	one := func(record string, want row) {
		t.Helper()
		f(`{"records":[`+record+`]}`, want)
	}
	one(`{"payload":"a"}`, row{9, now, "-", "a"})
	one(`{"payload":""}`, row{9, now, "-", ""})
	one(`{"payload":"x","partition":0,"timestamp_ms":12,"idempotency_key":"k"}`, row{0, 12_000, "k", "x"})
	one(` { "idempotency_key" : "k" , "timestamp_ms" : -1 , "partition" : 2147483647 , "payload" : "x" } `, row{math.MaxInt32, -1000, "k", "x"})
	one(`{"payload":"x","partition":null,"timestamp_ms":null,"idempotency_key":null}`, row{9, now, "-", "x"})
	one(`{"payload":"x","partition":-0}`, row{0, now, "-", "x"})
	one(`{"p\u0061yload":"x"}`, row{9, now, "-", "x"})

	// A string is stored unescaped, anything else as its text.
	one(`{"payload":"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00\u0000"}`, row{9, now, "-", "\"\\/\b\f\n\r\tAé😀\x00"})
	one(`{"payload":"größe 長さ 😀 and enough to fill some words"}`, row{9, now, "-", "größe 長さ 😀 and enough to fill some words"})
	one("{\"payload\":\"\x7f\u2028\"}", row{9, now, "-", "\x7f\u2028"})
	for _, v := range []string{`{}`, `[]`, `null`, `true`, `false`, `0`, `-0.5e+9`, `1e999999`, `{ "a" : [ 1 , "\u00e9" ] , "a":2}`, `[[[]]]`} {
		one(`{"payload":`+v+`}`, row{9, now, "-", v})
		one(`{"payload" : `+v+` , "partition" : 1}`, row{1, now, "-", v})
	}

	// Columns stop being constant at any row.
	f(`{"records":[{"payload":1,"partition":3},{"payload":2,"partition":3},{"payload":3,"partition":4},{"payload":4}]}`,
		row{3, now, "-", "1"}, row{3, now, "-", "2"}, row{4, now, "-", "3"}, row{9, now, "-", "4"})
	f(`{"records":[{"payload":1},{"payload":2},{"payload":3,"timestamp_ms":5},{"payload":4}]} `,
		row{9, now, "-", "1"}, row{9, now, "-", "2"}, row{9, 5000, "-", "3"}, row{9, now, "-", "4"})
	f(`{"records":[{"payload":1},{"payload":2,"idempotency_key":"k2"},{"payload":3},{"payload":4,"idempotency_key":"k4"}]}`,
		row{9, now, "-", "1"}, row{9, now, "k2", "2"}, row{9, now, "-", "3"}, row{9, now, "k4", "4"})
}

// TestKeysAtEveryRow puts the first key at each row around a validity word's borders.
func TestKeysAtEveryRow(t *testing.T) {
	b := Get(0)
	defer b.Release()
	for n := range 140 {
		var want []row
		body := bulkBody(n+2, func(i int) string {
			r := row{0, 1_700_000_000_000_000, "-", fmt.Sprint(i)}
			rec := fmt.Sprintf(`{"payload":%d}`, i)
			if i >= n {
				r.key = fmt.Sprint("k", i)
				rec = fmt.Sprintf(`{"payload":%d,"idempotency_key":"k%d"}`, i, i)
			}
			want = append(want, r)
			return rec
		})
		if err := DecodeBulk(b, body, DefaultLimits(), wideDefaults()); err != nil {
			t.Fatal(err)
		}
		wantRows(t, b, want...)
	}
}

func TestBinaryBulk(t *testing.T) {
	def := wideDefaults()
	def.Binary = true
	b := Get(0)
	defer b.Release()
	body := `{"records":[{"payload_base64":"AP8="},{"payload":"text"},{"payload_base64":""},{"payload_base64":"\/\u002bAA"}]}`
	if err := DecodeBulk(b, []byte(body), DefaultLimits(), def); err != nil {
		t.Fatal(err)
	}
	now := def.TimeMicros
	wantRows(t, b, row{0, now, "-", "\x00\xff"}, row{0, now, "-", "text"}, row{0, now, "-", ""}, row{0, now, "-", "\xff\xe0\x00"})

	for _, bad := range []string{"A", "AP8", "AP8=\\n", "A\\r\\nP8=", "AP9=", "-_==", "AP8= ", "é"} {
		err := DecodeBulk(b, []byte(`{"records":[{"payload_base64":"`+bad+`"}]}`), DefaultLimits(), def)
		wantError(t, b, err, CodeInvalidBase64, 0, 30)
	}
	err := DecodeBulk(b, []byte(`{"records":[{"payload":"a","payload_base64":"AA=="}]}`), DefaultLimits(), def)
	wantError(t, b, err, CodeDuplicateMember, 0, 27)
	err = DecodeBulk(b, []byte(`{"records":[{"payload_base64":7}]}`), DefaultLimits(), def)
	wantError(t, b, err, CodeWrongType, 0, 30)
	err = DecodeBulk(b, []byte(`{"records":[{"payload_base64":"AA=="}]}`), DefaultLimits(), wideDefaults())
	wantError(t, b, err, CodeNotBinary, 0, 30)
}

func TestNDJSONRows(t *testing.T) {
	def := wideDefaults()
	def.Partition = 4
	b := Get(0)
	defer b.Release()
	body := "{\"a\": 1}\n\"text\\n\"\r\n\n \t\n  [1, 2]  \r\nnull\n12"
	if err := DecodeNDJSON(b, []byte(body), DefaultLimits(), def); err != nil {
		t.Fatal(err)
	}
	now := def.TimeMicros
	wantRows(t, b, row{4, now, "-", `{"a": 1}`}, row{4, now, "-", "text\n"}, row{4, now, "-", "[1, 2]"}, row{4, now, "-", "null"}, row{4, now, "-", "12"})
	if !b.Cols[ColPartition].Const || !b.Cols[ColTime].Const || !b.Cols[ColKey].Const {
		t.Fatal("columns that all lines share are not constant")
	}
}

func TestSingleRows(t *testing.T) {
	b := Get(0)
	defer b.Release()
	def := wideDefaults()
	for _, payload := range []string{"x", `{"a":`, "größe", "\ufeffx", "\x00", `"quoted"`} {
		if err := DecodeSingle(b, []byte(payload), nil, DefaultLimits(), def); err != nil {
			t.Fatalf("%q: %v", payload, err)
		}
		wantRows(t, b, row{0, def.TimeMicros, "-", payload})
	}
	if err := DecodeSingle(b, []byte("x"), []byte("kéy"), DefaultLimits(), def); err != nil {
		t.Fatal(err)
	}
	wantRows(t, b, row{0, def.TimeMicros, "kéy", "x"})
	def.Binary = true
	if err := DecodeSingle(b, []byte("\xff\x00"), nil, DefaultLimits(), def); err != nil {
		t.Fatal(err)
	}
	wantRows(t, b, row{0, def.TimeMicros, "-", "\xff\x00"})
}

func TestSingleErrors(t *testing.T) {
	b := Get(0)
	defer b.Release()
	lim := DefaultLimits()
	lim.MaxBodyBytes, lim.MaxEventBytes, lim.MaxKeyBytes = 20, 10, 4
	f := func(body, key, code string, record, at int) {
		t.Helper()
		var k []byte
		if key != "-" {
			k = []byte(key)
		}
		wantError(t, b, DecodeSingle(b, []byte(body), k, lim, wideDefaults()), code, record, at)
	}
	f("", "-", CodeNoEvents, -1, 0)
	f("ab\xffc", "-", CodeInvalidUTF8, 0, 2)
	f("ab\xe2\x82", "-", CodeInvalidUTF8, 0, 2)
	f("\xed\xa0\x80", "-", CodeInvalidUTF8, 0, 0) // a surrogate in UTF-8
	f(strings.Repeat("x", 11), "-", CodeEventTooLarge, 0, 0)
	f(strings.Repeat("x", 21), "-", CodeBodyTooLarge, -1, 20)
	f("x", "", CodeInvalidKey, 0, -1)
	f("x", "12345", CodeKeyTooLong, 0, -1)
	f("x", "a\x01", CodeInvalidKey, 0, -1)
	f("x", "a\xff", CodeInvalidUTF8, 0, -1)
}

func TestCheckJSON(t *testing.T) {
	b := Get(0)
	defer b.Release()
	lim := DefaultLimits()
	lim.MaxDepth = 2
	for _, body := range []string{"", `{"a":[1]}`, ` "text" `, "null\n", "-0.5"} {
		if err := CheckJSON([]byte(body), lim); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
	}
	f := func(body, code string, record, at int) {
		t.Helper()
		wantError(t, b, CheckJSON([]byte(body), lim), code, record, at)
	}
	f(" ", CodeTruncatedJSON, 0, 1)
	f("hello", CodeMalformedJSON, 0, 0)
	f(`{"a":`, CodeTruncatedJSON, 0, 5)
	f(`{} {}`, CodeMalformedJSON, 0, 3)
	f(`[[[]]]`, CodeTooDeep, 0, 2)
	f(`"\udead"`, CodeLoneSurrogate, 0, 1)
	f("\xef\xbb\xbf1", CodeByteOrderMark, -1, 0)
}

func TestHeaders(t *testing.T) {
	def := Defaults{Partition: 1, TimeMicros: 2, MinTime: 0, MaxTime: 2_000_000_000_000_000}
	f := func(h Headers, partition int32, micros int64) {
		t.Helper()
		got, err := def.Override(h)
		if err != nil {
			t.Fatal(err)
		}
		if got.Partition != partition || got.TimeMicros != micros {
			t.Fatalf("%+v gives partition %d, time %d", h, got.Partition, got.TimeMicros)
		}
	}
	f(Headers{}, 1, 2)
	f(Headers{Partition: "0"}, 0, 2)
	f(Headers{Partition: " 2147483647 ", TimestampMs: "1700000000123"}, math.MaxInt32, 1_700_000_000_123_000)

	bad := func(h Headers, code string) {
		t.Helper()
		_, err := def.Override(h)
		wantError(t, Get(0), err, code, -1, -1)
	}
	for _, v := range []string{"x", "1.0", "1e3", "+1", "01", "0x10", "--1", " ", "1 2", "٣", "true", `"1"`, strings.Repeat("x", 1000)} {
		bad(Headers{Partition: v}, CodeWrongType)
		bad(Headers{TimestampMs: v}, CodeWrongType)
	}
	bad(Headers{Partition: "-1"}, CodePartitionRange)
	bad(Headers{Partition: "2147483648"}, CodePartitionRange)
	bad(Headers{Partition: strings.Repeat("9", 100)}, CodePartitionRange)
	bad(Headers{TimestampMs: "-1"}, CodeTimeRange)
	bad(Headers{TimestampMs: "9223372036854775807"}, CodeTimeRange)
	bad(Headers{TimestampMs: "-9223372036854775808"}, CodeTimeRange)
	bad(Headers{TimestampMs: strings.Repeat("9", 100)}, CodeTimeRange)
}

// TestWindow checks both ends of the window, and that the usual mistakes are named.
func TestWindow(t *testing.T) {
	b := Get(0)
	defer b.Release()
	def := wideDefaults()
	def.MinTime, def.MaxTime = 1_600_000_000_000_000, 1_800_000_000_000_000
	decode := func(ms string) error {
		return DecodeBulk(b, []byte(`{"records":[{"payload":1,"timestamp_ms":`+ms+`}]}`), DefaultLimits(), def)
	}
	for _, ms := range []string{"1600000000000", "1800000000000"} {
		if err := decode(ms); err != nil {
			t.Fatal(err)
		}
	}
	f := func(ms, hint string) {
		t.Helper()
		e := wantError(t, b, decode(ms), CodeTimeRange, 0, 40)
		if !strings.Contains(e.Hint, hint) || !strings.Contains(e.Message, "2020-09-13T12:26:40Z to 2027-01-15T08:00:00Z") {
			t.Fatalf("%s: %v", ms, e)
		}
	}
	f("1599999999999", "time_window_back")
	f("1800000000001", "time_window_back")
	f("1700000000", "looks like seconds")
	f("1700000000000000", "looks like microseconds")
	f("1700000000000000000", "looks like nanoseconds")
	f("0", "time_window_back")
	f("-1", "time_window_back")
	f("99999999999999999999999999", "time_window_back")
	f("-99999999999999999999999999", "time_window_back")
}

// TestNothingAllocated holds the promise of no allocation an event: none at all once the arenas have grown.
func TestNothingAllocated(t *testing.T) {
	lim, def := DefaultLimits(), wideDefaults()
	bulk := bulkBody(100, func(i int) string {
		return fmt.Sprintf(`{"payload":{"a":[%d,"\u00e9"]},"partition":%d,"timestamp_ms":%d,"idempotency_key":"k%d"},{"payload":"t\n%d"}`, i, i, i, i, i)
	})
	lines := []byte(strings.Repeat("{\"a\":1}\n\"text\"\n", 100))
	b := Get(0)
	n := testing.AllocsPerRun(50, func() {
		if DecodeBulk(b, bulk, lim, def) != nil || DecodeNDJSON(b, lines, lim, def) != nil || DecodeSingle(b, lines, nil, lim, def) != nil {
			t.Fatal("decoding failed")
		}
	})
	if n != 0 {
		t.Fatalf("%v allocations a run", n)
	}
}

func TestPoolIsBounded(t *testing.T) {
	b := Get(0)
	b.Cols[ColPayload].Data = make([]byte, 0, classes[len(classes)-1]+1)
	b.Release()
	for range 100 {
		if got := Get(1); got.Capacity() > classes[0] {
			t.Fatalf("a small request was given a batch of %d bytes", got.Capacity())
		}
	}
}

func TestColumnsFollowSchema(t *testing.T) {
	for i, f := range Schema.Fields {
		kind, err := column.KindOf(f.Type)
		if err != nil || kind != kinds[i] {
			t.Fatalf("column %s is of kind %d, want %d (%v)", f.Name, kinds[i], kind, err)
		}
	}
}

func TestLimits(t *testing.T) {
	if err := DefaultLimits().Validate(); err != nil {
		t.Fatal(err)
	}
	err := Limits{MaxBodyBytes: 1 << 31, MaxDepth: 5000}.Validate()
	for _, name := range []string{"MaxBodyBytes", "MaxEvents", "MaxEventBytes", "MaxKeyBytes", "MaxDepth"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Fatalf("%s is not among the violations: %v", name, err)
		}
	}
}
