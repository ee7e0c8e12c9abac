package iceberg

import (
	"encoding/hex"
	"math"
	"testing"
)

// The specification's own examples and the layouts that its table states.
func TestSingleValues(t *testing.T) {
	f := func(got []byte, want string) {
		t.Helper()
		if hex.EncodeToString(got) != want {
			t.Errorf("value is %x, want %s", got, want)
		}
	}
	f(EncodeBool(true), "01")
	f(EncodeBool(false), "00")
	f(EncodeInt(-2), "feffffff")
	f(EncodeLong(1), "0100000000000000")
	f(EncodeFloat(1), "0000803f")
	f(EncodeDouble(-1), "000000000000f0bf")
	for _, n := range []int64{0, 1, -1, math.MaxInt64, math.MinInt64} {
		if got, err := DecodeLong(EncodeLong(n)); err != nil || got != n {
			t.Errorf("long %d reads back as %d, %v", n, got, err)
		}
		if got, err := DecodeInt(EncodeInt(int32(n))); err != nil || got != int32(n) {
			t.Errorf("int %d reads back as %d, %v", int32(n), got, err)
		}
	}
	if got, err := DecodeLong(EncodeInt(-5)); err != nil || got != -5 {
		t.Errorf("a widened int reads as %d, %v", got, err)
	}
	if got, err := DecodeDouble(EncodeFloat(1.5)); err != nil || got != 1.5 {
		t.Errorf("a widened float reads as %v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, {1, 2, 3}, make([]byte, 9)} {
		_, err1 := DecodeInt(bad)
		_, err2 := DecodeLong(bad)
		_, err3 := DecodeDouble(bad)
		_, err4 := DecodeFloat(bad)
		_, err5 := DecodeBool(bad)
		if err1 == nil || err2 == nil || err3 == nil || err4 == nil || err5 == nil {
			t.Errorf("%x was read as a value", bad)
		}
	}
}

func TestCompareValues(t *testing.T) {
	f := func(typ Type, ascending ...[]byte) {
		t.Helper()
		for i, a := range ascending {
			for j, b := range ascending {
				got, err := CompareValues(typ, a, b)
				if err != nil || (got < 0) != (i < j) || (got > 0) != (i > j) {
					t.Errorf("%s: comparing %x with %x gives %d, %v", typ, a, b, got, err)
				}
			}
		}
	}
	f(Int, EncodeInt(math.MinInt32), EncodeInt(-1), EncodeInt(0), EncodeInt(256))
	f(Long, EncodeLong(math.MinInt64), EncodeInt(-1), EncodeLong(0), EncodeLong(1<<40))
	f(TimestampTZ, EncodeLong(-5), EncodeLong(5))
	f(Double, EncodeDouble(math.Inf(-1)), EncodeDouble(-2), EncodeDouble(math.Copysign(0, -1)), EncodeDouble(0), EncodeFloat(3), EncodeDouble(math.Inf(1)), EncodeDouble(math.NaN()))
	f(Float, EncodeFloat(-1), EncodeFloat(1))
	f("decimal(9,2)", []byte{0x80, 0}, []byte{0xff}, []byte{0}, []byte{0x7f}, []byte{0, 0x80})
	f(String, []byte(""), []byte("a"), []byte("é"), []byte("\U0010FFFF"))
	f(Binary, []byte{0}, []byte{0, 0}, []byte{0xff})
	if _, err := CompareValues(Int, []byte{1}, EncodeInt(1)); err == nil {
		t.Error("a broken int was compared")
	}
}
