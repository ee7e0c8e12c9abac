package datafile

import (
	"bytes"
	"strings"
	"testing"
)

func TestThriftLenRefuses(t *testing.T) {
	f := func(name string, raw []byte, want string) {
		t.Helper()
		if n, err := thriftLen(raw, maxFooterElements); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d, %v, want an error with %q", name, n, err, want)
		}
	}
	f("nothing", nil, "ends early")
	f("no end", []byte{0x15, 2}, "ends early")
	f("string beyond the end", []byte{0x18, 5, 'a', 0}, "ends early")
	f("string of 2^63", []byte{0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0}, "ends early")
	f("varint without end", append([]byte{0x15}, bytes.Repeat([]byte{0xff}, 20)...), "ends early")
	f("list of 2^31 structs", []byte{0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0}, "too many")
	f("list that ends early", []byte{0x29, 0x2c, 0, 0x15}, "ends early")
	f("structs in structs", bytes.Repeat([]byte{0x1c}, 1000), "deeper")
	f("lists in lists", append([]byte{0x19}, bytes.Repeat([]byte{0x19}, 1000)...), "deeper")
	f("a map, which Parquet has none of", []byte{0x1b, 0, 0}, "unknown type")
	if n, err := thriftLen([]byte{0x11, 0x12, 0x13, 9, 0x15, 1, 0x17, 1, 2, 3, 4, 5, 6, 7, 8, 0x19, 0x21, 1, 2, 0x05, 40, 7, 0, 0xee}, 4); err != nil || n != 23 {
		t.Errorf("one of each: %d, %v, want 23", n, err)
	}
}
