package event

import (
	"bytes"
	"encoding/base64"
	"slices"

	"firn/commitlib/column"
)

type vector = column.Vector

// The members of a record, as bits of what was seen.
const (
	sawPayload = 1 << iota
	sawPartition
	sawTime
	sawKey
	isBase64 // beside sawPayload: it came as payload_base64
)

const recordHint = `a record is {"payload":…, "partition":0, "timestamp_ms":…, "idempotency_key":"…"}; only payload must be there`

// DecodeBulk fills dst from {"records":[{"payload":…, "partition":0, "timestamp_ms":…, "idempotency_key":"…"}, …]}. A
// payload that is a JSON string is stored as its unescaped bytes, any other JSON value as its text. A binary table also
// takes "payload_base64" in its place. Members that are left out, or null, take the defaults.
//
// Members may come in any order, none may come twice, and there are no others: a misspelt timestamp_ms must
// not become the receipt time in silence.
func DecodeBulk(dst *Batch, body []byte, lim Limits, def Defaults) error {
	dst.Reset()
	if again() {
		_ = decodeBulk(dst, body, lim, &def) // what is wrong with it the next line finds as well
		dst.Reset()
	}
	if err := decodeBulk(dst, body, lim, &def); err != nil {
		dst.Reset()
		return err
	}
	dst.finish()
	return nil
}

func decodeBulk(dst *Batch, body []byte, lim Limits, def *Defaults) *Error {
	p := parser{b: body, record: -1, lim: lim}
	if err := p.checkText(); err != nil {
		return err
	}
	const hint = `the body is {"records":[…]}; ` + recordHint
	p.spaces()
	if p.peek() != '{' {
		if p.i < len(body) && p.peek() == '[' {
			return p.fail(CodeWrongType, p.i, hint, "the body is an array, not an object")
		}
		return p.unexpected("the object of the body")
	}
	p.i++
	seen := false
	for p.space(); p.peek() != '}' || seen; p.space() {
		at := p.i
		name, err := p.name(dst)
		if err != nil {
			return err
		}
		switch {
		case string(name) != "records":
			return p.fail(CodeUnknownMember, at, hint, "the body has a member %q", clip(string(name)))
		case seen:
			return p.fail(CodeDuplicateMember, at, "send all events in one array", "the body has records twice")
		case p.peek() != '[' && p.i < len(body):
			return p.wrongType("records", "an array", hint)
		}
		seen = true
		if err := p.records(dst, def); err != nil {
			return err
		}
		if p.space(); p.peek() != ',' {
			break
		}
		p.i++
	}
	if p.peek() != '}' {
		return p.unexpected("',' or '}'")
	}
	if !seen {
		return p.fail(CodeMissingMember, p.i, hint, "the body has no records")
	}
	if p.i++; p.i < len(body) {
		if p.spaces(); p.i < len(body) {
			return p.fail(CodeMalformedJSON, p.i, "send one JSON object a request; for many values use application/x-ndjson",
				"%s after the end of the body's object", show(body[p.i]))
		}
	}
	if dst.Len == 0 {
		return p.fail(CodeNoEvents, 0, "send at least one record", "records is empty")
	}
	return nil
}

// records reads the array of records whose bracket is at the position.
func (p *parser) records(dst *Batch, def *Defaults) *Error {
	if p.peek() != '[' {
		return p.unexpected("the array of records")
	}
	p.i++
	if p.space(); p.peek() == ']' {
		p.i++
		return nil
	}
	for {
		p.record = dst.Len
		if err := p.checkCount(dst.Len); err != nil {
			return err
		}
		if err := p.readRecord(dst, def); err != nil {
			return err
		}
		p.record = -1
		p.space()
		switch p.peek() {
		case ',':
			p.i++
			p.space()
		case ']':
			p.i++
			return nil
		default:
			return p.unexpected("',' or ']'")
		}
	}
}

// readRecord reads the record at the position and adds its event.
func (p *parser) readRecord(dst *Batch, def *Defaults) *Error {
	start := p.i
	if p.peek() != '{' {
		return p.wrongType("the record", "an object", recordHint)
	}
	p.i++
	partition, micros := def.Partition, def.TimeMicros
	seen, keyed := 0, false
	for p.space(); p.peek() != '}' || seen != 0; p.space() {
		at := p.i
		member, err := p.member(dst)
		if err != nil {
			return err
		}
		if seen&member&^isBase64 != 0 {
			return p.duplicate(at)
		}
		seen |= member
		switch member {
		case sawPayload:
			err = p.payload(&dst.Cols[ColPayload])
		case sawPayload | isBase64:
			err = p.base64(&dst.Cols[ColPayload], def.Binary)
		case sawPartition:
			partition, err = p.partition(partition)
		case sawTime:
			micros, err = p.time(micros, def)
		case sawKey:
			keyed, err = p.key(&dst.Cols[ColKey])
		}
		if err != nil {
			return err
		}
		if p.space(); p.peek() != ',' {
			break
		}
		p.i++
	}
	if p.peek() != '}' {
		return p.unexpected("',' or '}'")
	}
	p.i++
	if seen&sawPayload == 0 {
		return p.fail(CodeMissingMember, start, recordHint, "the record has no payload")
	}
	dst.add(partition, micros, keyed)
	return nil
}

// member reads the name of a record's member and the colon behind it. Names as writers write them, without escapes and
// with the colon at once, are compared with the text.
func (p *parser) member(dst *Batch) (int, *Error) {
	const (
		payload   = `"payload":`
		partition = `"partition":`
		time      = `"timestamp_ms":`
		key       = `"idempotency_key":`
	)
	b, n, member := p.b[p.i:], 0, 0
	if len(b) > len(key) {
		switch {
		case string(b[:len(payload)]) == payload:
			n, member = len(payload), sawPayload
		case string(b[:len(partition)]) == partition:
			n, member = len(partition), sawPartition
		case string(b[:len(time)]) == time:
			n, member = len(time), sawTime
		case string(b[:len(key)]) == key:
			n, member = len(key), sawKey
		}
	}
	if member != 0 {
		p.i += n
		p.space()
		return member, nil
	}
	at := p.i
	name, err := p.name(dst)
	if err != nil {
		return 0, err
	}
	switch string(name) {
	case "payload":
		return sawPayload, nil
	case "payload_base64":
		return sawPayload | isBase64, nil
	case "partition":
		return sawPartition, nil
	case "timestamp_ms":
		return sawTime, nil
	case "idempotency_key":
		return sawKey, nil
	}
	return 0, p.fail(CodeUnknownMember, at, recordHint, "the record has a member %q", clip(string(name)))
}

// duplicate is the error for the member whose name is at a position, which the record had before.
func (p *parser) duplicate(at int) *Error {
	p.i = at
	name, err := p.name(new(Batch))
	if err != nil {
		return err
	}
	return p.fail(CodeDuplicateMember, at, "send each member once", "the record has %s twice", name)
}

// name reads a member's name and the colon behind it. The result is valid until the next call.
func (p *parser) name(dst *Batch) ([]byte, *Error) {
	if p.peek() != '"' {
		return nil, p.unexpected("a member's name in quotes")
	}
	p.i++
	start := p.i
	end, err := p.plain()
	if err != nil {
		return nil, err
	}
	name := p.b[start:end]
	if p.b[end] == '"' {
		p.i = end + 1
	} else { // written with escapes, which do not change what name it is
		p.i = start
		if dst.members, err = p.appendString(dst.members[:0]); err != nil {
			return nil, err
		}
		name = dst.members
	}
	return name, p.colon()
}

// wrongType is the error for the value at the position; if that is no JSON value at all, it says so instead.
func (p *parser) wrongType(what, want, hint string) *Error {
	at := p.i
	if err := p.skipValue(p.lim.MaxDepth); err != nil {
		return err
	}
	return p.fail(CodeWrongType, at, hint, "%s is %s, not %s", what, kindOf(p.b[at]), want)
}

// kindOf names the JSON type of a value by its first byte.
func kindOf(c byte) string {
	switch c {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// null skips a null, which stands for a member that is left out.
func (p *parser) null() (bool, *Error) {
	if p.peek() != 'n' {
		return false, nil
	}
	return true, p.literal("null")
}

func (p *parser) partition(otherwise int32) (int32, *Error) {
	if null, err := p.null(); null || err != nil {
		return otherwise, err
	}
	at := p.i
	v, ok, err := p.integer()
	if err != nil {
		return 0, err
	}
	if !ok {
		p.i = at
		return 0, p.wrongType("partition", "a whole number", "write it in digits, without quotes, fraction or exponent")
	}
	return int32(v), p.checkPartition(v, at)
}

func (p *parser) time(otherwise int64, def *Defaults) (int64, *Error) {
	if null, err := p.null(); null || err != nil {
		return otherwise, err
	}
	at := p.i
	v, ok, err := p.integer()
	if err != nil {
		return 0, err
	}
	if !ok {
		p.i = at
		return 0, p.wrongType("timestamp_ms", "a whole number", "send milliseconds since 1970-01-01T00:00:00Z in digits, without quotes, fraction or exponent")
	}
	return v * 1000, p.checkTime(v, at, def)
}

// key appends the idempotency key at the position, and says whether there was one.
func (p *parser) key(v *vector) (bool, *Error) {
	if null, err := p.null(); null || err != nil {
		return false, err
	}
	at, mark := p.i, len(v.Data)
	if p.peek() != '"' {
		return false, p.wrongType("idempotency_key", "a string", "write it in quotes")
	}
	p.i++
	var err *Error
	if v.Data, err = p.appendString(v.Data); err != nil {
		return false, err
	}
	key := v.Data[mark:]
	escaped := len(key) != p.i-at-len(`""`) || bytes.IndexByte(key, 0x7f) >= 0
	return true, p.checkKey(key, at, escaped)
}

// base64 appends the bytes of the payload_base64 at the position.
func (p *parser) base64(v *vector, binary bool) *Error {
	at, mark := p.i, len(v.Data)
	const hint = "send standard base64 with padding (RFC 4648, section 4)"
	switch {
	case !binary:
		return p.fail(CodeNotBinary, at,
			"send payload, or make another table: PUT /tables/{table} with {\"payload\":\"binary\"} (payload is fixed when a table is made)",
			"payload_base64 for a table whose payload is text")
	case p.peek() != '"':
		return p.wrongType("payload_base64", "a string", hint)
	}
	p.i++
	var err *Error
	if v.Data, err = p.appendString(v.Data); err != nil {
		return err
	}
	text := len(v.Data)
	v.Data = slices.Grow(v.Data, base64.StdEncoding.DecodedLen(text-mark))
	n, bad := strict.Decode(v.Data[text:cap(v.Data)], v.Data[mark:text])
	if bad != nil || bytes.ContainsAny(v.Data[mark:text], "\r\n") { // which the decoder would skip
		return p.fail(CodeInvalidBase64, at, hint, "payload_base64 is not base64")
	}
	copy(v.Data[mark:], v.Data[text:text+n])
	v.Data = v.Data[:mark+n]
	return p.checkPayload(n, at)
}

var strict = base64.StdEncoding.Strict()
