package event

import "fmt"

// Error says what was wrong with a request body, where, and what to do. Record and
// Byte are -1 where they have no meaning.
type Error struct {
	Code    string // stable: see the constants
	Record  int    // index of the event in the request, from 0
	Byte    int    // position in the body after decompression, from 0
	Message string
	Hint    string
}

func (e *Error) Error() string {
	s := e.Code + ": " + e.Message
	if e.Record >= 0 {
		s = fmt.Sprintf("%s (record %d)", s, e.Record)
	}
	if e.Byte >= 0 {
		s = fmt.Sprintf("%s (byte %d)", s, e.Byte)
	}
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return s
}

// The codes. They are part of the HTTP interface: a released code keeps its meaning.
const (
	CodeMalformedJSON   = "malformed_json"         // not JSON: syntax, an unknown literal, a control character in a string, what follows the end
	CodeTruncatedJSON   = "truncated_json"         // JSON so far, but the body ends too early
	CodeTooDeep         = "json_too_deep"          // more nesting than Limits.MaxDepth
	CodeInvalidUTF8     = "invalid_utf8"           // a byte that is not UTF-8 where text is wanted
	CodeLoneSurrogate   = "lone_surrogate"         // \uD800..\uDFFF that is not half of a pair
	CodeByteOrderMark   = "byte_order_mark"        // the body starts with U+FEFF
	CodeDuplicateMember = "duplicate_member"       // a member of the envelope or of a record appears twice
	CodeUnknownMember   = "unknown_member"         // a member that the envelope or a record does not have
	CodeMissingMember   = "missing_member"         // no records, or a record without payload
	CodeWrongType       = "wrong_type"             // a member whose value has another type than it must
	CodePartitionRange  = "partition_out_of_range" // not in 0..2147483647
	CodeTimeRange       = "timestamp_out_of_range" // outside the table's event-time window
	CodeInvalidKey      = "invalid_key"            // an idempotency key that is empty or has control characters
	CodeKeyTooLong      = "key_too_long"           // more bytes than Limits.MaxKeyBytes
	CodeInvalidBase64   = "invalid_base64"         // payload_base64 is not standard, padded base64
	CodeNotBinary       = "table_not_binary"       // payload_base64 for a text table
	CodeEventTooLarge   = "event_too_large"        // a payload of more bytes than Limits.MaxEventBytes
	CodeTooManyEvents   = "too_many_events"        // more events than Limits.MaxEvents
	CodeBodyTooLarge    = "body_too_large"         // a body of more bytes than Limits.MaxBodyBytes
	CodeNoEvents        = "no_events"              // a request that holds no event
)
