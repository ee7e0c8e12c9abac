package event

import (
	"bytes"
	"unicode/utf8"
)

// DecodeSingle fills dst with one event whose payload is the body as it is: UTF-8 for a text table, any bytes for a
// binary one. key is its idempotency key, nil for none; partition and time are the defaults.
func DecodeSingle(dst *Batch, body, key []byte, lim Limits, def Defaults) error {
	dst.Reset()
	p := parser{b: body, record: -1, lim: lim}
	if err := p.checkBody(); err != nil {
		return err
	}
	if len(body) == 0 {
		return p.fail(CodeNoEvents, 0, `to store an empty payload, send {"records":[{"payload":""}]} to the bulk endpoint`, "the body is empty")
	}
	p.record = 0
	if err := p.checkPayload(len(body), 0); err != nil {
		return err
	}
	if !def.Binary && !utf8.Valid(body) {
		at := invalidUTF8(body)
		return p.fail(CodeInvalidUTF8, at,
			"send UTF-8, or make another table: PUT /tables/{table} with {\"payload\":\"binary\"} (payload is fixed when a table is made)",
			"byte 0x%02x is not valid UTF-8", body[at])
	}
	if key != nil {
		if err := p.checkKey(key, -1, true); err != nil {
			return err
		}
		dst.Cols[ColKey].Data = append(dst.Cols[ColKey].Data, key...)
	}
	v := &dst.Cols[ColPayload]
	v.Data = append(v.Data, body...)
	dst.add(def.Partition, def.TimeMicros, key != nil)
	dst.finish()
	return nil
}

// CheckJSON says whether the body is one JSON value, for a sender that calls its one event JSON. What is stored of
// it is the body as it is, all the same.
func CheckJSON(body []byte, lim Limits) error {
	p := parser{b: body, record: -1, lim: lim}
	if err := p.checkText(); err != nil {
		return err
	}
	p.spaces()
	if len(body) == 0 {
		return nil // DecodeSingle says so
	}
	p.record = 0
	if err := p.skim(lim.MaxDepth); err != nil {
		return err
	}
	if p.spaces(); p.i < len(body) {
		return p.fail(CodeMalformedJSON, p.i, "send many values to the bulk endpoint, as application/x-ndjson", "%s after the JSON value", show(body[p.i]))
	}
	return nil
}

// DecodeNDJSON fills dst with one event a line. A line is one JSON value: a string's unescaped bytes are the payload,
// any other value's text is, without the white space around it. Lines end with LF or CR LF; blank lines are skipped, as
// writers leave one at the end. Partition and time are the defaults; there are no keys.
func DecodeNDJSON(dst *Batch, body []byte, lim Limits, def Defaults) error {
	dst.Reset()
	if err := decodeNDJSON(dst, body, lim, &def); err != nil {
		dst.Reset()
		return err
	}
	dst.finish()
	return nil
}

func decodeNDJSON(dst *Batch, body []byte, lim Limits, def *Defaults) *Error {
	p := parser{b: body, record: -1, lim: lim}
	if err := p.checkText(); err != nil {
		return err
	}
	v := &dst.Cols[ColPayload]
	for start := 0; start < len(body); {
		end := len(body)
		if n := bytes.IndexByte(body[start:], '\n'); n >= 0 {
			end = start + n
		}
		p.b, p.i = body[:end], start
		start = end + 1
		p.space()
		if p.i == end {
			continue
		}
		p.record = dst.Len
		if err := p.checkCount(dst.Len); err != nil {
			return err
		}
		if err := p.payload(v); err != nil {
			return err
		}
		p.space()
		if p.i < end {
			return p.fail(CodeMalformedJSON, p.i,
				"write one JSON value a line; with curl send a file by --data-binary, since -d drops its line breaks",
				"%s after the line's JSON value", show(p.b[p.i]))
		}
		dst.add(def.Partition, def.TimeMicros, false)
	}
	if dst.Len == 0 {
		p.record = -1
		return p.fail(CodeNoEvents, 0, "send one JSON value a line", "the body holds no event")
	}
	return nil
}

// payload appends the payload that the JSON value at the position stands for.
func (p *parser) payload(v *vector) *Error {
	start, mark := p.i, len(v.Data)
	var err *Error
	if p.peek() == '"' {
		p.i++
		v.Data, err = p.appendString(v.Data)
	} else if err = p.skim(p.lim.MaxDepth); err == nil {
		v.Data = append(v.Data, p.b[start:p.i]...)
	}
	if err != nil {
		return err
	}
	return p.checkPayload(len(v.Data)-mark, start)
}
