package zpage

import "math/bits"

// maxTableLog is the largest that a table of sequence codes may have: 9, and 8 for offsets (RFC 8878, 3.1.1.3.2.1).
const maxTableLog = 9

// table is a finite-state-entropy encoder for one of a sequence's three codes.
type table struct {
	log  uint                     // of the number of states; 0: one symbol alone, which takes no bits
	next [1 << maxTableLog]uint16 // states, by symbol and then by the state that comes

	symbols [64]struct {
		find  int32  // where its states begin in next, less its least state
		delta uint32 // what, added to a state, has the number of bits to write above bit 16
	}
}

// build makes t's states from the symbols' shares of them, which add up to 1<<log; -1 is one state at the end. The
// construction is the format's (RFC 8878, 4.1.1), since a decoder makes the same one.
func (t *table) build(shares []int16, log uint) {
	t.log = log
	size := uint32(1) << log
	var symbols [1 << maxTableLog]uint8
	var at [65]uint16
	high := size - 1
	for s, n := range shares {
		if n < 0 {
			at[s+1] = at[s] + 1
			symbols[high] = uint8(s)
			high--
		} else {
			at[s+1] = at[s] + uint16(n)
		}
	}
	step, place := size>>1+size>>3+3, uint32(0)
	for s, n := range shares {
		for range n {
			symbols[place] = uint8(s)
			place = (place + step) & (size - 1)
			for place > high {
				place = (place + step) & (size - 1)
			}
		}
	}
	for i := range size {
		s := symbols[i]
		t.next[at[s]] = uint16(size + i)
		at[s]++
	}
	total := int32(0)
	for s, n := range shares {
		switch n {
		case 0:
			t.symbols[s].delta = uint32(log+1)<<16 - size
		case -1, 1:
			t.symbols[s].delta = uint32(log)<<16 - size
			t.symbols[s].find = total - 1
			total++
		default:
			most := log - uint(bits.Len16(uint16(n-1))-1)
			t.symbols[s].delta = uint32(most)<<16 - uint32(n)<<most
			t.symbols[s].find = total - int32(n)
			total += int32(n)
		}
	}
}

// start is the state from which s, the symbol that a decoder reads last, costs nothing.
func (t *table) start(s uint8) uint32 {
	if t.log == 0 {
		return 0
	}
	n := (t.symbols[s].delta + 1<<15) >> 16
	return uint32(t.next[int32((n<<16-t.symbols[s].delta)>>n)+t.symbols[s].find])
}

// shares divides 1<<log states among symbols that occur count times, total in all, one at least for each that occurs,
// of which there are at least two and at most half as many as states.
func shares(dst *[64]int16, count []uint32, total uint32, log uint) {
	left := int32(1) << log
	largest := 0
	for s, n := range count {
		dst[s] = 0
		if n == 0 {
			continue
		}
		share := max(int32((uint64(n)<<log+uint64(total)/2)/uint64(total)), 1)
		dst[s] = int16(share)
		left -= share
		if n > count[largest] {
			largest = s
		}
	}
	for left < 0 && int32(dst[largest])+left < 1 { // many rare symbols were rounded up: the others give
		for s := range count {
			if dst[s] > 1 && s != largest && left < 0 {
				dst[s]--
				left++
			}
		}
		if dst[largest] > 1 && left < 0 {
			dst[largest]--
			left++
		}
	}
	dst[largest] += int16(left)
}

// describe appends shares as a decoder reads them (RFC 8878, 4.1.1).
func describe(dst []byte, shares []int16, log uint) []byte {
	size := int32(1) << log
	width, left, threshold := log+1, size+1, size
	hold, have := uint64(log-5), uint(4)
	zero := false
	for s := 0; s < len(shares) && left > 1; {
		if zero {
			from := s
			for shares[s] == 0 { // ends: states are left for a later symbol
				s++
			}
			n := s - from
			for ; n >= 3; n -= 3 {
				hold |= 3 << have
				have += 2
				for ; have >= 8; have -= 8 {
					dst, hold = append(dst, byte(hold)), hold>>8
				}
			}
			hold |= uint64(n) << have
			have += 2
		}
		n := int32(shares[s])
		s++
		spare := 2*threshold - 1 - left
		left -= max(n, -n)
		n++
		if n >= threshold {
			n += spare
		}
		hold |= uint64(n) << have
		have += width
		if n < spare {
			have--
		}
		zero = n == 1
		for left < threshold {
			width--
			threshold >>= 1
		}
		for ; have >= 8; have -= 8 {
			dst, hold = append(dst, byte(hold)), hold>>8
		}
	}
	if have > 0 {
		dst = append(dst, byte(hold))
	}
	return dst
}
