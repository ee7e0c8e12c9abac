package zpage

import (
	"encoding/binary"
	"math/bits"

	"github.com/klauspost/compress/huff0"
)

// sequence is some literals and then a match.
type sequence struct {
	literals uint32
	match    uint32 // length beyond minMatch
	offset   uint32 // as coded: 1 to 3 for a recent one, else the distance + 3

	literalCode, offsetCode, matchCode uint8
}

const (
	blockRaw, blockRLE, blockCompressed = 0, 1, 2

	modeDefault, modeOne, modeTable = 0, 1, 2

	// fewSequences is up to how many a block's codes take the default shares: a table of their own costs some 30 bytes.
	fewSequences = 64
)

// appendBlock appends src as a block: compressed from e.sequences and e.literals where that is shorter.
func (e *Encoder) appendBlock(dst, src []byte, last bool) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0)
	kind, size := blockCompressed, 0
	if body, ok := e.appendBody(dst); ok && len(body)-at-3 < len(src) {
		dst, size = body, len(body)-at-3
	} else {
		kind, size = blockRaw, len(src)
		dst = append(dst[:at+3], src...)
	}
	head := uint32(size)<<3 | uint32(kind)<<1
	if last {
		head |= 1
	}
	dst[at], dst[at+1], dst[at+2] = byte(head), byte(head>>8), byte(head>>16)
	return dst
}

func (e *Encoder) appendBody(dst []byte) ([]byte, bool) {
	dst, ok := e.appendLiterals(dst)
	if !ok {
		return dst, false
	}
	return e.appendSequences(dst), true
}

// appendLiterals appends the literals section.
func (e *Encoder) appendLiterals(dst []byte) ([]byte, bool) {
	n := len(e.literals)
	if n < 32 {
		return append(appendPlainHead(dst, 0, n), e.literals...), true
	}
	if even(e.literals) {
		return append(appendPlainHead(dst, 0, n), e.literals...), true
	}
	var out []byte
	var err error
	one := n < 256 // in one piece; else in four, which a decoder reads side by side
	if one {
		out, _, err = huff0.Compress1X(e.literals, &e.huff)
	} else {
		out, _, err = huff0.Compress4X(e.literals, &e.huff)
	}
	switch {
	case err == huff0.ErrUseRLE:
		return append(appendPlainHead(dst, 1, n), e.literals[0]), true
	case err == huff0.ErrIncompressible || err == nil && len(out) >= n:
		return append(appendPlainHead(dst, 0, n), e.literals...), true
	case err != nil:
		return dst, false // nothing that the literals could cause: the block goes as it is
	}
	size := uint64(len(out))
	switch {
	case one:
		head := 2 | uint64(n)<<4 | size<<14
		dst = append(dst, byte(head), byte(head>>8), byte(head>>16))
	case n < 1<<10:
		head := 2 | 1<<2 | uint64(n)<<4 | size<<14
		dst = append(dst, byte(head), byte(head>>8), byte(head>>16))
	case n < 1<<14:
		dst = binary.LittleEndian.AppendUint32(dst, uint32(2|2<<2|uint64(n)<<4|size<<18))
	default:
		head := 2 | 3<<2 | uint64(n)<<4 | size<<22
		dst = append(binary.LittleEndian.AppendUint32(dst, uint32(head)), byte(head>>32))
	}
	return append(dst, out...), true
}

// even reports whether literals look like random bytes, by a sample: then counting them all is not worth it.
func even(literals []byte) bool {
	const stretches, each = 8, 128
	if len(literals) < 4*stretches*each {
		return false
	}
	var count [256]uint16
	most := uint16(0)
	for i := range stretches {
		from := i * (len(literals) / stretches)
		for _, x := range literals[from : from+each] {
			count[x]++
			most = max(most, count[x])
		}
	}
	return most <= stretches*each/64 // random bytes: 4 on average, 16 never; base64: 16 on average
}

// appendPlainHead begins n literals that are given as they are (kind 0), or once (kind 1).
func appendPlainHead(dst []byte, kind, n int) []byte {
	switch {
	case n < 1<<5:
		return append(dst, byte(kind|n<<3))
	case n < 1<<12:
		return binary.LittleEndian.AppendUint16(dst, uint16(kind|1<<2|n<<4))
	}
	head := kind | 3<<2 | n<<4
	return append(dst, byte(head), byte(head>>8), byte(head>>16))
}

// appendSequences appends the sequences section.
func (e *Encoder) appendSequences(dst []byte) []byte {
	n := len(e.sequences)
	switch {
	case n == 0:
		return append(dst, 0)
	case n < 128:
		dst = append(dst, byte(n))
	case n < 0x7f00:
		dst = append(dst, byte(n>>8)+128, byte(n))
	default:
		dst = append(dst, 255, byte(n-0x7f00), byte((n-0x7f00)>>8))
	}
	at := len(dst)
	dst = append(dst, 0)
	var mode byte
	var literals, offsets, matches *table
	dst, mode, literals = e.appendTable(dst, &e.literalSums, &e.literalTable, &literalDefault, 9)
	dst[at] |= mode << 6
	dst, mode, offsets = e.appendTable(dst, &e.offsetSums, &e.offsetTable, &offsetDefault, 8)
	dst[at] |= mode << 4
	dst, mode, matches = e.appendTable(dst, &e.matchSums, &e.matchTable, &matchDefault, 9)
	dst[at] |= mode << 2
	return e.appendBits(dst, literals, offsets, matches)
}

// appendTable chooses how a code is written, and appends what a decoder needs to know of it.
func (e *Encoder) appendTable(dst []byte, sums *[64]uint32, own, standard *table, most int) ([]byte, byte, *table) {
	n := uint32(len(e.sequences))
	kinds, end := 0, 0
	for s, k := range sums {
		if k > 0 {
			kinds, end = kinds+1, s+1
		}
	}
	switch {
	case kinds == 1:
		own.log = 0
		return append(dst, byte(end-1)), modeOne, own
	case n < fewSequences && end <= 29:
		return dst, modeDefault, standard
	}
	log := uint(min(max(bits.Len32(n)-3, bits.Len(uint(kinds))+1, 5), most))
	shares(&e.shares, sums[:end], n, log)
	own.build(e.shares[:end], log)
	return describe(dst, e.shares[:end], log), modeTable, own
}

// appendBits writes the sequences from the last to the first, as a decoder reads from the end.
func (e *Encoder) appendBits(dst []byte, literals, offsets, matches *table) []byte {
	n := len(e.sequences)
	at := len(dst)
	most := n*12 + 32 // a sequence takes 26 bits of states, and 16, 16 and 31 extra
	if cap(dst)-at < most {
		dst = append(make([]byte, 0, 2*cap(dst)+most), dst...)
	}
	out := dst[at : at+most]
	var hold uint64
	var have uint
	pos := 0

	s := &e.sequences[n-1]
	ml, of, ll := matches.start(s.matchCode), offsets.start(s.offsetCode), literals.start(s.literalCode)
	for i := n - 1; ; {
		x := uint(literalExtra[s.literalCode])
		hold |= uint64(s.literals) & (1<<x - 1) << have
		have += x
		x = uint(matchExtra[s.matchCode])
		hold |= uint64(s.match) & (1<<x - 1) << have
		have += x
		if have > 24 {
			binary.LittleEndian.PutUint64(out[pos:], hold)
			pos += int(have >> 3)
			hold >>= have &^ 7
			have &= 7
		}
		x = uint(s.offsetCode)
		hold |= uint64(s.offset) & (1<<x - 1) << have
		have += x
		binary.LittleEndian.PutUint64(out[pos:], hold)
		pos += int(have >> 3)
		hold >>= have &^ 7
		have &= 7
		if i--; i < 0 {
			break
		}
		s = &e.sequences[i]
		if offsets.log > 0 {
			y := &offsets.symbols[s.offsetCode&63]
			k := uint(of+y.delta) >> 16
			hold |= uint64(of) & (1<<k - 1) << have
			have += k
			of = uint32(offsets.next[uint32(int32(of>>k)+y.find)&(1<<maxTableLog-1)])
		}
		if matches.log > 0 {
			y := &matches.symbols[s.matchCode&63]
			k := uint(ml+y.delta) >> 16
			hold |= uint64(ml) & (1<<k - 1) << have
			have += k
			ml = uint32(matches.next[uint32(int32(ml>>k)+y.find)&(1<<maxTableLog-1)])
		}
		if literals.log > 0 {
			y := &literals.symbols[s.literalCode&63]
			k := uint(ll+y.delta) >> 16
			hold |= uint64(ll) & (1<<k - 1) << have
			have += k
			ll = uint32(literals.next[uint32(int32(ll>>k)+y.find)&(1<<maxTableLog-1)])
		}
	}
	// The states that a decoder starts from, then a bit that marks the end.
	for _, last := range [3]struct {
		state uint32
		log   uint
	}{{ml, matches.log}, {of, offsets.log}, {ll, literals.log}} {
		hold |= uint64(last.state) & (1<<last.log - 1) << have
		have += last.log
	}
	hold |= 1 << have
	have++
	binary.LittleEndian.PutUint64(out[pos:], hold)
	pos += int(have+7) >> 3
	return dst[:at+pos]
}
