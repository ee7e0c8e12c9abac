package payload

import "encoding/binary"

// vocabulary is how many words there are: enough that text does not compress to nothing, few enough (16 KiB) to stay in
// the first cache.
const vocabulary = 2048

// dictionary has a word in each number: at most six bytes, the space behind them, and in the last byte the length of
// all that.
var dictionary = makeWords()

// makeWords makes up words of syllables. A few hold what text has and generators like to leave out: escapes and letters
// beyond ASCII.
func makeWords() (all [vocabulary]uint64) {
	syllables := []string{"an", "be", "cor", "da", "el", "fi", "gra", "ho", "in", "ju", "ka", "lo", "mer", "ne", "os", "pe", "qui", "ra", "sta", "tu", "ul", "ve", "wo", "yl", "zo"}
	special := []string{"café", "naïf", "grün", `a\nb`, `\"so\"`, `x\\y`}
	r := newSource(0, 0)
	for i := range all {
		s := syllables[r.below(len(syllables))]
		for r.below(4) > 0 {
			if next := s + syllables[r.below(len(syllables))]; len(next) <= 6 {
				s = next
			}
		}
		if i%97 == 96 {
			s = special[r.below(len(special))]
		}
		var b [8]byte
		copy(b[:], s)
		b[len(s)], b[7] = ' ', byte(len(s)+1)
		all[i] = binary.LittleEndian.Uint64(b[:])
	}
	return all
}

// write fills dst with text for the inside of a JSON string. Words early in the dictionary come more often, as in a
// language.
func (s *source) write(dst []byte) {
	i := 0
	for i+16 <= len(dst) { // two words at most
		x := s.next()
		w := dictionary[(x&(vocabulary-1))*(x>>11&(vocabulary-1))/vocabulary]
		v := dictionary[(x>>22&(vocabulary-1))*(x>>33&(vocabulary-1))/vocabulary]
		binary.LittleEndian.PutUint64(dst[i:], w) // its length byte goes under the next word
		i += int(w >> 56)
		binary.LittleEndian.PutUint64(dst[i:], v)
		i += int(v >> 56)
	}
	for ; i < len(dst); i++ {
		dst[i] = '.'
	}
}
