package event

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// parser is a position in a body. Its methods are the JSON grammar of RFC 8259, read once from left to right; what they
// accept encoding/json accepts too, with the same value, and a property test holds them to that. They are stricter in
// three points: invalid UTF-8, lone surrogates and nesting beyond Limits.MaxDepth are errors.
//
// A method that returns an error leaves the position anywhere; the request is over then.
type parser struct {
	b      []byte
	i      int // the next byte
	record int // index of the event that is being read; -1 outside events
	lim    Limits
}

func (p *parser) fail(code string, at int, hint, format string, args ...any) *Error {
	return &Error{Code: code, Record: p.record, Byte: at, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// unexpected is the error for a byte that the grammar does not allow here, or for the end of the body.
func (p *parser) unexpected(want string) *Error {
	if p.i >= len(p.b) {
		return p.fail(CodeTruncatedJSON, len(p.b), "send the whole body; check that its sender was not cut off", "the JSON ends where %s must follow", want)
	}
	return p.fail(CodeMalformedJSON, p.i, "send strict JSON (RFC 8259)", "%s where %s must follow", show(p.b[p.i]), want)
}

// show renders a byte for a message.
func show(c byte) string {
	if c > ' ' && c < 0x7f {
		return fmt.Sprintf("%q", rune(c))
	}
	return fmt.Sprintf("byte 0x%02x", c)
}

// peek returns the next byte, or 0, which no token starts with, at the end.
func (p *parser) peek() byte {
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

// space skips JSON's white space.
func (p *parser) space() {
	if p.i < len(p.b) && p.b[p.i] > ' ' {
		return
	}
	p.spaces()
}

func (p *parser) spaces() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// Eight bytes at a time: lows has 1 in every byte, highs the top bit.
const (
	lows  = 0x0101010101010101
	highs = 0x8080808080808080
)

// scanText returns the position, at or after i, of the first byte that ends a run of plain text in
// a JSON string: a quote, a backslash or a control character; len(b) if there is none. ascii is
// false if the run holds a byte above 0x7f.
//
// A word's test is (w-lows*c)&^w&highs, whose lowest set bit is exact; false ones lie only above it.
func scanText(b []byte, i int) (end int, ascii bool) {
	var seen uint64
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, escape := w^lows*'"', w^lows*'\\'
		hit := ((quote-lows)&^quote | (escape-lows)&^escape | (w-lows*' ')&^w) & highs
		if hit != 0 {
			seen |= w & (hit&-hit - 1)
			return i + bits.TrailingZeros64(hit)/8, seen&highs == 0
		}
		seen |= w
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < ' ' {
			break
		}
		seen |= uint64(b[i])
	}
	return i, seen&highs == 0
}

// invalidUTF8 returns the position in b of its first byte that is not UTF-8; b has one.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(b)
}
