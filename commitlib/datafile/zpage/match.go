package zpage

import (
	"encoding/binary"
	"math/bits"
)

const minMatch = 3 // the format's; the finder looks for four

// finder finds what a block repeats.
type finder struct {
	e    *Encoder
	src  []byte
	rows Rows
	row  int // of rows.Starts: the next row that begins beyond where the finder is

	off    int  // the distance of the last match; 0: none yet
	ahead  int  // up to aligned: how far it pays to look for it again
	missed int  // looks into hash that found nothing, less half with each that did: the more, the fewer
	hashed bool // the last match was looked for in hash
}

func load32(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i : i+4 : i+4]) }
func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }

// hash is of the low six bytes of x. Five make twice the work of random text, and files of it 2 % larger.
func hash(x uint64) uint32 { return uint32(x << 16 * 0x9FB21C651E98DF25 >> (64 - hashBits)) }

// fours has the lowest bit of each byte of x set from which on four bytes are zero.
func fours(x uint64) uint64 {
	const low7 = 0x7f7f7f7f7f7f7f7f
	m := ^(x&low7 + low7 | x | low7) // bit 7 of each byte that is zero
	m &= m >> 8
	return m & (m >> 16)
}

// aligned is how many bytes ahead, at most, a row is compared with the one before at the same distance: about the
// longest value after which rows agree again. Where that finds nothing it is tried for half as many, down to leastAhead.
const (
	aligned    = 24
	leastAhead = 5
)

// find fills the encoder's sequences and literals with src[from:to].
func (f *finder) find(from, to int) {
	e, src := f.e, f.src[:to]
	e.sequences, e.literals = e.sequences[:0], e.literals[:0]
	e.literalSums, e.offsetSums, e.matchSums = [64]uint32{}, [64]uint32{}, [64]uint32{}
	if f.rows.Stride > 0 {
		f.findNumbers(from, to)
		return
	}
	end := to - 8 // beyond it no eight bytes are left to look at
	anchor := from
	for pos := from; pos < end; {
		if pos = f.seek(src, pos, anchor); pos >= end {
			break
		}
		off := f.off
		p := pos + 4
		for p < end {
			if x := load64(src, p) ^ load64(src, p-off); x != 0 {
				p += bits.TrailingZeros64(x) >> 3
				break
			}
			p += 8
		}
		if p >= end {
			for p < to && src[p] == src[p-off] {
				p++
			}
		}
		e.add(src, anchor, pos, p, uint32(off))
		if f.hashed && p < end {
			e.hash[hash(load64(src, pos+2))] = e.base + uint32(pos+2)
			e.hash[hash(load64(src, p-2))] = e.base + uint32(p-2)
		}
		pos, anchor = p, p
	}
	e.literals = append(e.literals, src[anchor:]...)
}

// findNumbers is find for a page of numbers. Of one that differs from the number before the low bytes are literals, and
// the high ones, where they are enough, a match: a distance that never changes and few lengths, which take few bits.
func (f *finder) findNumbers(from, to int) {
	e, src, width := f.e, f.src[:to], f.rows.Stride
	pos := f.rows.First + width
	if pos < from {
		pos += (from - pos + width - 1) / width * width
	}
	anchor, match, end := from, from, from // literals, and a match that may still grow
	for ; pos+width <= to; pos += width {
		n := 0
		if width == 8 {
			n = bits.Len64(load64(src, pos)^load64(src, pos-8)) + 7
		} else {
			n = bits.Len32(load32(src, pos)^load32(src, pos-4)) + 7
		}
		switch n >>= 3; {
		case n == 0 && end == pos && match < end:
			end = pos + width
			continue
		case width-n < minMatch:
			continue
		}
		if match < end {
			e.add(src, anchor, match, end, uint32(width))
			anchor = end
		}
		match, end = pos+n, pos+width
	}
	if match < end {
		e.add(src, anchor, match, end, uint32(width))
		anchor = end
	}
	e.literals = append(e.literals, src[anchor:]...)
}

// seek returns the next place from pos on where four bytes or more are those at a distance before, which is then in
// f.off; none of the bytes before anchor is taken. Without one it returns a place near the end.
func (f *finder) seek(src []byte, pos, anchor int) int {
	e, base, off := f.e, f.e.base, f.off
	end := len(src) - 8
	for pos < end {
		d := f.distance(pos)
		if d > pos || d > window {
			d = 0
		}
		if off == 0 {
			off = d
		}
		f.hashed = false
		if off > 0 && load32(src, pos) == load32(src, pos-off) {
			f.off = off
			return pos
		}
		if d > 0 && d != off && load32(src, pos) == load32(src, pos-d) {
			f.off = d
			return pos
		}
		if off > 0 {
			for p := pos + 1; p < end && p <= pos+f.ahead; p += 5 {
				if r := fours(load64(src, p) ^ load64(src, p-off)); r != 0 {
					f.ahead = min(2*f.ahead, aligned)
					p += bits.TrailingZeros64(r) >> 3
					if p-pos >= 8 { // a value so long may have come before: files up to 8 % smaller, in up to 1.3 of the time
						h := hash(load64(src, pos))
						c := int(e.hash[h]) - int(base)
						e.hash[h] = base + uint32(pos)
						if c >= 0 && pos-c <= window && load64(src, pos) == load64(src, c) {
							f.off = pos - c
							return pos
						}
					}
					f.off = off
					return p
				}
			}
			f.ahead = max(f.ahead/2, leastAhead)
		}
		f.hashed = true
		stop := end
		if f.row < len(f.rows.Starts) {
			stop = min(stop, int(f.rows.Starts[f.row]))
		}
		for ; pos < stop; pos += min(1+f.missed>>4, 64) {
			h := hash(load64(src, pos))
			c := int(e.hash[h]) - int(base)
			e.hash[h] = base + uint32(pos)
			if c >= 0 && pos-c <= window && (load64(src, pos)^load64(src, c))<<16 == 0 {
				f.missed >>= 1
				f.off = pos - c
				for pos > anchor && c > 0 && src[pos-1] == src[c-1] {
					pos--
					c--
				}
				return pos
			}
			if off > 0 && load32(src, pos) == load32(src, pos-off) {
				f.off = off
				return pos
			}
			f.missed++
		}
		pos = stop
	}
	f.off = off
	return pos
}

// distance is how far the row that pos lies in is from the one before; 0 where that is not known.
func (f *finder) distance(pos int) int {
	starts := f.rows.Starts
	for f.row < len(starts) && int(starts[f.row]) <= pos {
		f.row++
	}
	if f.row < 2 {
		return 0
	}
	return int(starts[f.row-1] - starts[f.row-2])
}

// add notes the literals src[from:pos] and that src[pos:to] repeats what lies off before.
func (e *Encoder) add(src []byte, from, pos, to int, off uint32) {
	lits := e.literals
	if n := pos - from; n <= 16 && from+16 <= len(src) && len(lits)+16 <= cap(lits) { // the usual: two moves, no call
		*(*[16]byte)(lits[len(lits) : len(lits)+16]) = [16]byte(src[from : from+16])
		e.literals = lits[:len(lits)+n]
	} else {
		e.literals = append(lits, src[from:pos]...)
	}
	s := sequence{literals: uint32(pos - from), match: uint32(to - pos - minMatch), offset: e.code(off, pos == from)}
	s.literalCode, s.offsetCode, s.matchCode = literalCodeOf(s.literals), uint8(bits.Len32(s.offset)-1), matchCodeOf(s.match)
	e.literalSums[s.literalCode&63]++
	e.offsetSums[s.offsetCode&63]++
	e.matchSums[s.matchCode&63]++
	e.sequences = append(e.sequences, s)
}

// code is how a distance is written, and what a decoder then remembers (RFC 8878, 3.1.1.5); bare: no literals precede.
func (e *Encoder) code(off uint32, bare bool) uint32 {
	r := &e.recent
	if !bare {
		switch off {
		case r[0]:
			return 1
		case r[1]:
			r[0], r[1] = r[1], r[0]
			return 2
		case r[2]:
			r[0], r[1], r[2] = r[2], r[0], r[1]
			return 3
		}
	} else {
		switch off {
		case r[1]:
			r[0], r[1] = r[1], r[0]
			return 1
		case r[2]:
			r[0], r[1], r[2] = r[2], r[0], r[1]
			return 2
		case r[0] - 1:
			if off > 0 {
				r[0], r[1], r[2] = off, r[0], r[1]
				return 3
			}
		}
	}
	r[0], r[1], r[2] = off, r[0], r[1]
	return off + 3
}
