package iceberg

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTruncatedBounds(t *testing.T) {
	long := strings.Repeat("a", 15)
	f := func(typ Type, v, lower, upper string, exists bool) {
		t.Helper()
		if got := string(TruncateLower(typ, []byte(v))); got != lower {
			t.Errorf("lower bound of %q is %q, want %q", v, got, lower)
		}
		got, ok := TruncateUpper(typ, []byte(v))
		if ok != exists || string(got) != upper {
			t.Errorf("upper bound of %q is %q, %v, want %q, %v", v, got, ok, upper, exists)
		}
	}
	f(String, "short", "short", "short", true)
	f(String, long+"bc", long+"b", long+"c", true)
	f(String, long+"\u007fx", long+"\u007f", long+"\u0080", true)                       // one byte becomes two
	f(String, long+"\uD7FFx", long+"\uD7FF", long+"\uE000", true)                       // over the surrogates
	f(String, long+"\U0010FFFFx", long+"\U0010FFFF", strings.Repeat("a", 14)+"b", true) // the greatest: raise the one before
	f(String, strings.Repeat("\U0010FFFF", 17), strings.Repeat("\U0010FFFF", 16), "", false)
	f(String, strings.Repeat("\U0010FFFF", 16), strings.Repeat("\U0010FFFF", 16), strings.Repeat("\U0010FFFF", 16), true)
	f(String, strings.Repeat("日", 17), strings.Repeat("日", 16), strings.Repeat("日", 15)+string('日'+1), true)
	f(String, long+"\xffxx", long+"\xff", "", false) // not UTF-8
	f(Binary, long+"\xffx", long+"\xff", strings.Repeat("a", 14)+"b", true)
	f(Binary, strings.Repeat("\xff", 17), strings.Repeat("\xff", 16), "", false)
	f(Binary, "", "", "", true)
	f(Long, "12345678", "12345678", "12345678", true)
}

// Any bound of any string holds for it, is short, and is UTF-8 where the string is.
func TestBoundsHold(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	alphabet := []rune{'a', 'z', 0x7f, 0x80, 0x7ff, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF}
	for range 20_000 {
		var b strings.Builder
		for range rng.IntN(24) {
			b.WriteRune(alphabet[rng.IntN(len(alphabet))])
		}
		v := []byte(b.String())
		for _, typ := range []Type{String, Binary} {
			lower := TruncateLower(typ, v)
			upper, ok := TruncateUpper(typ, v)
			if bytes.Compare(lower, v) > 0 || ok && bytes.Compare(upper, v) < 0 {
				t.Fatalf("%s %q is not within %q and %q", typ, v, lower, upper)
			}
			if typ == String && (!utf8.Valid(lower) || !utf8.Valid(upper) || utf8.RuneCount(lower) > BoundLength || utf8.RuneCount(upper) > BoundLength) {
				t.Fatalf("bounds %q and %q of %q are too long or not UTF-8", lower, upper, v)
			}
			if typ == Binary && (len(lower) > BoundLength || len(upper) > BoundLength) {
				t.Fatalf("bounds %q and %q of %q are too long", lower, upper, v)
			}
		}
	}
}
