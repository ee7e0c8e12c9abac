package objectstore

import (
	"strconv"
	"strings"
	"testing"
)

func TestParseHint(t *testing.T) {
	f := func(text string, version int64, exact bool) {
		t.Helper()
		if v, e := parseHint([]byte(text)); v != version || e != exact {
			t.Errorf("parseHint(%q) = %d, %v; want %d, %v", text, v, e, version, exact)
		}
	}
	f("1", 1, true)
	f("42", 42, true)
	f("999999999999999998", 999999999999999998, true)
	f("3\n", 3, false)
	f(" 3 \r\n", 3, false)
	for _, garbage := range []string{"", "\n", "abc", "0", "-1", "+1", "007", "1.0", "1e3", "3 4", "v3", "3\x00", "\xff", "999999999999999999", "9223372036854775808", strings.Repeat("9", 1000)} {
		f(garbage, 0, false)
	}
}

func FuzzParseHint(f *testing.F) {
	for _, seed := range []string{"1", "3\n", "abc", "", "00", "9223372036854775807", " 7"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		version, exact := parseHint(body)
		switch {
		case version < 0 || version > maxVersion:
			t.Fatalf("parseHint(%q) = %d, out of bounds", body, version)
		case exact != (version > 0 && strconv.FormatInt(version, 10) == string(body)):
			t.Fatalf("parseHint(%q) = %d, exact %v", body, version, exact)
		case version == 0:
			return
		}
		if again, exact := parseHint([]byte(strconv.FormatInt(version, 10))); again != version || !exact {
			t.Fatalf("%d does not come back: %d, %v", version, again, exact)
		}
	})
}

func TestCompressedVersion(t *testing.T) {
	f := func(name string, version int64, ok bool) {
		t.Helper()
		if v, o := compressedVersion(name); v != version || o != ok {
			t.Errorf("compressedVersion(%q) = %d, %v", name, v, o)
		}
	}
	f("3.gz.metadata.json", 3, true)
	f("3.metadata.json.gz", 3, true)
	f("3.metadata.json", 0, false)
	f("x.gz.metadata.json", 0, false)
	f("", 0, false)
}
