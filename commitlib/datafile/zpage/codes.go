package zpage

import "math/bits"

// A sequence's lengths are written as a code and some extra bits (RFC 8878, 3.1.1.3.2.1.1): small lengths are their own
// codes, large ones the place of their highest bit.
const (
	literalCodes = 36
	matchCodes   = 53
	offsetCodes  = 32
)

// literalExtra and matchExtra are the numbers of extra bits by code.
var (
	literalExtra = [literalCodes]uint8{16: 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	matchExtra   = [matchCodes]uint8{32: 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
)

// literalCode and matchCode are the codes of short lengths; a match's is counted from minMatch.
var (
	literalCode = codesBelow[[64]uint8](literalExtra[:])
	matchCode   = codesBelow[[128]uint8](matchExtra[:])
)

func codesBelow[A [64]uint8 | [128]uint8](extra []uint8) (codes A) {
	for code, at := 0, 0; at < len(codes); code++ {
		for n := 1 << extra[code]; n > 0 && at < len(codes); n-- {
			codes[at] = uint8(code)
			at++
		}
	}
	return codes
}

func literalCodeOf(n uint32) uint8 {
	if n < 64 {
		return literalCode[n]
	}
	return uint8(bits.Len32(n) + 18)
}

func matchCodeOf(n uint32) uint8 { // n: the length beyond the shortest
	if n < 128 {
		return matchCode[n]
	}
	return uint8(bits.Len32(n) + 35)
}

// The shares that a decoder takes where a block states none (RFC 8878, 3.1.1.3.2.2).
var (
	literalDefault, offsetDefault, matchDefault table
)

func init() {
	literalDefault.build([]int16{
		4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
	}, 6)
	offsetDefault.build([]int16{
		1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
	}, 5)
	matchDefault.build([]int16{
		1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
	}, 6)
}
