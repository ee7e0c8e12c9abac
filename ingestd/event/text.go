package event

import "unicode/utf8"

// appendString appends to dst the unescaped bytes of the JSON string whose opening quote was just read.
func (p *parser) appendString(dst []byte) ([]byte, *Error) {
	for {
		start := p.i
		end, err := p.plain()
		if err != nil {
			return dst, err
		}
		dst = append(dst, p.b[start:end]...)
		if p.b[end] == '"' {
			p.i = end + 1
			return dst, nil
		}
		r, err := p.escape()
		if err != nil {
			return dst, err
		}
		dst = utf8.AppendRune(dst, r)
	}
}

// skipString validates the JSON string whose opening quote was just read.
func (p *parser) skipString() *Error {
	for {
		end, err := p.plain()
		if err != nil {
			return err
		}
		if p.b[end] == '"' {
			p.i = end + 1
			return nil
		}
		if _, err := p.escape(); err != nil {
			return err
		}
	}
}

// plain validates the run of plain text at the position, moves to its end, and returns
// that: there is a quote or a backslash.
func (p *parser) plain() (int, *Error) {
	start := p.i
	end, ascii := scanText(p.b, start)
	if !ascii && !utf8.Valid(p.b[start:end]) {
		at := start + invalidUTF8(p.b[start:end])
		if end == len(p.b) && !utf8.FullRune(p.b[at:]) {
			end = at // the body ends inside a character: that is what its sender must know
		} else {
			return 0, p.fail(CodeInvalidUTF8, at, "send UTF-8; binary data belongs in payload_base64 of a binary table", "byte 0x%02x is not valid UTF-8", p.b[at])
		}
	}
	p.i = end
	if end >= len(p.b) || p.b[end] >= 0x80 {
		p.i = len(p.b)
		return 0, p.unexpected("the rest of a string")
	}
	if c := p.b[end]; c < ' ' {
		return 0, p.fail(CodeMalformedJSON, end, "escape control characters in JSON strings", `control character 0x%02x in a string; it is written \u%04x`, c, c)
	}
	return end, nil
}

// escape reads the escape sequence at the position and returns its character.
func (p *parser) escape() (rune, *Error) {
	at := p.i
	if at+1 >= len(p.b) {
		p.i = len(p.b)
		return 0, p.unexpected("the rest of an escape")
	}
	p.i += 2
	switch c := p.b[at+1]; c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
	default:
		return 0, p.fail(CodeMalformedJSON, at+1, `a backslash is written \\`, `%s after a backslash is no escape of JSON`, show(c))
	}
	r, err := p.hex4()
	if err != nil {
		return 0, err
	}
	if r < 0xd800 || r > 0xdfff {
		return r, nil
	}
	if rest := len(p.b) - p.i; r < 0xdc00 && (rest == 0 || rest == 1 && p.b[p.i] == '\\') {
		p.i = len(p.b)
		return 0, p.unexpected("the other half of a surrogate pair")
	}
	if r < 0xdc00 && p.b[p.i] == '\\' && p.b[p.i+1] == 'u' {
		p.i += 2
		low, err := p.hex4()
		if err != nil {
			return 0, err
		}
		if low >= 0xdc00 && low <= 0xdfff {
			return (r-0xd800)<<10 | (low - 0xdc00) + 0x10000, nil
		}
	}
	return 0, p.fail(CodeLoneSurrogate, at, `write a character above U+FFFF as a pair such as \ud83d\ude00, or as plain UTF-8`,
		`\u%04x is half of a surrogate pair, without its other half`, r)
}

// hex4 reads four hexadecimal digits.
func (p *parser) hex4() (rune, *Error) {
	var r rune
	for range 4 {
		c := p.peek()
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, p.unexpected(`four hexadecimal digits of a \u escape`)
		}
		r = r<<4 | rune(c)
		p.i++
	}
	return r, nil
}
