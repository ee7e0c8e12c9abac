package event

import (
	"strings"
	"testing"
)

// TestBulkErrors gives every kind of bad envelope, with the code and the place that its sender is told.
func TestBulkErrors(t *testing.T) {
	b := Get(0)
	defer b.Release()
	lim := DefaultLimits()
	lim.MaxDepth, lim.MaxEvents, lim.MaxEventBytes, lim.MaxKeyBytes = 3, 3, 50, 8
	// at is the text before the place; record -1 means the envelope.
	f := func(body, code string, record int, at string) {
		t.Helper()
		if !strings.HasPrefix(body, at) {
			t.Fatalf("%q does not start with %q", body, at)
		}
		wantError(t, b, DecodeBulk(b, []byte(body), lim, wideDefaults()), code, record, len(at))
	}
	const open = `{"records":[`
	const two = open + `{"payload":1},`
	rec := func(record, code, at string) {
		t.Helper()
		f(two+record+`]}`, code, 1, two+at)
	}

	// The envelope.
	f(``, CodeTruncatedJSON, -1, ``)
	f(" \n", CodeTruncatedJSON, -1, " \n")
	f(`{`, CodeTruncatedJSON, -1, `{`)
	f(`hello`, CodeMalformedJSON, -1, ``)
	f(`null`, CodeMalformedJSON, -1, ``)
	f(`[{"payload":1}]`, CodeWrongType, -1, ``)
	f("\xef\xbb\xbf"+two, CodeByteOrderMark, -1, ``)
	f("\xff\xfe{\x00", CodeMalformedJSON, -1, ``)
	f("\x00"+two, CodeMalformedJSON, -1, ``)
	f(`{}`, CodeMissingMember, -1, `{`)
	f(`{records:[]}`, CodeMalformedJSON, -1, `{`)
	f(`{"records":[]}`, CodeNoEvents, -1, ``)
	f(`{"records":{}}`, CodeWrongType, -1, `{"records":`)
	f(`{"records":null}`, CodeWrongType, -1, `{"records":`)
	f(`{"records":nul}`, CodeMalformedJSON, -1, `{"records":nul`)
	f(`{"records":`, CodeTruncatedJSON, -1, `{"records":`)
	f(`{"records"}`, CodeMalformedJSON, -1, `{"records"`)
	f(`{"Records":[]}`, CodeUnknownMember, -1, `{`)
	f(`{"payload":1}`, CodeUnknownMember, -1, `{`)
	f(`{"records":[{"payload":1}],"records":[]}`, CodeDuplicateMember, -1, `{"records":[{"payload":1}],`)
	f(`{"records":[{"payload":1}],"r\u0065cords":[]}`, CodeDuplicateMember, -1, `{"records":[{"payload":1}],`)
	f(`{"records":[{"payload":1}],"x":1}`, CodeUnknownMember, -1, `{"records":[{"payload":1}],`)
	f(`{"records":[{"payload":1}],}`, CodeMalformedJSON, -1, `{"records":[{"payload":1}],`)
	f(`{"records":[{"payload":1}]`, CodeTruncatedJSON, -1, `{"records":[{"payload":1}]`)
	f(`{"records":[{"payload":1}]]`, CodeMalformedJSON, -1, `{"records":[{"payload":1}]`)
	f(`{"records":[{"payload":1}]} x`, CodeMalformedJSON, -1, `{"records":[{"payload":1}]} `)
	f(`{"records":[{"payload":1}]}{}`, CodeMalformedJSON, -1, `{"records":[{"payload":1}]}`)
	f("{\"records\":[{\"payload\":1}]}\x00", CodeMalformedJSON, -1, `{"records":[{"payload":1}]}`)
	f(open+`{"payload":1},]}`, CodeMalformedJSON, 1, open+`{"payload":1},`)
	f(open+`{"payload":1} {"payload":1}]}`, CodeMalformedJSON, -1, open+`{"payload":1} `)
	f(open+strings.Repeat(`{"payload":1},`, 3)+`{"payload":1}]}`, CodeTooManyEvents, 3, open+strings.Repeat(`{"payload":1},`, 3))

	// The record.
	rec(`1`, CodeWrongType, ``)
	rec(`"x"`, CodeWrongType, ``)
	rec(`null`, CodeWrongType, ``)
	rec(`[]`, CodeWrongType, ``)
	rec(`{}`, CodeMissingMember, ``)
	rec(`{"partition":1}`, CodeMissingMember, ``)
	rec(`{"payload":1,}`, CodeMalformedJSON, `{"payload":1,`)
	rec(`{,"payload":1}`, CodeMalformedJSON, `{`)
	rec(`{"payload":1 "partition":2}`, CodeMalformedJSON, `{"payload":1 `)
	rec(`{"payload"=1}`, CodeMalformedJSON, `{"payload"`)
	rec(`{'payload':1}`, CodeMalformedJSON, `{`)
	rec(`{"payload":1,"payload":2}`, CodeDuplicateMember, `{"payload":1,`)
	rec(`{"payload":1,"partition":1,"partition":1}`, CodeDuplicateMember, `{"payload":1,"partition":1,`)
	rec(`{"payload":1,"timestamp_ms":null,"timestamp_ms":1}`, CodeDuplicateMember, `{"payload":1,"timestamp_ms":null,`)
	rec(`{"payload":1,"idempotency_key":"a","idempotency_ke\u0079":"a"}`, CodeDuplicateMember, `{"payload":1,"idempotency_key":"a",`)
	rec(`{"payload":1,"timestamp":1}`, CodeUnknownMember, `{"payload":1,`)
	rec(`{"payload":1,"":1}`, CodeUnknownMember, `{"payload":1,`)
	rec("{\"payl\xffad\":1}", CodeInvalidUTF8, `{"payl`)

	// Values of members.
	rec(`{"partition":"1"}`, CodeWrongType, `{"partition":`)
	rec(`{"partition":1.0}`, CodeWrongType, `{"partition":`)
	rec(`{"partition":1e2}`, CodeWrongType, `{"partition":`)
	rec(`{"partition":[[[[1]]]]}`, CodeTooDeep, `{"partition":[[[`)
	rec(`{"partition":true}`, CodeWrongType, `{"partition":`)
	rec(`{"partition":-1}`, CodePartitionRange, `{"partition":`)
	rec(`{"partition":2147483648}`, CodePartitionRange, `{"partition":`)
	rec(`{"partition":99999999999999999999999}`, CodePartitionRange, `{"partition":`)
	rec(`{"partition":01}`, CodeMalformedJSON, `{"partition":0`)
	rec(`{"partition":+1}`, CodeMalformedJSON, `{"partition":`)
	rec(`{"timestamp_ms":"2024-01-01"}`, CodeWrongType, `{"timestamp_ms":`)
	rec(`{"timestamp_ms":1700000000000.5}`, CodeWrongType, `{"timestamp_ms":`)
	rec(`{"timestamp_ms":99999999999999999999}`, CodeTimeRange, `{"timestamp_ms":`)
	rec(`{"timestamp_ms":1e999999}`, CodeWrongType, `{"timestamp_ms":`)
	rec(`{"timestamp_ms":-}`, CodeMalformedJSON, `{"timestamp_ms":-`)
	rec(`{"timestamp_ms":NaN}`, CodeMalformedJSON, `{"timestamp_ms":`)
	rec(`{"idempotency_key":1}`, CodeWrongType, `{"idempotency_key":`)
	rec(`{"idempotency_key":""}`, CodeInvalidKey, `{"idempotency_key":`)
	rec(`{"idempotency_key":"a\u0000"}`, CodeInvalidKey, `{"idempotency_key":`)
	rec(`{"idempotency_key":"a\n"}`, CodeInvalidKey, `{"idempotency_key":`)
	rec("{\"idempotency_key\":\"a\x7f\"}", CodeInvalidKey, `{"idempotency_key":`)
	rec(`{"idempotency_key":"123456789"}`, CodeKeyTooLong, `{"idempotency_key":`)
	rec(`{"payload":"`+strings.Repeat("x", 51)+`"}`, CodeEventTooLarge, `{"payload":`)
	rec(`{"payload":[`+strings.Repeat(" ", 49)+`]}`, CodeEventTooLarge, `{"payload":`)

	// JSON inside a payload.
	val := func(value, code, at string) {
		t.Helper()
		rec(`{"payload":`+value+`}`, code, `{"payload":`+at)
	}
	val(``, CodeMalformedJSON, ``)
	val(`tru`, CodeMalformedJSON, `tru`)
	val(`nulll`, CodeMalformedJSON, `null`)
	val(`undefined`, CodeMalformedJSON, ``)
	val(`00`, CodeMalformedJSON, `0`)
	val(`.5`, CodeMalformedJSON, ``)
	val(`1.`, CodeMalformedJSON, `1.`)
	val(`1.e5`, CodeMalformedJSON, `1.`)
	val(`1e`, CodeMalformedJSON, `1e`)
	val(`1e+`, CodeMalformedJSON, `1e+`)
	val(`--1`, CodeMalformedJSON, `-`)
	val(`0x10`, CodeMalformedJSON, `0`)
	val(`Infinity`, CodeMalformedJSON, ``)
	val(`[1,]`, CodeMalformedJSON, `[1,`)
	val(`[1 2]`, CodeMalformedJSON, `[1 `)
	val(`[,]`, CodeMalformedJSON, `[`)
	val(`{"a"}`, CodeMalformedJSON, `{"a"`)
	val(`{"a":1,}`, CodeMalformedJSON, `{"a":1,`)
	val(`{a:1}`, CodeMalformedJSON, `{`)
	val(`[1}`, CodeMalformedJSON, `[1`)
	val(`[[[[]]]]`, CodeTooDeep, `[[[`)
	val(`{"a":{"a":{"a":{}}}}`, CodeTooDeep, `{"a":{"a":{"a":`)
	val(`/* c */ 1`, CodeMalformedJSON, ``)
	val("\v1", CodeMalformedJSON, ``)
	val("\u00a01", CodeMalformedJSON, ``)
	val(`"\x41"`, CodeMalformedJSON, `"\`)
	val(`"\u12g4"`, CodeMalformedJSON, `"\u12`)
	val("\"a\nb\"", CodeMalformedJSON, `"a`)
	val("\"plain text\x00\"", CodeMalformedJSON, `"plain text`)
	val("\"plain text\x1f\"", CodeMalformedJSON, `"plain text`)
	val("[\"plain text\x1f\"]", CodeMalformedJSON, `["plain text`)

	// Text that is none.
	val("\"a\xff\"", CodeInvalidUTF8, `"a`)
	val("\"long enough \xc3\x28 for words\"", CodeInvalidUTF8, `"long enough `)
	val("\"\xc0\xaf\"", CodeInvalidUTF8, `"`)             // overlong
	val("\"\xed\xa0\x80\"", CodeInvalidUTF8, `"`)         // a surrogate
	val("\"\xf4\x90\x80\x80\"", CodeInvalidUTF8, `"`)     // above U+10FFFF
	val("\"é\xe2\x82\"", CodeInvalidUTF8, `"é`)           // cut off
	val("{\"\xff\":1}", CodeInvalidUTF8, `{"`)            // in a name
	val("[\"\\n\xff\"]", CodeInvalidUTF8, `["\n`)         // behind an escape
	val(`"\ud800"`, CodeLoneSurrogate, `"`)               // high alone
	val(`"ab\udc00"`, CodeLoneSurrogate, `"ab`)           // low alone
	val(`"\ud83d\u0041"`, CodeLoneSurrogate, `"`)         // high, then none
	val(`"\ud83d\ud83d\ude00"`, CodeLoneSurrogate, `"`)   // high, high
	val(`"\ud83d\n"`, CodeLoneSurrogate, `"`)             // high, another escape
	val(`["\ud83d"]`, CodeLoneSurrogate, `["`)            // in text that is stored as it is
	val(`{"\uDEAD":1}`, CodeLoneSurrogate, `{"`)          // in a name
	val(`"\ud83d\u12"`, CodeMalformedJSON, `"\ud83d\u12`) // a pair that is none
	val(`"\ud83d\`+"\xff\"", CodeLoneSurrogate, `"`)      // and a bad escape
	val(`"a\`+"\xff\"", CodeMalformedJSON, `"a\`)         // a bad escape
	val(`"\ud83d\ude0`+"\xff\"", CodeMalformedJSON, `"\ud83d\ude0`)
}

func TestBulkBodyTooLarge(t *testing.T) {
	b := Get(0)
	defer b.Release()
	lim := DefaultLimits()
	lim.MaxBodyBytes = 30
	body := `{"records":[{"payload":"12345678"}]}`
	wantError(t, b, DecodeBulk(b, []byte(body), lim, wideDefaults()), CodeBodyTooLarge, -1, 30)
	wantError(t, b, DecodeNDJSON(b, []byte(body), lim, wideDefaults()), CodeBodyTooLarge, -1, 30)
}

func TestNDJSONErrors(t *testing.T) {
	b := Get(0)
	defer b.Release()
	lim := DefaultLimits()
	lim.MaxDepth, lim.MaxEvents, lim.MaxEventBytes = 3, 3, 50
	f := func(body, code string, record int, at string) {
		t.Helper()
		if !strings.HasPrefix(body, at) {
			t.Fatalf("%q does not start with %q", body, at)
		}
		wantError(t, b, DecodeNDJSON(b, []byte(body), lim, wideDefaults()), code, record, len(at))
	}
	f("", CodeNoEvents, -1, "")
	f(" \r\n\n", CodeNoEvents, -1, "")
	f("\xef\xbb\xbf1\n", CodeByteOrderMark, -1, "")
	f("1\nhello\n", CodeMalformedJSON, 1, "1\n")
	f("1\n2 3\n", CodeMalformedJSON, 1, "1\n2 ")
	f("1\n\n{\"a\":\n1}\n", CodeTruncatedJSON, 1, "1\n\n{\"a\":")
	f("1\n\"a", CodeTruncatedJSON, 1, "1\n\"a")
	f("1\n\"a\xe2\x82", CodeTruncatedJSON, 1, "1\n\"a\xe2\x82")
	f("1\n\"a\xff\"\n", CodeInvalidUTF8, 1, "1\n\"a")
	f("1\n[[[[1]]]]\n", CodeTooDeep, 1, "1\n[[[")
	f("1\n2\n3\n4\n", CodeTooManyEvents, 3, "1\n2\n3\n")
	f("1\n\""+strings.Repeat("x", 51)+"\"\n", CodeEventTooLarge, 1, "1\n")
	f("1\x002\n", CodeMalformedJSON, 0, "1")
	f("1\u20282\n", CodeMalformedJSON, 0, "1")
}
