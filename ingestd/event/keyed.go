package event

import "bytes"

// MayHoldKeys says whether a body of the bulk endpoint can hold an idempotency key: false is certain, true is not. It
// costs a fraction of decoding. A member's name is written as it is, or with \u escapes for some of its letters and
// its underscore, which are U+005F to U+007A.
func MayHoldKeys(body []byte) bool {
	if bytes.Contains(body, []byte(`"idempotency_key"`)) {
		return true
	}
	const escape = `\u00`
	for {
		i := bytes.Index(body, []byte(escape))
		if i < 0 || len(body) <= i+len(escape) {
			return false
		}
		if body = body[i+len(escape):]; '5' <= body[0] && body[0] <= '7' {
			return true
		}
	}
}
