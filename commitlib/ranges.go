package commitlib

import (
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// scanRanges reads ranges in the very text that json.Marshal makes of Ranges, as every summary of ours holds them. A
// cold commit reads those of all retained snapshots: by a JSON decoder that took as long as all the rest of it. ok is
// false for any other text, which may still be JSON that says the same, or nothing at all: the decoder decides.
func scanRanges(text string) (r Ranges, ok bool) {
	s := scanner{text, true}
	r = make(Ranges, 1)
	s.skip("{")
	for first := true; s.ok && s.rest != "}"; first = false {
		if !first {
			s.skip(",")
		}
		log := s.uuid()
		if _, twice := r[log]; twice {
			return nil, false
		}
		s.skip(":[")
		var list [][2]Seq
		for s.ok && !strings.HasPrefix(s.rest, "]") {
			if len(list) > 0 {
				s.skip(",")
			}
			s.skip("[")
			from := s.seq()
			s.skip(",")
			to := s.seq()
			s.skip("]")
			list = append(list, [2]Seq{from, to})
		}
		s.skip("]")
		r[log] = list
	}
	return r, s.ok
}

// scanner steps through text. After the first mismatch it stays where it is, and its values mean nothing.
type scanner struct {
	rest string
	ok   bool
}

func (s *scanner) skip(prefix string) {
	rest, found := strings.CutPrefix(s.rest, prefix)
	s.rest, s.ok = rest, s.ok && found
}

func (s *scanner) uuid() (id uuid.UUID) {
	const length = 36
	s.skip(`"`)
	if !s.ok || len(s.rest) < length {
		s.ok = false
		return id
	}
	id, err := uuid.Parse(s.rest[:length])
	s.rest, s.ok = s.rest[length:], err == nil
	s.skip(`"`)
	return id
}

// seq reads digits, without the leading zeroes that JSON does not allow.
func (s *scanner) seq() Seq {
	n := 0
	for n < len(s.rest) && '0' <= s.rest[n] && s.rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(s.rest[:n], 10, 64)
	s.ok = s.ok && err == nil && (n == 1 || s.rest[0] != '0')
	s.rest = s.rest[n:]
	return Seq(v)
}
