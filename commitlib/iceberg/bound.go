package iceberg

import (
	"slices"
	"unicode/utf8"
)

// BoundLength is how much of a string (in code points) or binary (in bytes) a column bound keeps: the specification's
// default, "truncate(16)". Longer bounds would make manifests grow by the payload.
const BoundLength = 16

// TruncateLower shortens a lower bound: a prefix is never greater than the whole.
func TruncateLower(t Type, v []byte) []byte {
	return v[:boundEnd(t, v)]
}

// TruncateUpper shortens an upper bound and increments what is left, so that it is still not less than the value. It
// returns false where no short bound exists (all code points or bytes are the greatest): leave the bound out then.
func TruncateUpper(t Type, v []byte) ([]byte, bool) {
	end := boundEnd(t, v)
	if end == len(v) {
		return v, true
	}
	if t == String {
		return incrementString(v[:end])
	}
	for end > 0 && v[end-1] == 0xff {
		end--
	}
	if end == 0 {
		return nil, false
	}
	up := slices.Clone(v[:end])
	up[end-1]++
	return up, true
}

// boundEnd is the length in bytes of what a bound keeps of v.
func boundEnd(t Type, v []byte) int {
	switch t {
	case Binary:
		return min(len(v), BoundLength)
	case String:
		end := 0
		for range BoundLength {
			if end == len(v) {
				break
			}
			_, n := utf8.DecodeRune(v[end:])
			end += n
		}
		return end
	}
	return len(v)
}

// incrementString raises the last code point that can be raised and drops what follows it. The surrogates are no code
// points of UTF-8 and are stepped over. Text that is not UTF-8 has no successor that engines agree on.
func incrementString(v []byte) ([]byte, bool) {
	if !utf8.Valid(v) {
		return nil, false
	}
	for len(v) > 0 {
		r, n := utf8.DecodeLastRune(v)
		v = v[:len(v)-n]
		switch {
		case r == utf8.MaxRune:
			continue
		case r == 0xD7FF:
			r = 0xE000
		default:
			r++
		}
		return utf8.AppendRune(slices.Clone(v), r), true
	}
	return nil, false
}
