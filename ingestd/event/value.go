package event

import "math"

// skipValue validates the JSON value at the position, which is not white space, and moves behind it. depth is how
// many arrays and objects may still open.
func (p *parser) skipValue(depth int) *Error {
	switch c := p.peek(); c {
	case '"':
		p.i++
		return p.skipString()
	case '{', '[':
		if depth == 0 {
			return p.fail(CodeTooDeep, p.i, "send flatter JSON, or send the inner document as a JSON string", "more than %d nested arrays and objects", p.lim.MaxDepth)
		}
		p.i++
		if c == '{' {
			return p.skipObject(depth - 1)
		}
		return p.skipArray(depth - 1)
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return p.skipNumber()
	}
	return p.unexpected("a JSON value")
}

// skipObject validates the rest of an object whose brace was just read. Names that appear twice are not looked for: the
// text is stored as it came, so nothing of it is lost, and looking would cost a set for each object.
func (p *parser) skipObject(depth int) *Error {
	p.space()
	if p.peek() == '}' {
		p.i++
		return nil
	}
	for {
		if p.peek() != '"' {
			return p.unexpected("a member's name in quotes")
		}
		p.i++
		if err := p.skipString(); err != nil {
			return err
		}
		if err := p.colon(); err != nil {
			return err
		}
		if err := p.skipValue(depth); err != nil {
			return err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.i++
			p.space()
		case '}':
			p.i++
			return nil
		default:
			return p.unexpected("',' or '}'")
		}
	}
}

// skipArray validates the rest of an array whose bracket was just read.
func (p *parser) skipArray(depth int) *Error {
	p.space()
	if p.peek() == ']' {
		p.i++
		return nil
	}
	for {
		if err := p.skipValue(depth); err != nil {
			return err
		}
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

// colon reads a colon and the white space around it.
func (p *parser) colon() *Error {
	p.space()
	if p.peek() != ':' {
		return p.unexpected("':'")
	}
	p.i++
	p.space()
	return nil
}

func (p *parser) literal(word string) *Error {
	for k := range len(word) {
		if p.peek() != word[k] {
			return p.unexpected("the rest of " + word)
		}
		p.i++
	}
	return nil
}

// skipNumber validates the number at the position: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (p *parser) skipNumber() *Error {
	if p.peek() == '-' {
		p.i++
	}
	if p.peek() == '0' {
		p.i++
	} else if !p.digits() {
		return p.unexpected("a digit")
	}
	if p.peek() == '.' {
		p.i++
		if !p.digits() {
			return p.unexpected("a digit")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.i++
		if c := p.peek(); c == '+' || c == '-' {
			p.i++
		}
		if !p.digits() {
			return p.unexpected("a digit")
		}
	}
	return nil
}

// digits skips digits and says whether there was one.
func (p *parser) digits() bool {
	start := p.i
	for p.i < len(p.b) && p.b[p.i]-'0' <= 9 {
		p.i++
	}
	return p.i > start
}

// integer reads the number at the position. Beyond int64 it returns the nearest int64, which no range admits. ok is
// false where there is a JSON value that is no integer; the position is then anywhere.
func (p *parser) integer() (v int64, ok bool, err *Error) {
	start := p.i
	if c := p.peek(); c != '-' && c-'0' > 9 {
		return 0, false, p.skipValue(p.lim.MaxDepth)
	}
	if err := p.skipNumber(); err != nil {
		return 0, false, err
	}
	text := p.b[start:p.i]
	negative := text[0] == '-'
	if negative {
		text = text[1:]
	}
	for _, c := range text {
		d := int64(c - '0')
		if d > 9 { // '.', 'e' or 'E', which the subtraction wrapped
			return 0, false, nil
		}
		if v > (math.MaxInt64-9)/10 {
			v = math.MaxInt64 // and stays there: the rest is read for the grammar's sake alone
			continue
		}
		v = v*10 + d
	}
	if negative {
		v = -v
	}
	return v, true, nil
}
