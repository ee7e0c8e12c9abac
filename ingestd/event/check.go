package event

import (
	"bytes"
	"math"
	"time"
	"unicode/utf8"
)

func (p *parser) checkBody() *Error {
	if len(p.b) > p.lim.MaxBodyBytes {
		return p.fail(CodeBodyTooLarge, p.lim.MaxBodyBytes, "send fewer events in one request", "the body has %d bytes, more than %d", len(p.b), p.lim.MaxBodyBytes)
	}
	return nil
}

// checkText is checkBody for JSON.
func (p *parser) checkText() *Error {
	if bytes.HasPrefix(p.b, []byte("\xef\xbb\xbf")) {
		return p.fail(CodeByteOrderMark, 0, "send UTF-8 without a byte order mark", "the body starts with a byte order mark")
	}
	return p.checkBody()
}

func (p *parser) checkCount(have int) *Error {
	if have >= p.lim.MaxEvents {
		return p.fail(CodeTooManyEvents, p.i, "send fewer events in one request", "the request has more than %d events", p.lim.MaxEvents)
	}
	return nil
}

func (p *parser) checkPayload(size, at int) *Error {
	if size > p.lim.MaxEventBytes {
		return p.fail(CodeEventTooLarge, at, "keep large objects elsewhere and send their address", "the payload has %d bytes, more than %d", size, p.lim.MaxEventBytes)
	}
	return nil
}

func (p *parser) checkPartition(v int64, at int) *Error {
	if v < 0 || v > math.MaxInt32 {
		return p.fail(CodePartitionRange, at, "number partitions from 0 to 2147483647", "the partition is outside 0..2147483647")
	}
	return nil
}

// checkKey checks an idempotency key. It is text, as the table's column is, and has no control characters, so that it
// can be sent as a header and read in a log. escaped says that the key may hold any character; else it came from a JSON
// string without escapes, which holds neither control characters nor invalid UTF-8.
func (p *parser) checkKey(key []byte, at int, escaped bool) *Error {
	if len(key) == 0 {
		return p.fail(CodeInvalidKey, at, "leave the key out where there is none", "the idempotency key is empty")
	}
	if len(key) > p.lim.MaxKeyBytes {
		return p.fail(CodeKeyTooLong, at, "send a UUID or a hash of what identifies the event", "the idempotency key has %d bytes, more than %d", len(key), p.lim.MaxKeyBytes)
	}
	if !escaped {
		return nil
	}
	for _, c := range key {
		if c < ' ' || c == 0x7f {
			return p.fail(CodeInvalidKey, at, "send a UUID or a hash of what identifies the event", "the idempotency key has control character 0x%02x", c)
		}
	}
	if !utf8.Valid(key) {
		return p.fail(CodeInvalidUTF8, at, "send a UUID or a hash of what identifies the event", "the idempotency key is not valid UTF-8")
	}
	return nil
}

// checkTime checks a time in milliseconds against the table's window. The usual mistake is another unit: it says so.
func (p *parser) checkTime(ms int64, at int, def *Defaults) *Error {
	inside := func(ms int64) bool {
		return ms >= math.MinInt64/1000 && ms <= math.MaxInt64/1000 && ms*1000 >= def.MinTime && ms*1000 <= def.MaxTime
	}
	if inside(ms) {
		return nil
	}
	window := rfc3339(def.MinTime) + " to " + rfc3339(def.MaxTime)
	hint := "send milliseconds since 1970-01-01T00:00:00Z, or widen the window: " +
		"PUT /tables/{table} with time_window_back (such as \"3650d\") or time_window_ahead, on an existing table too"
	switch {
	case ms < math.MaxInt64/1000 && ms > math.MinInt64/1000 && inside(ms*1000):
		hint = "this looks like seconds: send milliseconds"
	case inside(ms / 1000):
		hint = "this looks like microseconds: send milliseconds"
	case inside(ms / 1_000_000):
		hint = "this looks like nanoseconds: send milliseconds"
	}
	return p.fail(CodeTimeRange, at, hint, "the event time is outside the table's window, %s", window)
}

func rfc3339(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05.999Z")
}
