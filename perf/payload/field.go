package payload

import (
	"encoding/binary"
	"math/bits"
)

// field is a place in a request that is written over before each sending. Its length never changes.
type field struct {
	at, len int
	kind    kind
	arg     int
}

type kind uint8

const (
	number    kind = iota // the event's own number: numberDigits digits
	hex                   // random hexadecimal digits, a multiple of 8
	digits                // random decimal digits; the first is not 0
	words                 // text
	pick                  // one of picks[arg], all of one length
	table                 // one of arg tables, in turn
	partition             // one of arg partitions
	clock                 // milliseconds since 1970
)

// numberDigits is the length of an event's number. Numbers count from 10^11, since a JSON number has no leading zero.
const (
	numberDigits = 12
	numberBase   = 100_000_000_000
)

const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// putNumber writes an event's number.
func putNumber(dst []byte, n uint64) { putDigits(dst, numberBase+n) }

// putDigits fills dst with the last decimal digits of n, and a 1 first where that were a 0.
func putDigits(dst []byte, n uint64) {
	putPadded(dst, n)
	if dst[0] == '0' {
		dst[0] = '1'
	}
}

// putPadded fills dst with the last decimal digits of n.
func putPadded(dst []byte, n uint64) {
	i := len(dst)
	for i >= 2 {
		p := n % 100 * 2
		n /= 100
		i -= 2
		dst[i], dst[i+1] = pairs[p], pairs[p+1]
	}
	if i == 1 {
		dst[0] = byte('0' + n%10)
	}
}

// putHex writes eight hexadecimal digits of x into the first bytes of dst, all at once: the nibbles are spread over a
// word's bytes, and those above 9 get the distance from '0'+10 to 'a' added.
func putHex(dst []byte, x uint32) {
	v := uint64(x)
	v = (v | v<<16) & 0x0000ffff0000ffff
	v = (v | v<<8) & 0x00ff00ff00ff00ff
	v = (v | v<<4) & 0x0f0f0f0f0f0f0f0f
	letters := (v + 0x0606060606060606) >> 4 & 0x0101010101010101
	binary.LittleEndian.PutUint64(dst, v+0x3030303030303030+letters*('a'-'0'-10))
}

// source is a generator of random numbers (SplitMix64): a few operations each, and no allocation.
type source uint64

// newSource returns the generator of a lane. Each begins at a hash of its lane: with neighbouring states, all lanes
// would give out one sequence, some steps apart.
func newSource(seed, lane uint64) source {
	return source(mix(mix(seed+golden) + lane*golden))
}

const golden = 0x9e3779b97f4a7c15

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (s *source) next() uint64 {
	*s += golden
	return mix(uint64(*s))
}

// below is a number in [0, n).
func (s *source) below(n int) int {
	hi, _ := bits.Mul64(s.next(), uint64(n))
	return int(hi)
}
