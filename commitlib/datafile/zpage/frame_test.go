package zpage

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// forms counts in what forms frames state things. It reads their structure alone, by RFC 8878 and by none of the
// encoder's code, and refuses what the RFC forbids although a decoder might let it pass.
type forms map[string]int

func (f forms) frame(b []byte, size int) error {
	if len(b) < 9 || binary.LittleEndian.Uint32(b) != 0xFD2FB528 {
		return errors.New("no zstd frame")
	}
	head, b := b[4], b[5:]
	f[fmt.Sprintf("frame %02x", head)]++
	reach := size // one segment: its window is all of it
	if head&0x20 == 0 {
		reach = 1 << (10 + b[0]>>3)
		if b = b[1:]; reach > 8<<20 {
			return fmt.Errorf("a window of %d: decoders may stop at 8 MiB", reach)
		}
	}
	stated := 0
	switch head &^ 0x20 {
	case 0:
		stated, b = int(b[0]), b[1:]
	case 0x40:
		stated, b = 256+int(binary.LittleEndian.Uint16(b)), b[2:]
	case 0x80:
		stated, b = int(binary.LittleEndian.Uint32(b)), b[4:]
	}
	if stated != size {
		return fmt.Errorf("states %d bytes of %d", stated, size)
	}
	for last := false; !last; {
		if len(b) < 3 {
			return errors.New("no last block")
		}
		x := int(b[0]) | int(b[1])<<8 | int(b[2])<<16
		kind, n := x>>1&3, x>>3
		last = x&1 == 1
		if n > min(reach, 128<<10) || n > len(b)-3 {
			return fmt.Errorf("a block of %d bytes", n)
		}
		f[fmt.Sprintf("block %d", kind)]++
		if kind == 2 {
			if err := f.block(b[3 : 3+n]); err != nil {
				return err
			}
		} else if kind != 0 {
			return fmt.Errorf("a block of kind %d", kind)
		}
		b = b[3+n:]
	}
	if len(b) > 0 {
		return fmt.Errorf("%d bytes behind the last block", len(b))
	}
	return nil
}

// block reads the body of a compressed block.
func (f forms) block(b []byte) error {
	var first [8]byte
	copy(first[:], b)
	x := binary.LittleEndian.Uint64(first[:])
	kind, form := x&3, x>>2&3
	var n, packed, head uint64
	switch {
	case kind < 2 && form&1 == 0:
		n, head, form = x&0xff>>3, 1, 0 // the second bit is of n
	case kind < 2 && form == 1:
		n, head = x&0xffff>>4, 2
	case kind < 2:
		n, head = x&0xffffff>>4, 3
	case kind == 3:
		return errors.New("no tree")
	default:
		width := []uint64{10, 10, 14, 18}[form]
		n, packed, head = x>>4&(1<<width-1), x>>(4+width)&(1<<width-1), (4+2*width+7)/8
		if packed == 0 || packed >= n {
			return fmt.Errorf("%d literals in %d bytes", n, packed)
		}
		tree := "tree by entropy"
		if b[head] >= 128 {
			tree = "tree by halves"
		}
		f[tree]++
	}
	f[fmt.Sprintf("literals %d/%d", kind, form)]++
	f[fmt.Sprintf("literals %d of %d", kind, n)]++
	if kind < 2 {
		packed = []uint64{n, 1}[kind]
	}
	if n > 128<<10 || head+packed >= uint64(len(b)) {
		return fmt.Errorf("%d literals in %d bytes of %d", n, packed, len(b))
	}
	return f.sequences(b[head+packed:])
}

func (f forms) sequences(b []byte) error {
	n, head := int(b[0]), 1
	switch {
	case n == 0 && len(b) > 1:
		return errors.New("something behind no sequences")
	case n == 0:
		f["sequences 0"]++
		return nil
	case n == 255:
		n, head = int(b[1])+int(b[2])<<8+0x7f00, 3
	case n >= 128:
		n, head = (n-128)<<8+int(b[1]), 2
	}
	f[fmt.Sprintf("sequences of %d bytes", head)]++
	f[fmt.Sprintf("sequences %d", n)]++
	modes, b := b[head], b[head+1:]
	if modes&3 != 0 {
		return errors.New("reserved bits are set")
	}
	for i, code := range []string{"literal", "offset", "match"} {
		mode, most, logs := modes>>(6-2*i)&3, []int{35, 31, 52}[i], []int{9, 8, 9}[i]
		f[fmt.Sprintf("%s mode %d", code, mode)]++
		switch mode {
		case 1:
			if int(b[0]) > most {
				return fmt.Errorf("%s code %d", code, b[0])
			}
			b = b[1:]
		case 2:
			log, end, size, err := distribution(b)
			if err != nil || log > logs || end-1 > most {
				return fmt.Errorf("%s codes: %d states of %d symbols: %v", code, log, end, err)
			}
			f[fmt.Sprintf("%s log %d", code, log)]++
			b = b[size:]
		case 3:
			return errors.New("a table of the block before")
		}
	}
	if len(b) == 0 || b[len(b)-1] == 0 {
		return errors.New("no mark at the end")
	}
	return nil
}

// distribution reads shares of states (RFC 8878, 4.1.1): their log, up to which symbol, and in how many bytes.
func distribution(b []byte) (log, end, size int, err error) {
	at := 0
	take := func(n int) (v int) {
		for i := range n {
			if at>>3 < len(b) {
				v |= int(b[at>>3]>>(at&7)&1) << i
			}
			at++
		}
		return v
	}
	log = take(4) + 5
	for left := 1 << log; left > 0; {
		values, width := left+2, 1
		for 1<<width < values {
			width++
		}
		short := 1<<width - values // so many values take one bit less
		v := take(width - 1)
		if v >= short {
			if v |= take(1) << (width - 1); v >= 1<<(width-1) {
				v -= short
			}
		}
		end++
		switch {
		case v == 0:
			left--
		case v == 1:
			for more := 3; more == 3 && at < 8*len(b); end += more {
				more = take(2)
			}
		default:
			left -= v - 1
		}
		if left < 0 || at > 8*len(b) {
			return 0, 0, 0, errors.New("the shares do not add up")
		}
	}
	return log, end, (at + 7) / 8, nil
}
