package datafile

import (
	"encoding/binary"
	"errors"
)

var errHybrid = errors.New("run-length encoding is damaged")

// decodeHybrid appends n numbers of width bits (at most 32), each at most limit, from Parquet's mix of
// run lengths and bit-packed groups. parquet-go's decoder makes as many values as the bytes claim, up to
// 2^31 for six bytes; this one stops at n.
func decodeHybrid(dst []uint32, src []byte, width uint, n int, limit uint32) ([]uint32, error) {
	for n > 0 {
		head, used := binary.Uvarint(src)
		if used <= 0 || head>>1 == 0 {
			return dst, errHybrid
		}
		src = src[used:]
		if head&1 == 0 {
			count := int(min(head>>1, uint64(n)))
			size := int(width+7) / 8
			if len(src) < size {
				return dst, errHybrid
			}
			var word [4]byte
			copy(word[:], src[:size])
			src = src[size:]
			x := binary.LittleEndian.Uint32(word[:])
			if x > limit {
				return dst, errHybrid
			}
			for range count {
				dst = append(dst, x)
			}
			n -= count
			continue
		}
		count := int(min(head>>1, uint64(n+7)/8)) * 8 // the last group may be padded
		size := count / 8 * int(width)
		if len(src) < size {
			return dst, errHybrid
		}
		packed := src[:size]
		src = src[size:]
		var hold uint64
		var have uint
		for range min(count, n) {
			for have < width {
				hold |= uint64(packed[0]) << have
				packed = packed[1:]
				have += 8
			}
			x := uint32(hold & (1<<width - 1))
			hold >>= width
			have -= width
			if x > limit {
				return dst, errHybrid
			}
			dst = append(dst, x)
		}
		n -= min(count, n)
	}
	return dst, nil
}
