package iceberg

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
)

// Single values are in the specification's binary form (Appendix D, "Binary single-value serialization"): numbers are
// little-endian, decimals big-endian two's complement, strings UTF-8. nil stands for null.

// EncodeInt writes an int or a date.
func EncodeInt(v int32) []byte { return binary.LittleEndian.AppendUint32(nil, uint32(v)) }

// EncodeLong writes a long, a time or a timestamp.
func EncodeLong(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }

// EncodeBool writes a boolean.
func EncodeBool(v bool) []byte {
	if v {
		return []byte{1}
	}
	return []byte{0}
}

// EncodeFloat writes a float.
func EncodeFloat(v float32) []byte {
	return binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
}

// EncodeDouble writes a double.
func EncodeDouble(v float64) []byte {
	return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
}

// DecodeInt reads an int or a date.
func DecodeInt(v []byte) (int32, error) {
	if len(v) != 4 {
		return 0, fmt.Errorf("read int value: it has %d bytes, want 4", len(v))
	}
	return int32(binary.LittleEndian.Uint32(v)), nil
}

// DecodeLong reads a long, a time or a timestamp. Four bytes are a value from before its column was widened from int.
func DecodeLong(v []byte) (int64, error) {
	switch len(v) {
	case 8:
		return int64(binary.LittleEndian.Uint64(v)), nil
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(v))), nil
	}
	return 0, fmt.Errorf("read long value: it has %d bytes, want 8", len(v))
}

// DecodeBool reads a boolean.
func DecodeBool(v []byte) (bool, error) {
	if len(v) != 1 {
		return false, fmt.Errorf("read boolean value: it has %d bytes, want 1", len(v))
	}
	return v[0] != 0, nil
}

// DecodeFloat reads a float.
func DecodeFloat(v []byte) (float32, error) {
	if len(v) != 4 {
		return 0, fmt.Errorf("read float value: it has %d bytes, want 4", len(v))
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(v)), nil
}

// DecodeDouble reads a double. Four bytes are a value from before its column was widened from float.
func DecodeDouble(v []byte) (float64, error) {
	if len(v) == 8 {
		return math.Float64frombits(binary.LittleEndian.Uint64(v)), nil
	}
	f, err := DecodeFloat(v)
	if err != nil {
		return 0, fmt.Errorf("read double value: it has %d bytes, want 8", len(v))
	}
	return float64(f), nil
}

// CompareValues orders two values of a primitive type that are not null, as engines order bounds: NaN after all
// numbers. Types that Firn does not know are ordered as unsigned bytes.
func CompareValues(t Type, a, b []byte) (int, error) {
	switch t.physical() {
	case physicalInt:
		return compareDecoded(a, b, DecodeInt)
	case physicalLong:
		return compareDecoded(a, b, DecodeLong)
	case physicalFloat:
		return compareDecoded(a, b, func(v []byte) (nanLast, error) {
			f, err := DecodeFloat(v)
			return nanKey(float64(f)), err
		})
	case physicalDouble:
		return compareDecoded(a, b, func(v []byte) (nanLast, error) {
			f, err := DecodeDouble(v)
			return nanKey(f), err
		})
	case physicalDecimal:
		return decimalOf(a).Cmp(decimalOf(b)), nil
	}
	return bytes.Compare(a, b), nil
}

func compareDecoded[T cmp.Ordered](a, b []byte, decode func([]byte) (T, error)) (int, error) {
	x, err := decode(a)
	if err != nil {
		return 0, err
	}
	y, err := decode(b)
	if err != nil {
		return 0, err
	}
	return cmp.Compare(x, y), nil
}

// nanLast orders floating-point numbers with -0 below 0 and NaN last, as Java's Double.compare does.
type nanLast int64

func nanKey(f float64) nanLast {
	if math.IsNaN(f) {
		return math.MaxInt64
	}
	bits := int64(math.Float64bits(f))
	if bits < 0 {
		return nanLast(bits ^ math.MaxInt64)
	}
	return nanLast(bits)
}

// decimalOf reads big-endian two's complement.
func decimalOf(v []byte) *big.Int {
	n := new(big.Int).SetBytes(v)
	if len(v) > 0 && v[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(v))*8))
	}
	return n
}

// physical is how a primitive type's single values are laid out.
type physical uint8

const (
	physicalBytes physical = iota
	physicalBool
	physicalInt
	physicalLong
	physicalFloat
	physicalDouble
	physicalDecimal
)

func (t Type) physical() physical {
	switch t {
	case Boolean:
		return physicalBool
	case Int, Date:
		return physicalInt
	case Long, Time, Timestamp, TimestampTZ, TimestampNS, TimestampTZNS:
		return physicalLong
	case Float:
		return physicalFloat
	case Double:
		return physicalDouble
	}
	if _, _, ok := t.Decimal(); ok {
		return physicalDecimal
	}
	return physicalBytes
}
